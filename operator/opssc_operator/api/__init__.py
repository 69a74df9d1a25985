"""Pydantic models of our Kubernetes kinds; no I/O.

What the API server accepts is said by `crds/`; these models say the same in Python, and a test compares them.
Modules: `group` (names of the API), `fields` (bounded scalars), `metadata` (the frame every object has),
`organization`, `servers`, `package`, `definition` (chaincode and policies), `proposal`, `vote`, `conditions`, `refs`,
`durations`.
"""
