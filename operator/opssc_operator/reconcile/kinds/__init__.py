"""How each kind of proposal is planned, verified, looked at and carried out."""
