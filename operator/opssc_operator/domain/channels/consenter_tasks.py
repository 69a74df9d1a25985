"""What a change of a channel's consenters asks of the orderers themselves. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from fabric_admin.channelconfig import ChannelConfig
from opssc_chaincode.model import ChannelContent
from opssc_chaincode.model.changes import AddConsenter, RemoveConsenter, ReplaceConsenterCertificates


class Task(StrEnum):
    """What becomes of an orderer."""

    ADD = "Add"
    REMOVE = "Remove"
    REPLACE = "Replace"


@dataclass(frozen=True, slots=True)
class ConsenterTask:
    """What becomes of the orderer at ``address`` (host:port).

    ``certificate`` is the PEM of the TLS server certificate it is to have afterwards, empty where the change says
    nothing of that; ``msp_id`` is its organization, where that is said.
    """

    task: Task
    address: str
    certificate: str = ""
    msp_id: str = ""


def find_tasks(content: ChannelContent) -> tuple[ConsenterTask, ...]:
    """One task for every consenter that is changed, the last word on each; none for a raw update."""
    found: dict[str, ConsenterTask] = {}
    for change in content.changes or ():
        member = change.member
        if not isinstance(member, AddConsenter | RemoveConsenter | ReplaceConsenterCertificates):
            continue
        address = f"{member.host}:{member.port}"
        match member:
            case AddConsenter():
                found[address] = ConsenterTask(Task.ADD, address, member.server_tls_cert, member.msp_id or "")
            case RemoveConsenter():
                found[address] = ConsenterTask(Task.REMOVE, address)
            case ReplaceConsenterCertificates():
                found[address] = ConsenterTask(Task.REPLACE, address, member.server_tls_cert or "")
    return tuple(found[address] for address in sorted(found))


def still_asked(tasks: Iterable[ConsenterTask], config: ChannelConfig) -> tuple[ConsenterTask, ...]:
    """What the configuration in force asks of these orderers, which a later change may have said otherwise."""
    certificates = {str(each.address): each.server_tls_cert.decode("utf-8", "replace") for each in config.consenters}
    return tuple(
        replace(task, certificate=certificates[task.address] if task.certificate else "")
        for task in tasks
        if task.address in certificates
    )
