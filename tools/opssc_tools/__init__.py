"""Test clusters, demo, benchmarks and development scripts; may import everything, nothing imports it."""
