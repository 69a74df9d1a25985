"""One consortium for every scenario: four organizations, channels of two, three and four of them."""

from __future__ import annotations

import inspect
import itertools
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from e2e.owners import build_spec
from e2e.scenario import Scenario

from fabric_devnet.spec import BackendName, ChannelSpec
from opssc_operator.reconcile.servercertificates import AUTHORITY_KEY, Authority
from opssc_tools.environment import Consortium, EnvironmentSpec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

HERE = Path(__file__).parent
BACKENDS = [pytest.param(BackendName.EMBEDDED, id="embedded")]
if os.environ.get("FABRIC_HOME"):
    BACKENDS.append(pytest.param(BackendName.FABRIC, id="fabric", marks=pytest.mark.fabric))
CHANNELS = (
    ChannelSpec("ops-channel"),
    ChannelSpec("mychannel", members=("Org1MSP", "Org2MSP", "Org3MSP")),
    ChannelSpec("pair", members=("Org1MSP", "Org2MSP")),
    ChannelSpec("quad"),
    ChannelSpec("changing", members=("Org1MSP", "Org2MSP", "Org3MSP")),
)
FOUNDERS = ("Org1MSP", "Org2MSP")
SCENARIO_SECONDS = 300
UNEXPECTED = "reconcile failed unexpectedly"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run all scenarios in the event loop that the consortium lives in, each with time for its set-up."""
    for item in items:
        if HERE in item.path.parents and inspect.iscoroutinefunction(getattr(item, "obj", None)):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
            item.add_marker(pytest.mark.timeout(SCENARIO_SECONDS), append=False)


@pytest.fixture(scope="session")
def authorities() -> dict[str, Authority]:
    """The CA of each organization's chaincode servers, which its peers know from their start."""
    now = datetime.now(UTC)
    return {f"Org{number}MSP": Authority.create(f"org{number}", now) for number in range(1, 5)}


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=BACKENDS)
async def consortium(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, authorities: dict[str, Authority]
) -> AsyncIterator[Consortium]:
    """Running, governed by a committed contract; scenarios share it and use names of their own."""
    spec = EnvironmentSpec(
        directory=tmp_path_factory.mktemp("consortium"),
        organizations=4,
        backend=request.param,
        channels=CHANNELS,
        resync_period="10s",
        builder_fields={
            msp_id: {"chaincode_root_cert": authority.to_data()[AUTHORITY_KEY].decode()}
            for msp_id, authority in authorities.items()
        },
    )
    async with Consortium.start(spec) as running:
        yield running
        logs = (spec.directory / "logs").glob("operator-*.log")
        stumbled = [log.name for log in logs if UNEXPECTED in log.read_text()]
        assert not stumbled, f"{UNEXPECTED}: {stumbled}"


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=BACKENDS)
async def owners(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Consortium]:
    """A consortium in which organizations 1 and 2 run the orderers; each scenario has a channel of its own."""
    async with Consortium.start(build_spec(tmp_path_factory.mktemp("owners"), request.param)) as running:
        yield running


@pytest.fixture(scope="module", params=BACKENDS)
def ground(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> EnvironmentSpec:
    """What the consortium that a file has for itself starts from: three organizations, which share an API server."""
    return EnvironmentSpec(
        directory=tmp_path_factory.mktemp("ground"),
        organizations=3,
        backend=request.param,
        api_servers=1,
        resync_period="10s",
    )


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def founded(ground: EnvironmentSpec) -> AsyncIterator[Consortium]:
    """Two organizations that work together, and a third that has its nodes and its namespace alone."""
    channels = tuple(ChannelSpec(name, members=FOUNDERS) for name in ("ops-channel", "mychannel"))
    async with Consortium.start(replace(ground, channels=channels)) as running:
        yield running


@pytest.fixture(scope="session")
def numbers() -> Callable[[], int]:
    """Numbers that nobody has used yet, for names and ports."""
    return itertools.count(1).__next__


@pytest_asyncio.fixture(loop_scope="session")
async def new_scenario(consortium: Consortium, numbers: Callable[[], int]) -> AsyncIterator[Callable[..., Scenario]]:
    """Makes scenarios with fresh names; every operator runs again, and their chaincode servers are gone, at the end."""
    made: list[Scenario] = []

    def make(channel: str = "mychannel", organizations: tuple[str, ...] = ()) -> Scenario:
        scenario = replace(Scenario.fresh(consortium, numbers(), channel), organizations=organizations)
        made.append(scenario)
        return scenario

    yield make
    for scenario in made:
        await scenario.stop_servers()
    for member in consortium.members:
        member.operator.start()


@pytest.fixture
def scenario(new_scenario: Callable[..., Scenario]) -> Scenario:
    """A chaincode nobody has heard of, for the channel of three organizations."""
    return new_scenario()
