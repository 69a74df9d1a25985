"""Hostile input for every reader of `fabric_admin`: `python -m opssc_tools.fuzz --target NAME --seconds N`."""
