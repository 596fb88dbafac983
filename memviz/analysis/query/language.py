"""The language of queries: `read_weights.effective_slots > 8 and correct == False` as a small tree.

    either     = both {"or" both}
    both       = negated {"and" negated}
    negated    = "not" negated | comparison
    comparison = operand {("==" | "!=" | "<" | "<=" | ">" | ">=" | ["not"] "in") operand}
    operand    = number | string | "True" | "False" | "[" operand {"," operand} "]" | term | "(" either ")"
    term       = name ["[" number "]"] ["." statistic]

A chain such as `0.1 < usage.mean <= 0.5` means what it means in Python. Nothing is ever evaluated as Python: the text
is cut into tokens and read by the functions below, which know nothing but this grammar. Length, number of tokens and
depth are bounded before anything else happens.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from memviz.errors import QueryError

LONGEST = 1000
"""Characters of a query."""

DEEPEST = 24
"""How deep parentheses and `not` may nest."""

COMPARISONS = ("==", "!=", "<=", ">=", "<", ">", "in", "not in")

_CONSTANTS = {"True": True, "False": False, "true": True, "false": False}
_WORDS = ("and", "or", "not", "in")
_MEANT = {"=": "==", "&": "and", "&&": "and", "|": "or", "||": "or", "!": "not", "<>": "!=", "=<": "<=", "=>": ">="}

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
    | (?P<string>"[^"]*"|'[^']*')
    | (?P<quoted>`[^`]+`)
    | (?P<name>[^\W\d]\w*(?:[./]\w+)*)
    | (?P<mark>==|!=|<=|>=|<>|=<|=>|&&|\|\||[<>()\[\],.=&|!-])
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Constant:
    """A number, a text, True or False."""

    value: float | str | bool


@dataclass(frozen=True, slots=True)
class Listing:
    """What may stand right of `in`."""

    values: tuple[float | str | bool, ...]


@dataclass(frozen=True, slots=True)
class Term:
    """A name with what follows it, as it was written; `at` is where in the text, for errors.

    Attributes:
        name: a field, label, scalar or one of record, step, time, item, head; with its statistic after a last dot.
        index: position along the first axis that a statistic would sum up, or None.
        statistic: what stood after the index or after a quoted name, or "".
        quoted: the name stood in backticks, so it is taken whole.
        at: position in the text.
        text: as it was written.
    """

    name: str
    index: int | None
    statistic: str
    quoted: bool
    at: int
    text: str


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    of: Node


@dataclass(frozen=True, slots=True)
class Join:
    """All of several, or any of them.

    Attributes:
        every: "and" rather than "or".
        parts: at least two.
    """

    every: bool
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    """A chain of comparisons.

    Attributes:
        operands: one more than there are operators.
        operators: of COMPARISONS.
    """

    operands: tuple[Node, ...]
    operators: tuple[str, ...]


Node = Constant | Listing | Term | Not | Join | Compare


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


def parse(text: str) -> Node:
    """Read a query.

    Raises:
        QueryError: it is not in the language; the message says where, and what was expected.
    """
    if len(text) > LONGEST:
        raise QueryError(text[:LONGEST], LONGEST, f"a query has at most {LONGEST} characters, this one {len(text)}")
    reader = _Reader(text, _tokens(text))
    node = reader.either(0)
    if not reader.at_end:
        raise reader.unexpected("and, or, or the end")
    return node


def terms(node: Node) -> list[Term]:
    """All terms of a query, in the order of the text."""
    if isinstance(node, Term):
        return [node]
    if isinstance(node, Not):
        return terms(node.of)
    parts = node.parts if isinstance(node, Join) else node.operands if isinstance(node, Compare) else ()
    return [term for part in parts for term in terms(part)]


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            start = at + len(text[at:]) - len(text[at:].lstrip())
            odd = text[start]
            what = "a text that does not end" if odd in "\"'`" else f"{odd!r}"
            if odd.isdigit():
                what = f"{text[start:].split()[0]!r}, which is neither a number nor a name (a name may stand in `...`)"
            raise QueryError(text, start, f"{what} means nothing in a query")
        kind = match.lastgroup
        found.append(_Token(kind, match.group(kind), match.start(kind)))
        at = match.end()
    return found


class _Reader:
    """Reads tokens from left to right; one method per rule of the grammar."""

    def __init__(self, text: str, tokens: list[_Token]) -> None:
        self._text = text
        self._tokens = tokens
        self._at = 0

    @property
    def at_end(self) -> bool:
        return self._at == len(self._tokens)

    def either(self, depth: int) -> Node:
        parts = [self.both(depth)]
        while self._take("or"):
            parts.append(self.both(depth))
        return parts[0] if len(parts) == 1 else Join(False, tuple(parts))

    def both(self, depth: int) -> Node:
        parts = [self.negated(depth)]
        while self._take("and"):
            parts.append(self.negated(depth))
        return parts[0] if len(parts) == 1 else Join(True, tuple(parts))

    def negated(self, depth: int) -> Node:
        if self._take("not"):
            return Not(self.negated(self._deeper(depth)))
        return self.comparison(depth)

    def comparison(self, depth: int) -> Node:
        operands, operators = [self.operand(depth)], []
        while (operator := self._operator()) is not None:
            start = self._at
            operands.append(self.operand(depth))
            if (operator in ("in", "not in")) != isinstance(operands[-1], Listing):
                self._at = start
                wanted = "a list such as [1, 2]" if operator.endswith("in") else "a number, a text or a name"
                raise self.unexpected(wanted)
            operators.append(operator)
        if not operators and isinstance(operands[0], Listing):
            self._at -= 1
            raise self.unexpected("a comparison; a list can only follow in")
        return operands[0] if not operators else Compare(tuple(operands), tuple(operators))

    def operand(self, depth: int) -> Node:
        if self._take("("):
            node = self.either(self._deeper(depth))
            self._need(")")
            return node
        if self._take("["):
            values = [self._constant()]
            while self._take(","):
                values.append(self._constant())
            self._need("]")
            return Listing(tuple(values))
        token = self._peek()
        if token is not None and token.kind in ("name", "quoted") and token.text not in (*_WORDS, *_CONSTANTS):
            return self._term()
        return Constant(self._constant())

    def _constant(self) -> float | str | bool:
        negative = self._take("-")
        token = self._peek()
        if token is not None and token.kind == "number":
            self._at += 1
            return -float(token.text) if negative else float(token.text)
        if negative:
            raise self.unexpected("a number after the -")
        if token is not None and token.kind == "string":
            self._at += 1
            return token.text[1:-1]
        if token is not None and token.text in _CONSTANTS:
            self._at += 1
            return _CONSTANTS[token.text]
        raise self.unexpected("a name, a number, a text or a parenthesis")

    def _term(self) -> Term:
        token = self._tokens[self._at]
        self._at += 1
        quoted = token.kind == "quoted"
        index, statistic = None, ""
        if self._take("["):
            number = self._peek()
            if number is None or number.kind != "number" or not number.text.isdigit():
                raise self.unexpected("a whole number, the position of a slot")
            self._at += 1
            index = int(number.text[:18])
            self._need("]")
        if (quoted or index is not None) and self._take("."):
            name = self._peek()
            if name is None or name.kind != "name":
                raise self.unexpected("the name of a statistic after the .")
            self._at += 1
            statistic = name.text
        last = self._tokens[self._at - 1]
        text = self._text[token.at : last.at + len(last.text)]
        return Term(token.text.strip("`"), index, statistic, quoted, token.at, text)

    def _operator(self) -> str | None:
        token = self._peek()
        if token is None:
            return None
        following = self._tokens[self._at + 1] if self._at + 1 < len(self._tokens) else None
        if token.text == "not" and following is not None and following.text == "in":
            self._at += 2
            return "not in"
        if token.kind != "string" and token.text in COMPARISONS:
            self._at += 1
            return token.text
        return None

    def _peek(self) -> _Token | None:
        return None if self.at_end else self._tokens[self._at]

    def _take(self, text: str) -> bool:
        token = self._peek()
        if token is not None and token.kind in ("mark", "name") and token.text == text:
            self._at += 1
            return True
        return False

    def _need(self, text: str) -> None:
        if not self._take(text):
            raise self.unexpected(f"{text!r}")

    def _deeper(self, depth: int) -> int:
        if depth >= DEEPEST:
            raise QueryError(self._text, self._tokens[self._at - 1].at, f"a query nests at most {DEEPEST} deep")
        return depth + 1

    def unexpected(self, expected: str) -> QueryError:
        token = self._peek()
        if token is None:
            return QueryError(self._text, len(self._text), f"the query ends where {expected} was expected")
        meant = f"; did you mean {_MEANT[token.text]!r}?" if token.text in _MEANT else ""
        return QueryError(self._text, token.at, f"expected {expected}, got {token.text!r}{meant}")
