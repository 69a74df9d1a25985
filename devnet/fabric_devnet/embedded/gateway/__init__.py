"""The Gateway service of a peer: evaluates, collects endorsements, submits, and tells how transactions ended."""
