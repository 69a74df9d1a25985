"""Metrics, logging fields and health of the operator."""
