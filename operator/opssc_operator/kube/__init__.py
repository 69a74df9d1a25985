"""Adapters on the Kubernetes API: status, secrets, events; no ledger, no kopf."""
