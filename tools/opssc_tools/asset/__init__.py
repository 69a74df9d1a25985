"""A small asset chaincode for the demo and the tests: one key per asset, and ways to fail on purpose."""
