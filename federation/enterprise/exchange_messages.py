"""What a partner says of firms: points by topic, hits of rules, types, first warnings."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from federation.messages import Array, Message
from federation.roles import Disclosure, Disclosures

MOST_NAMES: Final = 16
"""More topics or rules than anybody has."""

Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,31}\Z")]
Names = Annotated[tuple[Name, ...], Meta(max_length=MOST_NAMES)]


class Answer(Message, frozen=True, tag="enterprise.answer/1"):
    """F to L, for all n aligned rows.

    answered (b1, n): what is said of other rows means nothing, and is zero. topics: those that F scores; points
    (u1, n x topics). rules: reasons whose column F holds; hits (b1, n x rules). kinds (i1, n, or none where F cannot
    tell): places in `kinds.KINDS`, -1 for unknown. months: of F's panel, 0 without one; month (u1, n, or none without
    a panel): of the first warning, counted from 1, 0 for none; strength (u1, likewise): 1 to 3, 0 for none.
    """

    answered: Array
    topics: Names
    points: Array
    rules: Names
    hits: Array
    kinds: Array
    months: Annotated[int, Meta(ge=0, le=120)]
    month: Array
    strength: Array


MESSAGES: Final[tuple[type[Message], ...]] = (Answer,)

DISCLOSES: Final = Disclosures(
    protocol="enterprise",
    label_holder=(
        Disclosure("topic_points", ("enterprise.answer/1",), per_row=True),
        Disclosure("rule_hits", ("enterprise.answer/1",), per_row=True),
        Disclosure("kind", ("enterprise.answer/1",), per_row=True),
        Disclosure("warning", ("enterprise.answer/1",), per_row=True),
    ),
    coordinator=(Disclosure("sizes", ("enterprise.answer/1",)),),
)
