"""The kopf edge: events become keys of the work queue."""
