"""Reusable documents and hypothesis strategies of the contract's tests; no tests here."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from hypothesis import strategies as st

from opssc_chaincode.model import (
    DEFAULT_CHARTER,
    SCHEMA,
    Cause,
    CcaasPackage,
    ChaincodeContent,
    CharterInForce,
    Closing,
    Connection,
    Creator,
    Decision,
    EndorsementPolicy,
    Evidence,
    Facts,
    Fraction,
    Image,
    Kind,
    Minimum,
    Minimums,
    Outcome,
    Package,
    Proposal,
    ProposalDocument,
    Report,
    Rule,
    Snapshot,
    Step,
    Vote,
    ccaas_label,
    definition_hash,
    majority,
)

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
DIGEST = "sha256:" + "ab" * 32


def hex_hash(text: str) -> str:
    """A hash that stands for `text`."""
    return sha256(text.encode()).hexdigest()


def members(count: int) -> tuple[str, ...]:
    """Sorted MSP IDs."""
    return tuple(sorted(f"Org{number}MSP" for number in range(1, count + 1)))


def ccaas_package(name: str = "basic", port: int = 9999) -> Package:
    connection = Connection(port=port)
    label = ccaas_label(name, DIGEST, connection)
    image = Image(name=f"registry.example.com/{name}", digest=DIGEST)
    return Package(ccaas=CcaasPackage(label=label, image=image, connection=connection))


def chaincode_content(name: str = "basic", version: str = "1.0", sequence: int = 1, **more: Any) -> ChaincodeContent:
    package = more.pop("package", None) or ccaas_package()
    return ChaincodeContent(
        channel=more.pop("channel", "mychannel"),
        name=name,
        version=version,
        sequence=sequence,
        endorsement_policy=EndorsementPolicy(channel_policy="/Channel/Application/Endorsement"),
        package=package,
        package_id=f"{package.label}:{hex_hash(name)}" if package.label else None,
        definition_hash=definition_hash(name=name, version=version, sequence=sequence),
        **more,
    )


def snapshot(
    organizations: Sequence[str], rule: Rule | None = None, charter: CharterInForce = DEFAULT_CHARTER
) -> Snapshot:
    return Snapshot(
        channel="mychannel",
        config_block=3,
        config_sequence=2,
        config_hash=hex_hash("config"),
        members=tuple(organizations),
        rule=rule or majority(tuple(organizations)),
        charter=charter,
    )


def document(
    organizations: Sequence[str] = members(3),
    *,
    proposal_id: str = "basic-1",
    rule: Rule | None = None,
    charter: CharterInForce = DEFAULT_CHARTER,
    content: ChaincodeContent | None = None,
    deadline: datetime = NOW + timedelta(days=7),
) -> ProposalDocument:
    return ProposalDocument(
        schema_version=SCHEMA,
        id=proposal_id,
        kind=Kind.CHAINCODE,
        content=content or chaincode_content(),
        snapshot=snapshot(organizations, rule, charter),
        deadline=deadline,
    )


def proposal(given: ProposalDocument | None = None, creator: str = "Org1MSP") -> Proposal:
    """A stored proposal, as the contract would compute it."""
    given = given or document()
    return Proposal(
        schema_version=given.schema_version,
        id=given.id,
        kind=given.kind,
        content=given.content,
        snapshot=given.snapshot,
        deadline=given.deadline,
        description=given.description,
        creator=Creator(msp_id=creator, subject="CN=admin"),
        created_time=NOW,
        tx_id=hex_hash(f"propose {given.id}"),
        hash=given.content_hash,
    )


def vote(of: Proposal, msp_id: str, decision: Decision = Decision.AGREE) -> Vote:
    return Vote(
        msp_id=msp_id,
        decision=decision,
        content_hash=of.hash,
        time=NOW,
        tx_id=hex_hash(f"vote {of.name} {msp_id}"),
        subject="CN=admin",
    )


def closing(of: Proposal, cause: Cause = Cause.WITHDRAWN) -> Closing:
    return Closing(cause=cause, msp_id=of.creator.msp_id, time=NOW, tx_id=hex_hash(f"close {of.name}"))


def committed(of: Proposal, msp_id: str, **evidence: Any) -> Report:
    """A report of Committed whose evidence equals the proposal but for what is given."""
    assert isinstance(of.content, ChaincodeContent)
    shown = {"sequence": of.content.sequence, "definition_hash": of.content.definition_hash, **evidence}
    return report(of, msp_id, Step.COMMITTED, Outcome.DONE, Evidence(**shown))


def report(
    of: Proposal, msp_id: str, step: Step, outcome: Outcome = Outcome.FAILED, evidence: Evidence | None = None
) -> Report:
    return Report(
        msp_id=msp_id,
        step=step,
        outcome=outcome,
        evidence=evidence,
        time=NOW,
        tx_id=hex_hash(f"report {of.name} {msp_id} {step}"),
        attempt=1,
    )


organizations = st.integers(min_value=1, max_value=7).map(members)


def rules(of: Sequence[str]) -> st.SearchStrategy[Rule]:
    """Rules over these members, nested to the allowed depth at most."""
    leaves = st.sampled_from(list(of))

    def nested(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Rule]:
        return st.lists(parts, min_size=1, max_size=4).flatmap(
            lambda chosen: st.integers(1, len(chosen)).map(lambda n: Rule(n=n, of=tuple(chosen)))
        )

    flat = nested(leaves)
    return st.one_of(flat, nested(st.one_of(leaves, flat)), nested(st.one_of(leaves, nested(st.one_of(leaves, flat)))))


charters = st.builds(
    lambda fraction: CharterInForce(
        version=1, minimum=Minimums(chaincode=None if fraction is None else Minimum(fraction=fraction))
    ),
    st.one_of(st.none(), st.sampled_from(list(Fraction))),
)


@st.composite
def proposals(draw: st.DrawFn) -> Proposal:
    """Stored proposals with any rule, charter and creator."""
    of = draw(organizations)
    given = document(of, rule=draw(rules(of)), charter=draw(charters))
    return proposal(given, draw(st.sampled_from(list(of))))


def ballots(of: Sequence[str]) -> st.SearchStrategy[Mapping[str, Decision]]:
    """What some of the members decide."""
    return st.dictionaries(st.sampled_from(list(of)), st.sampled_from(list(Decision)))


@st.composite
def facts(draw: st.DrawFn) -> Facts:
    """Facts of one proposal: any votes, any reports of Committed; a closing is not among them."""
    of = draw(proposals())
    names = list(of.snapshot.members)
    votes = tuple(vote(of, msp_id, decision) for msp_id, decision in draw(ballots(names)).items())
    reporters = draw(st.lists(st.sampled_from(names), unique=True))
    return Facts(proposal=of, votes=votes, reports=tuple(committed(of, msp_id) for msp_id in reporters))
