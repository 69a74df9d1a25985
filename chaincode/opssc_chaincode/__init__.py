"""The OpsSC contract: documents, the pure tally, transactions and the chaincode server."""
