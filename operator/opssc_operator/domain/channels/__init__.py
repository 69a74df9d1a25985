"""Changes of channels, decided without any I/O: what a proposal asks for, what it amounts to, who has to agree."""
