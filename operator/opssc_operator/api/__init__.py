"""Pydantic models of our Kubernetes kinds; no I/O."""
