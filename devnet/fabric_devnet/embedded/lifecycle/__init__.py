"""The `_lifecycle` system chaincode: what it stores, what it accepts, and which chaincode a peer may run."""
