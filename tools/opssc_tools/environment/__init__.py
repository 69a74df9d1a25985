"""A whole consortium on one machine, for the demo, the end-to-end tests and the benchmark.

async with Consortium.start(EnvironmentSpec(directory=directory)) as consortium:
    await consortium.member(1).apply(manifests.build_proposal(...))
"""

from __future__ import annotations

from opssc_tools.environment.consortium import Consortium
from opssc_tools.environment.member import Member
from opssc_tools.environment.spec import EnvironmentSpec

__all__ = ["Consortium", "EnvironmentSpec", "Member"]
