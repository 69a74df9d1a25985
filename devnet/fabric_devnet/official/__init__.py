"""Peers and orderers as official binaries in child processes."""
