"""What each kind of proposal means, shows and does once it is accepted. Pure."""
