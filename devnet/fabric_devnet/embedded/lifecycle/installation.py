"""Installing packages and listing what is installed: the functions of `_lifecycle` outside any channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fabric_protos.peer.lifecycle import lifecycle_pb2

from fabric_devnet.embedded.errors import InvocationFailed
from fabric_devnet.embedded.lifecycle.runnable import approved_package_id, committed_definitions

if TYPE_CHECKING:
    from fabric_devnet.embedded.lifecycle.call import Call

Reference = tuple[str, str, str]  # channel, chaincode name, version


def install(call: Call, args: lifecycle_pb2.InstallChaincodeArgs) -> lifecycle_pb2.InstallChaincodeResult:
    """Install a package."""
    installed = call.packages.install(args.chaincode_install_package)
    return lifecycle_pb2.InstallChaincodeResult(package_id=installed.package_id, label=installed.label)


def query_installed(
    call: Call, args: lifecycle_pb2.QueryInstalledChaincodeArgs
) -> lifecycle_pb2.QueryInstalledChaincodeResult:
    """Describe one installed package and the definitions that use it."""
    installed = call.packages.find(args.package_id)
    if installed is None:
        raise InvocationFailed(f"could not find chaincode with package id '{args.package_id}'")
    result = lifecycle_pb2.QueryInstalledChaincodeResult(package_id=installed.package_id, label=installed.label)
    for channel_id, name, version in _references(call).get(installed.package_id, ()):
        result.references[channel_id].chaincodes.add(name=name, version=version)
    return result


def query_all_installed(
    call: Call, _args: lifecycle_pb2.QueryInstalledChaincodesArgs
) -> lifecycle_pb2.QueryInstalledChaincodesResult:
    """Describe every installed package and the definitions that use it."""
    references = _references(call)
    result = lifecycle_pb2.QueryInstalledChaincodesResult()
    for installed in call.packages.all():
        entry = result.installed_chaincodes.add(package_id=installed.package_id, label=installed.label)
        for channel_id, name, version in references.get(installed.package_id, ()):
            entry.references[channel_id].chaincodes.add(name=name, version=version)
    return result


def get_package(
    call: Call, args: lifecycle_pb2.GetInstalledChaincodePackageArgs
) -> lifecycle_pb2.GetInstalledChaincodePackageResult:
    """Return the exact bytes that were installed."""
    installed = call.packages.find(args.package_id)
    if installed is None:
        raise InvocationFailed(
            f"could not load cc install package: chaincode install package '{args.package_id}' not found"
        )
    return lifecycle_pb2.GetInstalledChaincodePackageResult(chaincode_install_package=installed.data)


def _references(call: Call) -> dict[str, list[Reference]]:
    """Collect, by package ID, the committed definitions for which the organization approved the package."""
    found: dict[str, list[Reference]] = {}
    for channel_id, ledger in call.ledgers.items():
        snapshot = ledger.snapshot()
        for definition in committed_definitions(snapshot):
            package_id = approved_package_id(snapshot, call.msp_id, definition)
            if package_id:
                reference = (channel_id, definition.name, definition.parameters.version)
                found.setdefault(package_id, []).append(reference)
    return found
