"""Adapters on fabric_admin and the contract; no Kubernetes, no kopf."""
