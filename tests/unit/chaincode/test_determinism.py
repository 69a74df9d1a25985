"""The same inputs give the same bytes everywhere: other interpreters, hash seeds, locales, time zones."""

import json
import os
import subprocess
import sys
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

from unit.chaincode.identities import admin, client
from unit.chaincode.ledger import Ledger, Simulation
from unit.chaincode.strategies import NOW, chaincode_content, document, members

ORG1, ORG2, ORG3 = members(3)
ENVIRONMENTS = [
    {"PYTHONHASHSEED": "0", "LC_ALL": "C", "TZ": "UTC"},
    {"PYTHONHASHSEED": "1", "LC_ALL": "C.UTF-8", "TZ": "Asia/Tokyo", "PYTHONUTF8": "0"},
    {"PYTHONHASHSEED": "4242", "LC_ALL": "POSIX", "TZ": "America/New_York", "PYTHONOPTIMIZE": "0"},
]


def scenario(identities: dict[str, bytes]) -> list[Simulation]:
    """One call of every kind and of the commonest refusals, on a ledger of its own."""
    ledger = Ledger(NOW)
    given = document(content=chaincode_content(), deadline=NOW + timedelta(days=3))
    done = [ledger.submit(identities["admin1"], "Propose", given.canonical())]
    key = (ORG1, given.id)
    evidence = f'{{"packageID":"basic-19ef79ddb030:{"a" * 64}","peers":["peer0","peer1"]}}'
    for caller, call in [
        ("admin2", ("Vote", *key, given.content_hash, "Agree", "gern \u00e9\u4e2d\U0001f600")),
        ("admin3", ("Vote", *key, "0" * 64, "Agree")),
        ("client2", ("Vote", *key, given.content_hash, "Agree")),
        ("client2", ("Report", *key, "Installed", "Done", evidence, "")),
        ("client2", ("Report", *key, "Installed", "Failed", "", "why")),
        ("admin1", ("Close", *key, "Withdrawn", "")),
        ("admin1", ("Propose", '{"id":1}')),
        ("admin1", ("GetProposal", *key)),
        ("admin1", ("ListProposals", "{}", "10", "")),
        ("admin1", ("GetInfo",)),
    ]:
        done.append(ledger.submit(identities[caller], *call))
    return done


def outcome(done: list[Simulation]) -> str:
    """All that an endorser signs or answers, in the order it was made."""
    parts = [
        (
            call.response.status,
            call.response.message,
            call.response.payload.hex(),
            [(key, (value or b"").hex()) for key, value in call.writes.items()],
            list(call.reads),
            [(name, payload.hex()) for name, payload in call.events],
        )
        for call in done
    ]
    return sha256(json.dumps(parts).encode()).hexdigest()


def test_responses_and_write_sets_are_the_same_in_every_interpreter() -> None:
    identities = {"admin1": admin(ORG1), "admin2": admin(ORG2), "admin3": admin(ORG3), "client2": client(ORG2)}
    handed_over = json.dumps({name: data.hex() for name, data in identities.items()})
    script = (
        "import json, sys\n"
        "from unit.chaincode.test_determinism import outcome, scenario\n"
        "identities = {name: bytes.fromhex(data) for name, data in json.loads(sys.stdin.read()).items()}\n"
        "print(outcome(scenario(identities)))\n"
    )
    path = str(Path(__file__).resolve().parents[2])

    outcomes = {
        subprocess.run(
            [sys.executable, "-c", script],
            input=handed_over,
            env={"PATH": os.defpath, "PYTHONPATH": path, **environment},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout.strip()
        for environment in ENVIRONMENTS
    }

    here = scenario(identities)
    assert outcomes == {outcome(here)}
    expected = ["ok", "ok", "HASH_MISMATCH", "FORBIDDEN", "ok", "ok", "CLOSED", "INVALID", "ok", "ok", "ok"]
    assert [call.code or "ok" for call in here] == expected


def test_the_clock_only_refuses() -> None:
    ahead, behind = Ledger(NOW), Ledger(NOW)
    ahead.now += timedelta(seconds=200)
    behind.now -= timedelta(seconds=200)

    answers = [ledger.simulate(admin(ORG1), "Propose", document().canonical(), at=NOW) for ledger in (ahead, behind)]

    assert answers[0].ok
    assert outcome(answers[:1]) == outcome(answers[1:])


def test_the_pure_parts_need_no_grpc() -> None:
    script = (
        "import sys\n"
        "import opssc_chaincode.contract, opssc_chaincode.tally, opssc_chaincode.ranking, opssc_chaincode.canonical\n"
        "print(sorted(name for name in sys.modules if name.split('.')[0] in {'grpc', 'asyncio', 'kopf'}))\n"
    )

    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)

    assert loaded.stdout.strip() == "[]"
