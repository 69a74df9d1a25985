"""The OpsSC operator: brings what the ledger decided to one organization's own peers."""
