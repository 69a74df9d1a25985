"""Local Kubernetes API servers for tests and the demo, one per organization."""
