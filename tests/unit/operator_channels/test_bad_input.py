"""What must never get as far as a proposal: refused before it is proposed, with the element named."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from unit.fabric import channel
from unit.fabric.authority import Authority, authority
from unit.fabric.channel import build, person
from unit.operator_channels.changes import ORG1, ORG2, ORG3, RECIPE, config, consenter, definition, stated
from unit.operator_channels.proposals import planned, proposed, verdict_on

from fabric_admin import channelconfig
from fabric_admin.channelconfig import Consenter
from opssc_operator.api.conditions import Reason
from opssc_operator.domain.channels.application import ChangeRefused
from opssc_operator.domain.channels.verification import delta_of
from opssc_operator.domain.planning import Plan
from opssc_operator.domain.verdict import Verdict

PAST, FUTURE = datetime(2025, 6, 1, tzinfo=UTC), datetime(2048, 1, 1, tzinfo=UTC)
EXPIRED = Authority("Org4MSP", end=PAST).pem.decode()
NOT_YET = Authority("Org4MSP", start=FUTURE).pem.decode()
STRANGER = authority("Org9MSP").pem.decode()
ORG4 = "/Channel/Application/Org4MSP"
CONSENSUS = "/Channel/Orderer/ConsensusType"
ADMINS = "/Channel/Application/Admins"


def changing(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, kind: fields}


def adding(**parts: Any) -> dict[str, Any]:
    """Organization 4, with parts of its definition replaced; None leaves one out."""
    whole = {name: value for name, value in {**definition("Org4MSP"), **parts}.items() if value is not None}
    return changing("addOrganization", mspID="Org4MSP", definitionFrom={"inline": whole})


def setting_policy(path: str, rule: str) -> dict[str, Any]:
    return changing("setPolicy", path=path, rule=rule)


def new_consenter(**parts: Any) -> dict[str, Any]:
    return changing("addConsenter", **{**consenter(5), **parts})


def leaf(msp_id: str, name: str, *, end: datetime | None = None) -> str:
    made = authority(msp_id).issue("orderer", name=name, until=end) if end else person(msp_id, "orderer", name)
    return made.certificate_pem.decode()


ADD = stated("addOrganization")
REMOVALS = [changing("removeConsenter", host=f"orderer{number}", port=7050) for number in (1, 2, 3)]
HAZARDS: dict[str, tuple[list[dict[str, Any]], str, str]] = {
    "a root that is no PEM": ([adding(rootCerts=["-----BEGIN X-----"])], "changes[0].addOrganization", "pem"),
    "a root that is no CA": (
        [adding(rootCerts=[leaf("Org4MSP", "node")])],
        "changes[0].addOrganization",
        "certificate verification chain",
    ),
    "an administrator's certificate that cannot be read": (
        [adding(admins=["-----BEGIN X-----"])],
        "changes[0].addOrganization",
        "could not decode the PEM structure",
    ),
    "an organization without administrators": (
        [adding(nodeOUs=None)],
        "changes[0].addOrganization",
        "administrators must be declared",
    ),
    "an expired root": ([adding(rootCerts=[EXPIRED])], ORG4, "expired on 2025-06-01"),
    "an expired root beside a valid one": (
        [adding(rootCerts=[*definition("Org4MSP")["rootCerts"], EXPIRED])],
        ORG4,
        "expired on 2025-06-01",
    ),
    "an expired TLS root": ([adding(tlsRootCerts=[EXPIRED])], ORG4, "TLS root certificate CN=ca.Org4MSP"),
    "a root from the future": ([adding(rootCerts=[NOT_YET])], ORG4, "not valid before 2048-01-01"),
    "a foreign intermediate certificate": (
        [adding(intermediateCerts=[leaf("Org9MSP", "node")])],
        "changes[0].addOrganization",
        "not valid",
    ),
    "a foreign administrator": (
        [adding(admins=[leaf("Org9MSP", "admin")])],
        "changes[0].addOrganization",
        "signed by unknown authority",
    ),
    "expired certificates of a member": (
        [changing("setOrganizationMSP", mspID=ORG2, tlsRootCerts=[EXPIRED])],
        "/Channel/Application/Org2/MSP",
        "expired on 2025-06-01",
    ),
    "an organization added twice": ([ADD, ADD], "changes[1].addOrganization", "Org4MSP is a member already"),
    "a member added again": (
        [changing("addOrganization", mspID=ORG2, definitionFrom={"inline": definition(ORG2)})],
        "changes[0].addOrganization",
        "Org2MSP is a member already",
    ),
    "the removal of every consenter": (REMOVALS, "changes[2].removeConsenter", "last consenter"),
    "two consenters at once": (REMOVALS[:2], CONSENSUS, "more than one consenter at a time"),
    "a consenter of a foreign CA": (
        [new_consenter(clientTlsCert=leaf("Org9MSP", "node"))],
        CONSENSUS,
        "signed by unknown authority",
    ),
    "a consenter of a member that runs no orderers": (
        [new_consenter(serverTlsCert=leaf(ORG2, "node"))],
        CONSENSUS,
        "signed by unknown authority",
    ),
    "a consenter whose certificate expired": (
        [new_consenter(clientTlsCert=leaf("OrdererMSP", "old", end=PAST))],
        CONSENSUS,
        "expired",
    ),
    "a consenter's server certificate replaced by an expired one": (
        [
            changing(
                "replaceConsenterCertificates",
                host="orderer3",
                port=7050,
                serverTlsCert=leaf("OrdererMSP", "old-server", end=PAST),
            )
        ],
        "consenter orderer3:7050",
        "server TLS certificate: x509: certificate has expired",
    ),
    "an application capability that no node has": (
        [changing("setCapability", section="Application", level="V9_9")],
        "/Channel/Application/Capabilities",
        "every peer panics",
    ),
    "an orderer capability that no node has": (
        [changing("setCapability", section="Orderer", level="V2_5")],
        "/Channel/Orderer/Capabilities",
        "no node knows",
    ),
    "a channel capability that no node has": (
        [changing("setCapability", section="Channel", level="V2_5")],
        "/Channel/Capabilities",
        "no node knows",
    ),
    "a policy on sub-policies that nobody has": ([setting_policy(ADMINS, "MAJORITY Nobodies")], ADMINS, "locked"),
    "a policy of strangers": (
        [setting_policy("/Channel/Application/Org1/Admins", "OR('Org9MSP.admin')")],
        "/Channel/Application/Org1/Admins",
        "locked for ever",
    ),
    "a policy that asks for more than there are": (
        [setting_policy(ADMINS, "OutOf(2, 'Org1MSP.admin', 'Org9MSP.admin')")],
        ADMINS,
        "locked for ever",
    ),
    "a mod_policy that does not exist": (
        [changing("setModPolicy", path="/Channel/Application/ACLs", modPolicy="Nobody")],
        "/Channel/Application/Nobody",
        "does not exist",
    ),
    "an ACL that nobody satisfies": (
        [changing("setACL", resource="peer/Propose", policy="/Channel/Application/Nobody")],
        "/Channel/Application/Nobody",
        "nobody on the channel",
    ),
    "an ACL that takes several organizations": (
        [changing("setACL", resource="qscc/GetChainInfo", policy=ADMINS)],
        ADMINS,
        "a request has one signature",
    ),
    "maintenance together with something else": (
        [changing("setMaintenance", enabled=True), changing("setBatch", maxMessageCount=7)],
        CONSENSUS,
        "more then just the ConsensusType",
    ),
    "the removal of the last organization that orders": (
        [changing("removeOrganization", mspID="OrdererMSP", groups=["Orderer"])],
        "changes[0].removeOrganization",
        "last organization of /Channel/Orderer",
    ),
}


@pytest.mark.parametrize("name", HAZARDS)
def test_bad_input_is_refused_before_it_is_proposed_and_names_the_element(name: str) -> None:
    changes, element, said = HAZARDS[name]

    found = planned({"changes": changes})

    assert isinstance(found, Verdict), found
    assert (found.status, found.reason) == ("False", Reason.INVALID_SPEC)
    assert element in found.message
    assert said in found.message


BFT_HAZARDS: dict[str, tuple[dict[str, Any], str]] = {
    "a client certificate of a foreign CA": ({"clientTlsCert": leaf("Org9MSP", "node")}, "signed by unknown authority"),
    "a server certificate that expired": (
        {"serverTlsCert": leaf("OrdererMSP", "old-bft", end=PAST)},
        "has expired",
    ),
    "another organization's identity": ({"identity": leaf("Org9MSP", "node")}, "none of OrdererMSP"),
    "an identity of an organization that is not there": ({"mspID": "Org9MSP"}, "Org9MSP is no orderer organization"),
    "a certificate that is none": ({"clientTlsCert": "-----BEGIN X-----"}, "not PEM"),
}


@pytest.mark.parametrize("name", BFT_HAZARDS)
def test_a_bft_consenter_that_could_never_take_part_is_refused(name: str) -> None:
    parts, said = BFT_HAZARDS[name]

    found = planned({"changes": [new_consenter(**parts)]}, on=config(channel.BFT_PROFILE))

    assert isinstance(found, Verdict), found
    assert "consenter orderer5:7050" in found.message
    assert said in found.message


def test_a_bft_consenter_with_certificates_of_its_organization_is_taken() -> None:
    assert isinstance(planned({"changes": [new_consenter()]}, on=config(channel.BFT_PROFILE)), Plan)


CREATIONS: dict[str, tuple[dict[str, Any], str, str]] = {
    "an expired root": ({"members": "rootCerts", "pem": EXPIRED}, "/Channel/Application/Org1MSP", "expired"),
    "a consenter of a foreign CA": (
        {"consenter": leaf("Org9MSP", "node")},
        "consenter orderer1:7050",
        "unknown authority",
    ),
}


@pytest.mark.parametrize("name", CREATIONS)
def test_a_new_channel_with_certificates_that_are_no_good_is_not_proposed(name: str) -> None:
    parts, element, said = CREATIONS[name]
    whole = definition(ORG1)
    orderer = {**RECIPE["orderers"][0]}
    if "consenter" in parts:
        (listed,) = orderer["consenters"]
        orderer["consenters"] = [{**listed, "clientTlsCert": parts["consenter"]}]
    else:
        whole = {**whole, "rootCerts": [*whole["rootCerts"], parts["pem"]]}
        orderer["definitionFrom"] = {"inline": whole}
    members = [{"mspID": ORG1, "definitionFrom": {"inline": whole}}]

    found = planned(
        {"channel": "newchannel", "action": "Create", "create": {"members": members, "orderers": [orderer]}}
    )

    assert isinstance(found, Verdict), found
    assert found.reason is Reason.INVALID_SPEC
    assert f"create: {element}" in found.message
    assert said in found.message


def test_what_expires_after_it_was_proposed_stays_the_proposal_it_was() -> None:
    soon = Authority("Org4MSP", end=datetime(2026, 6, 2, tzinfo=UTC)).pem.decode()
    of = proposed({"changes": [adding(rootCerts=[soon], tlsRootCerts=[soon])]})

    assert verdict_on(of, config()).holds
    late = datetime(2026, 6, 3, tzinfo=UTC)
    assert isinstance(delta_of(of.content, config(), governance=False, at=late), ChangeRefused)  # type: ignore[arg-type]


def test_certificates_that_stand_in_the_channel_already_do_not_stop_other_changes() -> None:
    aged = build()
    root = aged.channel_group.groups["Application"].groups["Org3"].values["MSP"]
    root.value = Authority(ORG3, end=PAST).config().SerializeToString()

    assert isinstance(planned({"changes": [stated("setACL")]}, on=channel.load(aged)), Plan)


def test_a_raw_update_is_looked_at_as_closely() -> None:
    start = build()
    listed = channel.consenter(5)
    foreign = Consenter(listed.address, leaf("Org9MSP", "node").encode(), listed.server_tls_cert)
    update = channelconfig.compute_update(channel.CHANNEL, start, channelconfig.edits.add_consenter(start, foreign))

    found = planned({"configUpdate": base64.b64encode(update.SerializeToString()).decode()}, on=channel.load(start))

    assert isinstance(found, Verdict)
    assert f"{CONSENSUS}: " in found.message
