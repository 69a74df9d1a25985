"""`python -m opssc_tools.fuzz --target NAME --seconds N`: coverage-guided, by hand, outside CI."""

from __future__ import annotations

import argparse
import importlib
import random
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from opssc_tools.fuzz.mutation import MAX_BYTES, mutate

SECONDS_PER_INPUT: Final = 60
"""Far above what any input takes alone; the machine may be busy, and instrumented code is slow."""
MEGABYTES: Final = 2048
MISSING: Final = "atheris is not installed here; it is needed for this command alone: uv pip install atheris"


def main() -> None:
    """Fuzz one target until the time is over or a defect is found; what it was found with is left in the corpus."""
    atheris = _atheris()
    with atheris.instrument_imports(include=["fabric_admin"]):
        targets = importlib.import_module("opssc_tools.fuzz.targets").TARGETS
    arguments = _arguments(tuple(targets))
    target = targets[arguments.target]
    seeds = target.seeds()
    corpus = arguments.corpus or Path(tempfile.mkdtemp(prefix=f"fuzz-{arguments.target}-"))
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (corpus / f"seed-{number}").write_bytes(seed)

    def damage(data: bytes, max_size: int, seed: int) -> bytes:
        # Half of the inputs are the fuzzer's own, half keep the structure of what they were made from.
        source = random.Random(seed)  # noqa: S311 - repeatable damage, no secret
        if source.random() < 0.5:  # noqa: PLR2004 - half
            return bytes(atheris.Mutate(data, max_size))
        return mutate(data, source, seeds)[:max_size]

    options = [
        sys.argv[0],
        f"-max_total_time={arguments.seconds}",
        f"-timeout={SECONDS_PER_INPUT}",
        f"-rss_limit_mb={MEGABYTES}",
        f"-max_len={MAX_BYTES}",
        f"-artifact_prefix={corpus}/",
        str(corpus),
    ]
    atheris.Setup(options, target.read, custom_mutator=damage)
    atheris.Fuzz()


def _arguments(names: tuple[str, ...]) -> Any:
    parser = argparse.ArgumentParser(prog="python -m opssc_tools.fuzz", description=__doc__)
    parser.add_argument("--target", required=True, choices=names)
    parser.add_argument("--seconds", type=int, default=60, help="how long (default: 60)")
    parser.add_argument("--corpus", type=Path, help="folder of inputs, kept between runs (default: a new one)")
    return parser.parse_args()


def _atheris() -> ModuleType:
    try:
        return importlib.import_module("atheris")
    except ImportError:
        sys.exit(MISSING)


if __name__ == "__main__":
    main()
