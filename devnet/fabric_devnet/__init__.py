"""A Fabric network on one machine, embedded or official, behind one interface."""
