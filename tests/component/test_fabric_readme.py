"""The ten things an administrator does most, run as `fabric/README.md` shows them."""

from __future__ import annotations

import ast
import contextlib
import inspect
import re
from typing import TYPE_CHECKING, Any

import pytest
from conformance.consortium import Consortium, eventually

from fabric_admin.definition import Definition
from fabric_devnet.network import Network
from fabric_devnet.profile import build_genesis_block
from fabric_devnet.spec import ChannelSpec, NetworkSpec

if TYPE_CHECKING:
    from pathlib import Path

    from fabric_admin.channelconfig import ChannelConfig

MOST_LINES = 9


def read_steps(readme: Path) -> dict[str, str]:
    """The snippets by their heading's number, "" for the one before the first."""
    text = readme.read_text(encoding="utf-8").partition("## What an administrator does most\n")[2]
    found = re.findall(r"^### (\d+)\. |^```py\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    steps, number = {}, ""
    for heading, body in found:
        if heading:
            number = heading
        else:
            steps[number] = body
    return steps


async def run(source: str, names: dict[str, Any]) -> None:
    """Run a snippet, which may await, among the names that those before it made."""
    code = compile(source, "fabric/README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    running = eval(code, names)  # noqa: S307 - code from the tree
    if inspect.iscoroutine(running):
        await running


def on_this_machine(source: str, network: Network) -> str:
    """The snippet with the addresses of a network on this machine in place of the usual ones."""
    orderer = network.orderers[0]
    return (
        source.replace("peer0.org1.example.com:7051", network.organizations["Org1MSP"].peers[0].address)
        .replace("orderer0.example.com:7050", orderer.address)
        .replace("https://orderer0.example.com:7053", orderer.admin_url)
    )


def test_each_thing_takes_less_than_ten_lines(project_root: Path) -> None:
    steps = read_steps(project_root / "fabric" / "README.md")

    assert list(steps) == ["", *(str(number) for number in range(1, 11))]
    for body in steps.values():
        assert len([line for line in body.splitlines() if line.strip()]) <= MOST_LINES


@pytest.mark.asyncio(loop_scope="session")
async def test_the_readme_does_what_it_says(project_root: Path, tmp_path: Path) -> None:
    steps = read_steps(project_root / "fabric" / "README.md")
    spec = NetworkSpec(directory=tmp_path, channels=(ChannelSpec("mychannel"),), batch_timeout="50ms")
    names: dict[str, Any] = {}
    async with Network.start(spec) as network, contextlib.AsyncExitStack() as stack:
        consortium = await Consortium.connect(network, "mychannel", stack)
        trades = build_genesis_block(network.plan, ChannelSpec("trades"))
        (tmp_path / "organizations" / "trades.block").write_bytes(trades.SerializeToString())
        definition = Definition("basic", "1.0", 1)
        for member in consortium.members[1:]:
            await member.lifecycle.approve("mychannel", definition, None)
        await consortium.approvals_seen(definition, {"Org2MSP", "Org3MSP"})
        names["other_admin"] = network.organizations["Org2MSP"].admin
        stack.enter_context(contextlib.chdir(tmp_path / "organizations"))

        for body in steps.values():
            await run(on_this_machine(body, network), names)
        stack.push_async_callback(names["peer"].close)
        stack.push_async_callback(names["orderer"].close)

        assert names["installed"] in {each.package_id for each in await consortium.first.lifecycle.query_installed()}
        assert names["committed"].approvals == dict.fromkeys(("Org1MSP", "Org2MSP", "Org3MSP"), True)
        assert names["approved"].package_id == names["installed"]
        assert (names["joined"].name, names["joined"].status) == ("trades", "active")
        assert names["channels"] == ("mychannel", "trades")
        config: ChannelConfig = names["config"]

        async def changed() -> bool:
            return (await consortium.first.system.channel_config("mychannel")).sequence == config.sequence + 1

        await eventually(changed)
        assert names["block"].header.number == 1
