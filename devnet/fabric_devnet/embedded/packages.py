"""The chaincode packages installed on one peer.

Source: fabric core/chaincode/lifecycle/lifecycle.go (InstallChaincode), core/chaincode/persistence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fabric_admin import package
from fabric_admin.errors import PackageError
from fabric_devnet.embedded.connection import ServerConnection, build_connection
from fabric_devnet.embedded.errors import BuildFailed, InvocationFailed

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class InstalledPackage:
    """A package as installed: its exact bytes and where its server listens for this peer."""

    package_id: str
    label: str
    data: bytes
    connection: ServerConnection


class PackageStore:
    """Installed packages by package ID; `builder_context` are the fields of connection templates."""

    def __init__(self, builder_context: Mapping[str, str]) -> None:
        self._builder_context = dict(builder_context)
        self._packages: dict[str, InstalledPackage] = {}

    def install(self, data: bytes) -> InstalledPackage:
        """Parse, build and keep a package; raises InvocationFailed with Fabric's text."""
        try:
            parsed = package.parse(data)
            package.check_install(parsed)
        except PackageError as exc:
            raise InvocationFailed(f"could not parse as a chaincode install package: {exc}") from exc
        if parsed.package_id in self._packages:
            raise InvocationFailed(f"chaincode already successfully installed (package ID '{parsed.package_id}')")
        try:
            connection = build_connection(parsed, self._builder_context)
        except BuildFailed as exc:
            raise InvocationFailed(f"could not build chaincode: {exc}") from exc
        installed = InstalledPackage(parsed.package_id, parsed.label, data, connection)
        self._packages[installed.package_id] = installed
        return installed

    def lose(self, package_id: str) -> None:
        """Drop a package, as when its file is gone."""
        self._packages.pop(package_id, None)

    def find(self, package_id: str) -> InstalledPackage | None:
        """Return an installed package, None when it is not installed."""
        return self._packages.get(package_id)

    def all(self) -> tuple[InstalledPackage, ...]:
        """Return every installed package in order of installation."""
        return tuple(self._packages.values())
