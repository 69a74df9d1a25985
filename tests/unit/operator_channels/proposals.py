"""A change of the channel under test on its way: planned, proposed, agreed to, and as an operator sees it then."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import Any

from unit.fabric import channel
from unit.fabric.channel import NOW, person
from unit.operator_channels.changes import ORG1, config, spec, stated

from fabric_admin import channelconfig
from fabric_admin.channelconfig import ChannelConfig
from opssc_chaincode.model import (
    DEFAULT_CHARTER,
    Creator,
    Decision,
    Evidence,
    Facts,
    Outcome,
    Proposal,
    ProposalDocument,
    Report,
    Step,
    Vote,
)
from opssc_chaincode.tally import derive
from opssc_operator.api.organization import ExecutionMode, VotingMode
from opssc_operator.api.refs import ProposalRef
from opssc_operator.domain.channel import ChannelView
from opssc_operator.domain.channels.planning import ChannelPlanning, plan_channel
from opssc_operator.domain.channels.signatures import encode_signature, read_signatures, valid_signatures
from opssc_operator.domain.channels.verification import UpdateRules, delta_of
from opssc_operator.domain.kinds.channel_work import ChannelChange, UpdateWork
from opssc_operator.domain.observation import ProposalObserved
from opssc_operator.domain.planning import Plan, Preview
from opssc_operator.domain.verdict import Verdict
from opssc_operator.domain.verification import Grounds, verify_proposal
from opssc_operator.domain.voting import VotingRules

ACL = {"changes": [stated("setACL")]}


def view_of(given: ChannelConfig) -> ChannelView:
    return ChannelView(
        channel=given.channel_id,
        config_block=3,
        config_sequence=given.sequence,
        config_hash="ab" * 32,
        members=given.members,
        rule=given.organization_rule(),
    )


def planned(fields: dict[str, Any], **more: Any) -> Plan | Preview | Verdict:
    start = more.pop("on", None) or config()
    planning = ChannelPlanning(
        own_msp_id=more.pop("own", ORG1),
        proposal_id="change",
        spec=spec(**fields),
        view=view_of(start),
        config=start,
        definitions=more.pop("definitions", {}),
        governance=more.pop("governance", False),
        charter=DEFAULT_CHARTER,
        now=NOW,
        peers=more.pop("peers", ()),
    )
    return plan_channel(planning)


def plan(fields: dict[str, Any], **more: Any) -> Plan:
    found = planned(fields, **more)
    assert isinstance(found, Plan), found
    return found


def proposed(fields: dict[str, Any] = ACL, **more: Any) -> Proposal:
    document = ProposalDocument.parse(plan(fields, **more).document)
    fields_of = {name: getattr(document, name) for name in ProposalDocument.model_fields}
    return Proposal(
        **fields_of,
        creator=Creator(msp_id=ORG1, subject="CN=admin"),
        created_time=NOW,
        tx_id="cd" * 32,
        hash=document.content_hash,
    )


def agreed(of: Proposal, *msp_ids: str, disagreeing: tuple[str, ...] = (), signed: tuple[str, ...] = ()) -> Facts:
    votes = [(msp_id, Decision.AGREE) for msp_id in msp_ids]
    votes += [(msp_id, Decision.DISAGREE) for msp_id in disagreeing]
    return Facts(
        proposal=of,
        votes=tuple(
            Vote(msp_id=msp_id, decision=decision, content_hash=of.hash, time=NOW, tx_id=tx(msp_id), subject="")
            for msp_id, decision in votes
        ),
        reports=tuple(reported(msp_id, sign_for(of, msp_id)) for msp_id in signed),
    )


def reported(msp_id: str, signature: str) -> Report:
    evidence = Evidence(config_signature=signature)
    return Report(
        msp_id=msp_id, step=Step.SIGNED, outcome=Outcome.DONE, evidence=evidence, time=NOW, tx_id=tx(msp_id), attempt=1
    )


def tx(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def observed(facts: Facts, own: str = ORG1) -> ProposalObserved:
    return ProposalObserved(
        now=NOW,
        ref=ProposalRef(ORG1, facts.proposal.id),
        own_msp_id=own,
        execution=ExecutionMode.FOLLOW_DECISION,
        suspended=False,
        rules=VotingRules(VotingMode.MANUAL),
        manifest=None,
        mirror=None,
        mirror_wanted=False,
        wishes=(),
        facts=facts,
        tally=derive(facts, NOW),
    )


def work_of(facts: Facts, **more: Any) -> UpdateWork:
    """What an operator sees of accepted facts, by the real evaluation."""
    start = config()
    update = facts.proposal.content.update_bytes  # type: ignore[union-attr]
    signed = read_signatures(facts, start, update)
    forecast = start.forecast(update, valid_signatures(signed), now=NOW)
    refusal = "" if forecast.refusal is None else forecast.refusal.explanation
    change = ChannelChange.brief(channel.CHANNEL, ("~ something",), forecast.verdicts, signed)
    return UpdateWork(change, None, **{"refusal": refusal, **more})


def verdict_on(of: Proposal, start: ChannelConfig) -> Verdict:
    content = of.content
    rules = UpdateRules(content, delta_of(content, start, governance=False, at=of.created_time))  # type: ignore[arg-type]
    if rules.refused:
        return rules.judge_content(of)
    pinned = replace(view_of(start), members=start.all_members)
    return verify_proposal(rules, of, Grounds(pinned, DEFAULT_CHARTER))


def sign_for(of: Proposal, msp_id: str, update: bytes = b"") -> str:
    content = of.content
    return encode_signature(channelconfig.sign(person(msp_id), update or content.update_bytes))  # type: ignore[union-attr]


def plan_update(fields: dict[str, Any]) -> bytes:
    content = plan(fields).content
    return content.update_bytes  # type: ignore[union-attr]
