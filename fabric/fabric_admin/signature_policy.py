"""Signature policies as text: ``OR('Org1MSP.peer', AND('Org2MSP.admin', 'Org3MSP.admin'))``, and back.

Like Fabric (``common/policydsl/policyparser.go``) the text is rewritten twice before it becomes a message; doing the
same keeps every odd corner (``OutOf('2', ...)``, gates inside strings) exactly as Fabric has it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from fabric_protos.common import policies_pb2
from fabric_protos.msp import msp_principal_pb2

from fabric_admin import expression
from fabric_admin.errors import PolicySyntaxError
from fabric_admin.principals import Role, role_principal
from fabric_admin.wire import decode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fabric_admin.expression import Value

_PRINCIPAL: Final = re.compile(r"([A-Za-z0-9.-]+)[.](admin|member|client|peer|orderer)", re.ASCII)
_MSP_ID: Final = re.compile(r"[A-Za-z0-9.-]+", re.ASCII)
_GATE_NAMES: Final = {"and": ("And", "AND"), "or": ("Or", "OR"), "outof": ("OutOf", "outof", "OUTOF")}
_ROLES: Final = frozenset(int(role) for role in Role)
_MIN_GATE_ARGUMENTS: Final = 2


def parse(text: str) -> policies_pb2.SignaturePolicyEnvelope:
    """Return the policy a text describes; raises PolicySyntaxError with Fabric's message and position."""
    gates = expression.evaluate(text, _GATES)
    if not isinstance(gates, str):
        raise PolicySyntaxError(f"invalid policy string '{text}'")
    contextual = expression.evaluate(gates, {"outof": _with_context})
    if not isinstance(contextual, str):
        raise PolicySyntaxError(f"invalid policy string '{text}'")
    principals: list[msp_principal_pb2.MSPPrincipal] = []
    rule = expression.evaluate(contextual, {"outof": _builder(principals)}, {"ID": None})
    if not isinstance(rule, policies_pb2.SignaturePolicy):
        raise PolicySyntaxError(f"invalid policy string '{text}'")
    return policies_pb2.SignaturePolicyEnvelope(version=0, rule=rule, identities=principals)


def format(envelope: policies_pb2.SignaturePolicyEnvelope) -> str:  # noqa: A001 - the counterpart of parse
    """Return a text that parses to an equivalent policy; raises PolicySyntaxError when the language cannot say it."""
    rule = envelope.rule
    if rule.WhichOneof("Type") == "signed_by":
        return f"OR({_format_principal(envelope, rule.signed_by)})"
    return _format_rule(envelope, rule)


def _format_rule(envelope: policies_pb2.SignaturePolicyEnvelope, rule: policies_pb2.SignaturePolicy) -> str:
    kind = rule.WhichOneof("Type")
    if kind is None:
        raise PolicySyntaxError("a policy rule without a type cannot be written as text")
    if kind == "signed_by":
        return _format_principal(envelope, rule.signed_by)
    gate = rule.n_out_of
    count = len(gate.rules)
    if count == 0 or not 0 <= gate.n <= count + 1:
        raise PolicySyntaxError(f"a gate of {gate.n} out of {count} cannot be written as text")
    inner = ", ".join(_format_rule(envelope, each) for each in gate.rules)
    if gate.n == 1:
        return f"OR({inner})"
    return f"AND({inner})" if gate.n == count else f"OutOf({gate.n}, {inner})"


def _format_principal(envelope: policies_pb2.SignaturePolicyEnvelope, index: int) -> str:
    if not 0 <= index < len(envelope.identities):
        raise PolicySyntaxError(
            f"identity index out of range, requested {index}, but identities length is {len(envelope.identities)}"
        )
    principal = envelope.identities[index]
    if principal.principal_classification != msp_principal_pb2.MSPPrincipal.ROLE:
        raise PolicySyntaxError("only principals that name a role of an organization can be written as text")
    role = decode(msp_principal_pb2.MSPRole, principal.principal, PolicySyntaxError, "could not unmarshal MSPRole")
    if not _MSP_ID.fullmatch(role.msp_identifier) or int(role.role) not in _ROLES:
        raise PolicySyntaxError(f"principal '{role.msp_identifier}.{role.role}' cannot be written as text")
    return f"'{role.msp_identifier}.{Role(role.role).name.lower()}'"


