"""Set expressions over the parties' customers: who is in the result of a matching.

    bank & shop                 customers of both
    bank & (shop | telecom)     of the bank, and of the shop or the telecom
    bank - shop                 of the bank, not of the shop

`&` is the intersection, `|` the union, `-` the difference. Different signs side by side need parentheses: no
reader has to know which binds tighter. At most three operations lie inside one another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final

import numpy as np

from privacy.errors import ConfigInvalid

Members = np.ndarray[Any, np.dtype[np.bool_]]

MAXIMUM_DEPTH: Final = 3
LONGEST_EXPRESSION: Final = 1000
"""Characters; also what keeps parentheses from nesting beyond any use."""

MOST_PARTIES: Final = 16
"""In one expression: what it can show whom is decided over all combinations of lists."""

_OPERATIONS: Final[Mapping[str, Callable[[Members, Members], Members]]] = {
    "&": lambda left, right: left & right,
    "|": lambda left, right: left | right,
    "-": lambda left, right: left & ~right,
}
_TOKEN: Final = re.compile(r"\s*(?:(?P<name>[a-z][a-z0-9_-]*)|(?P<sign>[&|()-]))")


@dataclass(frozen=True, slots=True)
class Operation:
    """`sign` between all operands, from left to right (a - b - c is (a - b) - c)."""

    sign: str
    operands: tuple[Expression, ...]


Expression = str | Operation
"""A party's name, or an operation on expressions."""


def parse(source: str, parties: Collection[str]) -> Expression:
    """The expression that `source` writes.

    Raises `ConfigInvalid` for a sign in the wrong place, a name that is none of `parties`, signs that need
    parentheses, more than `MAXIMUM_DEPTH` operations inside one another, or more than `MOST_PARTIES` parties.
    """
    if len(source) > LONGEST_EXPRESSION:
        raise ConfigInvalid("members_unreadable", position=LONGEST_EXPRESSION)
    expression = _Parser(source, parties).whole()
    if len(_names(expression)) > MOST_PARTIES:
        raise ConfigInvalid("members_too_many", found=len(_names(expression)), maximum=MOST_PARTIES)
    if depth(expression) > MAXIMUM_DEPTH:
        raise ConfigInvalid("members_too_deep", found=depth(expression), maximum=MAXIMUM_DEPTH)
    return expression


def everybody(parties: Collection[str]) -> Expression:
    """The customers of all parties."""
    return Operation("&", tuple(parties))


def depth(expression: Expression) -> int:
    """Operations inside one another; 0 for a single party."""
    if isinstance(expression, str):
        return 0
    return 1 + max(depth(operand) for operand in expression.operands)


def has_difference(expression: Expression) -> bool:
    """Whether the expression takes anybody away."""
    if isinstance(expression, str):
        return False
    return expression.sign == "-" or any(has_difference(operand) for operand in expression.operands)


def select(expression: Expression, members: Mapping[str, Members]) -> Members:
    """Who of the union of all lists is in the result.

    members: per party, whether each element of the union is in its list; (n_union,) each.
    """
    if isinstance(expression, str):
        return members[expression]
    operands = (select(operand, members) for operand in expression.operands)
    return reduce(_OPERATIONS[expression.sign], operands)


def too_few(
    expression: Expression, party: str, shown: int, held: int, k_min: int, *, count_left_out: bool = False
) -> bool:
    """Whether telling a party its members of the result would single somebody out.

    shown: of the party's `held` customers, how many are in the result. Fewer than `k_min` are too few, and none is as
    telling as a few, unless the expression itself says that the party can have none. Where it takes somebody away,
    the same holds for those who are not in the result: they are known to be elsewhere. (An intersection tells a
    party about the rest of its customers too, but only that they are not elsewhere: that is limited only where
    `count_left_out` says so, for a result of which nothing but the size is told.)
    """
    own, chosen = _truth_table(expression, party)
    can_show, can_leave_out = bool((own & chosen).any()), bool((own & ~chosen).any())
    left_out = held - shown
    return (can_show and shown < k_min) or (
        (count_left_out or has_difference(expression)) and can_leave_out and left_out < k_min
    )


def _truth_table(expression: Expression, party: str) -> tuple[Members, Members]:
    """Every way in which somebody can be on the lists of the expression: on this party's, and in the result."""
    names = sorted({*_names(expression), party})
    rows = np.arange(1 << len(names))
    columns = {name: (rows >> place & 1).astype(np.bool_) for place, name in enumerate(names)}
    return columns[party], select(expression, columns)


def _names(expression: Expression) -> set[str]:
    if isinstance(expression, str):
        return {expression}
    return set().union(*map(_names, expression.operands))


class _Parser:
    """Reads expression := term (sign term)*, all signs alike; term := name or "(" expression ")"."""

    def __init__(self, source: str, parties: Collection[str]) -> None:
        self._source, self._parties = source, parties
        self._tokens = self._split()
        self._position = 0
        self._next: str | None = None
        self._advance()

    def whole(self) -> Expression:
        expression = self._expression()
        if self._next is not None:
            self._refuse()
        return expression

    def _split(self) -> Iterator[tuple[int, str]]:
        position, end = 0, len(self._source.rstrip())
        while position < end:
            found = _TOKEN.match(self._source, position)
            if found is None:
                raise ConfigInvalid("members_unreadable", position=position + 1)
            position = found.end()
            yield position, found["name"] or found["sign"]

    def _advance(self) -> None:
        self._position, self._next = next(self._tokens, (len(self._source), None))

    def _refuse(self) -> None:
        raise ConfigInvalid("members_unreadable", position=self._position)

    def _expression(self) -> Expression:
        operands = [self._term()]
        sign = self._next
        if sign is None or sign not in _OPERATIONS:
            return operands[0]
        while self._next in _OPERATIONS:
            if self._next != sign:
                raise ConfigInvalid("members_need_parentheses", first=sign, second=self._next)
            self._advance()
            operands.append(self._term())
        return Operation(sign, tuple(operands))

    def _term(self) -> Expression:
        token = self._next
        if token == "(":  # noqa: S105
            self._advance()
            inner = self._expression()
            if self._next != ")":
                self._refuse()
            self._advance()
            return inner
        if token is None or token in _OPERATIONS or token == ")":  # noqa: S105
            self._refuse()
        name = str(token)
        if name not in self._parties:
            raise ConfigInvalid("members_stranger", name=name, known=", ".join(sorted(self._parties)))
        self._advance()
        return name
