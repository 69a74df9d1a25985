"""Whether a channel proposal on the ledger says the truth: everything in it is computed anew and compared. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from fabric_admin.channelconfig import ChannelConfig, Organization
from opssc_chaincode.model import ChannelContent, Proposal, Rule
from opssc_operator.api.conditions import Reason
from opssc_operator.domain.channel import ChannelView
from opssc_operator.domain.channels.application import ChangeRefused
from opssc_operator.domain.channels.delta import Delta, compute_delta, judge_update, same_update
from opssc_operator.domain.channels.founding import build_genesis, check_own_definition, same_block
from opssc_operator.domain.verdict import Verdict, no, yes


@dataclass(frozen=True, slots=True)
class UpdateRules:
    """What verification asks about one update, given what its changes amount to here."""

    content: ChannelContent
    delta: Delta | ChangeRefused

    @property
    def refused(self) -> bool:
        """Whether there is nothing to compare: the changes cannot be made."""
        return isinstance(self.delta, ChangeRefused)

    def rule_of(self, channel: ChannelView) -> Rule | None:
        """Every policy the delta touches; a delta that cannot be made has no rule, and is refused for that."""
        del channel
        return None if isinstance(self.delta, ChangeRefused) else self.delta.rule

    def judge_content(self, proposal: Proposal) -> Verdict:
        """The delta computed here must be the one that would be signed."""
        del proposal
        if isinstance(self.delta, ChangeRefused):
            return no(Reason.DELTA_MISMATCH, f"{self.delta}; disagree")
        if not same_update(self.delta.update, self.content.update_bytes):
            return no(Reason.DELTA_MISMATCH, "configUpdate is not what its changes amount to here; disagree")
        return yes(Reason.VERIFIED, "members, rule and delta are what the configuration gives that own nodes show")


@dataclass(frozen=True, slots=True)
class CreationRules:
    """What verification asks about a new channel; ``own`` is this organization as the ops channel shows it."""

    content: ChannelContent
    own: Organization

    def rule_of(self, channel: ChannelView) -> Rule | None:
        """All organizations that are to be in it."""
        del channel
        recipe = self.content.create
        return None if recipe is None else Rule(n=len(recipe.organizations), of=recipe.organizations)

    def judge_content(self, proposal: Proposal) -> Verdict:
        """The genesis block must follow from the recipe, and the recipe must define this organization as it is."""
        recipe = self.content.create
        if recipe is None:
            return no(Reason.INVALID_SPEC, "there is no recipe; disagree")
        wrong = check_own_definition(recipe, self.own)
        if wrong:
            return no(Reason.DELTA_MISMATCH, wrong)
        try:
            block = build_genesis(self.content.channel, recipe, at=proposal.created_time)
        except ChangeRefused as exc:
            return no(Reason.DELTA_MISMATCH, f"{exc}; disagree")
        if not same_block(block, self.content.block_bytes):
            return no(Reason.DELTA_MISMATCH, "genesisBlock is not what its recipe amounts to here; disagree")
        return yes(
            Reason.VERIFIED, "the genesis block follows from the recipe, which defines this organization as it is"
        )


def delta_of(
    content: ChannelContent, config: ChannelConfig, *, governance: bool, at: datetime
) -> Delta | ChangeRefused:
    """What the content of an update amounts to on a configuration, or why it can not be made.

    ``at`` is when it was proposed, so that everybody comes to the same conclusion whenever they look.
    """
    try:
        if content.changes:
            return compute_delta(config, content.changes, governance=governance, at=at)
        return judge_update(config, content.update_bytes, governance=governance, at=at)
    except ChangeRefused as exc:
        return exc


def judge_standing(proposal: Proposal, config: ChannelConfig, *, governance: bool) -> Delta | ChangeRefused:
    """What the proposed update, as it stands, does to a later configuration, or why that no longer takes it.

    Other members, or another rule, make it another question than the one that was voted on.
    """
    content, snapshot = proposal.content, proposal.snapshot
    if not isinstance(content, ChannelContent):
        return ChangeRefused("the proposal is about no channel")
    try:
        delta = judge_update(config, content.update_bytes, governance=governance, at=proposal.created_time)
    except ChangeRefused as exc:
        return exc
    if snapshot.members != config.all_members:
        came, went = set(config.all_members) - set(snapshot.members), set(snapshot.members) - set(config.all_members)
        changed = ", ".join((*(f"+ {each}" for each in sorted(came)), *(f"- {each}" for each in sorted(went))))
        return ChangeRefused(f"the channel has other organizations now: {changed}")
    if snapshot.rule != delta.rule:
        paths = ", ".join(sorted({verdict.mod_policy for verdict in delta.verdicts if verdict.mod_policy}))
        return ChangeRefused(f"other organizations would have to agree now, by {paths}")
    return delta
