"""The official release a network runs on: the directory FABRIC_HOME with `bin/`, `config/` and perhaps `builders/`."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from fabric_devnet.errors import BackendUnavailable
from fabric_devnet.release import FABRIC_2_5, Release

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "FABRIC_HOME"
_VERSION_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class FabricHome:
    """Paths inside a release archive of Fabric 2.5 or 3.x."""

    root: Path

    @classmethod
    def find(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Locate the release; raises BackendUnavailable that names what is missing."""
        value = environment.get(VARIABLE, "")
        if not value:
            raise BackendUnavailable(f"{VARIABLE} is not set: point it to a Fabric release with bin/ and config/")
        home = cls(Path(value).resolve())
        for program in (home.peer, home.orderer):
            if not os.access(program, os.X_OK):
                raise BackendUnavailable(f"{VARIABLE}={value}: {program} is not an executable file")
        for file in (home.core_yaml, home.orderer_yaml):
            if not file.is_file():
                raise BackendUnavailable(f"{VARIABLE}={value}: {file} is missing")
        return home

    def read_release(self) -> Release:
        """Ask the `peer` program for its release; raises BackendUnavailable when it is none or older than 2.5."""
        try:
            asked = subprocess.run(
                [self.peer, "version"], capture_output=True, text=True, check=True, timeout=_VERSION_SECONDS, env={}
            )
        except (OSError, subprocess.SubprocessError) as exc:
            raise BackendUnavailable(f"{self.peer} version failed: {exc}") from exc
        release = Release.parse(asked.stdout)
        if release is None or release < FABRIC_2_5:
            raise BackendUnavailable(f"{self.peer} is of release {release or 'unknown'}; needed is 2.5.0 or newer")
        return release

    @property
    def peer(self) -> Path:
        """The `peer` program."""
        return self.root / "bin" / "peer"

    @property
    def orderer(self) -> Path:
        """The `orderer` program."""
        return self.root / "bin" / "orderer"

    @property
    def core_yaml(self) -> Path:
        """The sample configuration of peers."""
        return self.root / "config" / "core.yaml"

    @property
    def orderer_yaml(self) -> Path:
        """The sample configuration of orderers."""
        return self.root / "config" / "orderer.yaml"

    @property
    def ccaas_builder(self) -> Path | None:
        """The release's chaincode-as-a-service builder, if it brings one."""
        builder = self.root / "builders" / "ccaas"
        return builder if (builder / "bin" / "detect").is_file() else None
