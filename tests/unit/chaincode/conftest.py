"""Settings of the contract's property tests."""

from hypothesis import HealthCheck, settings

# A busy machine is no failure: no deadline per example, no complaint about slow generation.
settings.register_profile("contract", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("contract")
