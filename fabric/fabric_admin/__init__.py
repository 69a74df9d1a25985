"""Hyperledger Fabric administration for Python; knows nothing of Kubernetes or OpsSC."""
