"""Peers and orderers of Hyperledger Fabric as asyncio servers inside one Python process."""
