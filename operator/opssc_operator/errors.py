"""The operator's one tree of errors."""
