"""The arithmetic and the reading of the benchmark; nothing is measured here."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import typer

from opssc_tools.bench.__main__ import with_command
from opssc_tools.bench.commands.counts import parse_counts
from opssc_tools.bench.exposition import Sample, parse_samples, served_port
from opssc_tools.bench.figures import Figures, Phases, ProposalFigures, straight_line
from opssc_tools.bench.processtree import usage_of
from opssc_tools.errors import ClusterError

if TYPE_CHECKING:
    from pathlib import Path


def figures(organizations: int, seconds: float) -> Figures:
    phases = Phases(kubectl=0.5, propose=seconds, votes=0.0, approvals=0.0, commit=0.0, read_back=0.0)
    proposal = ProposalFigures(phases, {}, operator_cpu_seconds=0.0, load_average=0.0)
    return Figures(organizations, "embedded", 1, "200ms", (0.2,), (proposal,), (), 0.0)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param([], ["deploy"], id="nothing"),
        pytest.param(["--orgs", "3"], ["deploy", "--orgs", "3"], id="options-alone"),
        pytest.param(["scale", "--orgs", "3"], ["scale", "--orgs", "3"], id="a-command"),
        pytest.param(["--help"], ["--help"], id="help"),
    ],
)
def test_options_without_a_command_are_those_of_deploy(arguments: list[str], expected: list[str]) -> None:
    assert with_command(arguments) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("three", "a list of numbers such as 3,10, not three", id="a-word"),
        pytest.param("3,21", "numbers from 2 to 20, not 3,21", id="too-many"),
        pytest.param("1", "numbers from 2 to 20, not 1", id="too-few"),
    ],
)
def test_numbers_of_organizations_nobody_measures_are_refused(text: str, reason: str) -> None:
    with pytest.raises(typer.BadParameter, match=reason):
        parse_counts(text, smallest=2)


def test_the_straight_line_goes_through_the_smallest_consortium() -> None:
    found = straight_line([figures(10, 2.0), figures(3, 1.5)])

    assert found == [5.0, 1.5]


def test_samples_are_read_with_their_labels() -> None:
    text = '# TYPE a counter\na_total{verb="GET",code="2\\"0"} 3\na_sum 1.5e+01\nb_total{verb="GET"} 1\n'

    found = parse_samples(text, "a_")

    assert found == [Sample("a_total", {"verb": "GET", "code": '2\\"0'}, 3.0), Sample("a_sum", {}, 15.0)]


def test_the_port_is_the_one_said_last(tmp_path: Path) -> None:
    log = tmp_path / "operator.log"
    log.write_text("INFO operator started\n")
    before = served_port(log)
    log.write_text("INFO serving metrics and probes port=1\nINFO serving metrics and probes port=23\n")

    assert (before, served_port(log)) == (None, 23)


def test_what_a_process_started_counts_as_its_own() -> None:
    alone = usage_of(os.getpid()).resident_bytes
    child = subprocess.Popen([sys.executable, "-c", "print(); input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with child:
        assert child.stdout is not None
        child.stdout.readline()
        its_own, together = usage_of(child.pid).resident_bytes, usage_of(os.getpid()).resident_bytes
        child.kill()

    assert its_own > 0
    assert together >= alone / 2 + its_own
    with pytest.raises(ClusterError, match="has ended"):
        usage_of(child.pid)
