"""The small expression language in which Fabric's policy texts are written (``expr-lang/expr``, the part they use).

Knows calls, strings, numbers, ``+ - * /``, comparison, lists and ``;``. Must not know what a policy is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fabric_admin.errors import PolicySyntaxError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Function = Callable[[Sequence["Value"]], "Value"]

MAX_DEPTH: Final = 64
MAX_DIGITS: Final = 18
MAX_OPERATIONS: Final = 64
MAX_CHARACTERS: Final = 1 << 20

Value = object
"""What an expression may yield: str, int, float, bool, None, list, or whatever a function returns."""

_TOKEN: Final = re.compile(
    r"""\s*(?:
        (?P<number>(?:[0-9][0-9_]*\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
      | (?P<string>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`[^`]*`)
      | (?P<name>[A-Za-z_$][A-Za-z0-9_$]*)
      | (?P<bracket>[()\[\]{}])
      | (?P<operator>\.\.|==|!=|<=|>=|&&|\|\||\*\*|\?\.|\?\?|[-+*/%.,;<>!?:|^#=])
    )""",
    re.VERBOSE,
)
_WORD_OPERATORS: Final = frozenset({"and", "or", "not", "in", "matches", "contains", "startsWith", "endsWith", "let"})
_CONSTANTS: Final[Mapping[str, Value]] = {"true": True, "false": False, "nil": None}
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int

    def __str__(self) -> str:
        return "EOF" if self.kind == "EOF" else f'{self.kind}("{self.text}")'


@dataclass(frozen=True, slots=True)
class _Literal:
    value: Value


@dataclass(frozen=True, slots=True)
class _Name:
    text: str
    position: int


@dataclass(frozen=True, slots=True)
class _Call:
    function: str
    arguments: tuple[_Node, ...]
    position: int


@dataclass(frozen=True, slots=True)
class _List:
    items: tuple[_Node, ...]


@dataclass(frozen=True, slots=True)
class _Operation:
    operator: str
    operands: tuple[_Node, ...]
    position: int


_Node = _Literal | _Name | _Call | _List | _Operation


def evaluate(text: str, functions: Mapping[str, Function], names: Mapping[str, Value] | None = None) -> Value:
    """Return the value of ``text``; raises PolicySyntaxError with the line and column where it fails."""
    if len(text) > MAX_CHARACTERS:
        raise PolicySyntaxError(f"the policy is longer than {MAX_CHARACTERS} characters")
    parser = _Parser(text)
    try:
        nodes = parser.parse()
        checker = _Evaluator(text, functions, names or {})
        for node in nodes:
            checker.check(node)
        return [checker.value(node) for node in nodes][-1]
    except RecursionError as exc:
        # MAX_DEPTH is meant to come first; a caller deep in its own stack leaves less room.
        raise PolicySyntaxError("the policy is nested too deeply") from exc


def _error(text: str, position: int, message: str) -> PolicySyntaxError:
    if not text:
        return PolicySyntaxError(message)
    before = text[:position]
    line, column = before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1
    return PolicySyntaxError(f"{message} ({line}:{column})")


def _tokens(text: str) -> list[_Token]:
    found = []
    position = 0
    while True:
        match = _TOKEN.match(text, position)
        if match is None:
            rest = text[position:].lstrip()
            if rest:
                raise _error(text, len(text) - len(rest), f"unrecognized character: U+{ord(rest[0]):04X} '{rest[0]}'")
            found.append(_Token("EOF", "", position))
            return found
        kind = str(match.lastgroup)
        content = match[kind]
        shown = {"number": "Number", "string": "String", "bracket": "Bracket", "operator": "Operator"}.get(kind)
        if shown is None:
            shown = "Operator" if content in _WORD_OPERATORS else "Identifier"
        found.append(_Token(shown, content, match.start(kind)))
        position = match.end()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._index = 0
        self._depth = 0
        self._operations = 0

    def parse(self) -> list[_Node]:
        nodes = [self._comparison()]
        while self._take(";"):
            if self._current.kind == "EOF":
                break
            nodes.append(self._comparison())
        if self._current.kind != "EOF":
            raise self._unexpected()
        return nodes

    @property
    def _current(self) -> _Token:
        return self._tokens[self._index]

    def _unexpected(self) -> PolicySyntaxError:
        return _error(self._text, self._position_shown(), f"unexpected token {self._current}")

    def _position_shown(self) -> int:
        """The end of input is reported at the last character read."""
        token = self._current
        if token.kind != "EOF":
            return token.position
        return max(len(self._text) - 1, 0)

    def _advance(self) -> _Token:
        token = self._current
        self._index += 1
        return token

    def _take(self, *texts: str) -> _Token | None:
        token = self._current
        if token.kind in ("Operator", "Bracket") and token.text in texts:
            return self._advance()
        return None

    def _expect(self, text: str) -> None:
        if self._take(text) is None:
            raise self._unexpected()

    def _comparison(self) -> _Node:
        return self._binary(("==", "!=", "<", ">", "<=", ">="), self._sum)

    def _sum(self) -> _Node:
        return self._binary(("+", "-"), self._product)

    def _product(self) -> _Node:
        return self._binary(("*", "/", "%"), self._unary)

    def _binary(self, operators: tuple[str, ...], operand: Callable[[], _Node]) -> _Node:
        node = operand()
        while (token := self._take(*operators)) is not None:
            self._count_operation(token)
            node = _Operation(token.text, (node, operand()), token.position)
        return node

    def _count_operation(self, token: _Token) -> None:
        """Bound chains such as ``1+1+1``: each link is one level more to walk, and strings and numbers grow with it."""
        self._operations += 1
        if self._operations > MAX_OPERATIONS:
            raise _error(self._text, token.position, f"more than {MAX_OPERATIONS} operations")

    def _unary(self) -> _Node:
        token = self._take("-", "+")
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _error(self._text, self._current.position, f"nested more than {MAX_DEPTH} levels deep")
        node = self._primary() if token is None else _Operation(token.text, (self._unary(),), token.position)
        self._depth -= 1
        return node

    def _primary(self) -> _Node:
        node = self._atom()
        while self._take(".", "?."):
            if self._current.kind != "Identifier" and self._current.text not in _WORD_OPERATORS:
                raise self._unexpected()
            member = self._advance()
            self._count_operation(member)
            node = _Operation(".", (node,), member.position)
        return node

    def _atom(self) -> _Node:
        token = self._current
        if token.kind == "Number":
            return _Literal(self._number(self._advance()))
        if token.kind == "String":
            return _Literal(self._string(self._advance()))
        if token.kind == "Identifier":
            return self._identifier(self._advance())
        if self._take("("):
            node = self._comparison()
            self._expect(")")
            return node
        if self._take("["):
            return _List(self._items("]"))
        raise self._unexpected()

    def _identifier(self, token: _Token) -> _Node:
        if token.text in _CONSTANTS:
            return _Literal(_CONSTANTS[token.text])
        if self._take("("):
            return _Call(token.text, self._items(")"), token.position)
        return _Name(token.text, token.position)

    def _items(self, closing: str) -> tuple[_Node, ...]:
        items: list[_Node] = []
        while not self._take(closing):
            if items:
                self._expect(",")
                if self._take(closing):
                    break
            items.append(self._comparison())
        return tuple(items)

    def _number(self, token: _Token) -> int | float:
        digits = token.text.replace("_", "")
        if len(digits) > MAX_DIGITS:
            raise _error(self._text, token.position, "value out of range")
        return int(digits) if digits.isdecimal() else float(digits)

    def _string(self, token: _Token) -> str:
        body = token.text[1:-1]
        if token.text[0] == "`":
            return body
        unknown = re.search(r"\\[^nrtabfv\\'\"]", re.sub(r"\\\\", "", body))
        if unknown is not None:
            raise _error(self._text, token.position, "invalid char escape")
        return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), body)


class _Evaluator:
    def __init__(self, text: str, functions: Mapping[str, Function], names: Mapping[str, Value]) -> None:
        self._text = text
        self._functions = functions
        self._names = names

    def check(self, node: _Node) -> None:
        """Refuse unknown names before anything runs."""
        match node:
            case _Name():
                if node.text not in self._names:
                    raise _error(self._text, node.position, f"unknown name {node.text}")
                return
            case _Call():
                if node.function not in self._functions:
                    raise _error(self._text, node.position, f"unknown name {node.function}")
                children = node.arguments
            case _List():
                children = node.items
            case _Operation():
                children = node.operands
            case _:
                return
        for child in children:
            self.check(child)

    def value(self, node: _Node) -> Value:
        match node:
            case _Literal():
                return node.value
            case _Call():
                arguments = [self.value(argument) for argument in node.arguments]
                try:
                    return self._functions[node.function](arguments)
                except PolicySyntaxError as exc:
                    raise _error(self._text, node.position, str(exc)) from exc
            case _List():
                return [self.value(item) for item in node.items]
            case _Operation():
                return self._operate(node)
            case _Name():
                return self._names[node.text]

    def _operate(self, node: _Operation) -> Value:
        operands = [self.value(operand) for operand in node.operands]
        if node.operator in ("==", "!="):
            return (operands[0] == operands[1]) is (node.operator == "==")
        if all(isinstance(each, str) for each in operands) and node.operator == "+" and len(operands) > 1:
            return "".join(map(str, operands))
        numbers = [each for each in operands if isinstance(each, int | float) and not isinstance(each, bool)]
        if len(numbers) != len(operands):
            raise _error(self._text, node.position, f"invalid operation: {node.operator}")
        try:
            return _calculate(node.operator, numbers)
        except (ZeroDivisionError, OverflowError, TypeError) as exc:
            raise _error(self._text, node.position, f"invalid operation: {node.operator}") from exc


def _calculate(operator: str, numbers: Sequence[int | float]) -> Value:
    left, right = (0, *numbers)[-2:]
    results: Mapping[str, Callable[[], Value]] = {
        "+": lambda: left + right,
        "-": lambda: left - right,
        "*": lambda: left * right,
        "/": lambda: left / right,
        "%": lambda: left % right,
        "<": lambda: left < right,
        ">": lambda: left > right,
        "<=": lambda: left <= right,
        ">=": lambda: left >= right,
    }
    calculate = results.get(operator)
    if calculate is None:
        raise TypeError(operator)
    return calculate()
