"""The demo: several organizations turn one applied manifest into a committed, usable chaincode."""