def _gate(arguments: Sequence[Value]) -> Value:
    """First pass: any gate becomes the text of an ``outof`` call."""
    if len(arguments) < _MIN_GATE_ARGUMENTS:
        raise PolicySyntaxError(f"expected at least two arguments to NOutOf. Given {len(arguments)}")
    count = arguments[0]
    if isinstance(count, bool) or not isinstance(count, int | float | str):
        raise PolicySyntaxError(f"unexpected type {_go_type(count)}")
    shown = count if isinstance(count, str) else str(_whole(count))
    return f"outof({shown}, {', '.join(map(_quoted, arguments[1:]))})"


def _all_of(arguments: Sequence[Value]) -> Value:
    return _gate([len(arguments), *arguments])


def _any_of(arguments: Sequence[Value]) -> Value:
    return _gate([1, *arguments])


_GATES: Final = {
    **dict.fromkeys(_GATE_NAMES["and"], _all_of),
    **dict.fromkeys(_GATE_NAMES["or"], _any_of),
    **dict.fromkeys(_GATE_NAMES["outof"], _gate),
}


def _with_context(arguments: Sequence[Value]) -> Value:
    """Second pass: every call gets a place for the running principal number."""
    parts = ["ID"]
    for argument in arguments:
        if isinstance(argument, int | float) and not isinstance(argument, bool):
            parts.append(str(_whole(argument)))
        else:
            parts.append(_quoted(argument))
    return f"outof({', '.join(parts)})"


def _builder(principals: list[msp_principal_pb2.MSPPrincipal]) -> expression.Function:
    """Third pass: calls become rules, principals are numbered in the order of the text."""

    def build(arguments: Sequence[Value]) -> Value:
        if len(arguments) < _MIN_GATE_ARGUMENTS + 1:
            raise PolicySyntaxError(f"at least 3 arguments expected, got {len(arguments)}")
        needed, count = arguments[1], len(arguments) - 2
        if isinstance(needed, bool) or not isinstance(needed, int | float):
            raise PolicySyntaxError(f"unrecognized type, expected a number, got {_go_type(needed)}")
        if not 0 <= needed <= count + 1:
            raise PolicySyntaxError(f"invalid t-out-of-n predicate, t {_whole(needed)}, n {count}")
        rules = [_rule(argument, principals) for argument in arguments[2:]]
        gate = policies_pb2.SignaturePolicy.NOutOf(n=_whole(needed), rules=rules)
        return policies_pb2.SignaturePolicy(n_out_of=gate)

    return build


def _rule(argument: Value, principals: list[msp_principal_pb2.MSPPrincipal]) -> policies_pb2.SignaturePolicy:
    if isinstance(argument, policies_pb2.SignaturePolicy):
        return argument
    if not isinstance(argument, str):
        raise PolicySyntaxError(f"unrecognized type, expected a principal or a policy, got {_go_type(argument)}")
    found = _PRINCIPAL.fullmatch(argument)
    if found is None:
        raise PolicySyntaxError(f"error parsing principal {argument}")
    principals.append(role_principal(found[1], Role[found[2].upper()]))
    return policies_pb2.SignaturePolicy(signed_by=len(principals) - 1)


def _quoted(argument: Value) -> str:
    if not isinstance(argument, str):
        raise PolicySyntaxError(f"unexpected type {_go_type(argument)}")
    return f"'{argument}'" if _PRINCIPAL.fullmatch(argument) else argument


def _whole(number: float) -> int:
    try:
        return int(number)
    except (OverflowError, ValueError) as exc:
        raise PolicySyntaxError(f"not a usable number: {number}") from exc


def _go_type(value: Value) -> str:
    if value is None:
        return "%!s(<nil>)"
    names = {bool: "bool", int: "int", float: "float64", str: "string", list: "[]interface {}"}
    return names.get(type(value), type(value).__name__)
