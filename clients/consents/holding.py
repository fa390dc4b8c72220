"""What the store holds about single subjects, for themselves and for the officer who answers them (PIPL article 45)."""

from __future__ import annotations

from datetime import datetime

import msgspec
from sqlalchemy import select

from clients.consents.rows import TOKENS_PER_QUERY, as_bytes
from clients.consents.store import ConsentStore
from clients.consents.tables import needs, notices, restrictions, states
from clients.tables.times import NO_MOMENT, moment, time_of
from privacy.joining import Tokens


class HeldWord(msgspec.Struct, frozen=True):
    """The word that holds on one need. status: granted, withdrawn or expired."""

    purpose: str
    kind: str
    scope: str
    recipient: str
    status: str
    notice: str
    stated: datetime | None
    until: datetime | None


class HeldRestriction(msgspec.Struct, frozen=True):
    """One restriction that holds."""

    reason: str
    law: str
    since: datetime | None
    review: datetime | None


class Held(msgspec.Struct, frozen=True):
    """Everything about one subject; empty for one that the store does not know."""

    words: tuple[HeldWord, ...] = ()
    restrictions: tuple[HeldRestriction, ...] = ()


def held(store: ConsentStore, tokens: Tokens, at: datetime) -> list[Held]:
    """What is held about each subject, in the order of the tokens (few of them)."""
    now = moment(at)
    words: dict[bytes, list[HeldWord]] = {}
    restricted: dict[bytes, list[HeldRestriction]] = {}
    asked = as_bytes(tokens)
    said = (
        select(states, needs, notices.c.notice.label("shown"))
        .join(needs, needs.c.code == states.c.need)
        .join(notices, notices.c.code == states.c.notice)
        .order_by(needs.c.code)
    )
    holds = select(restrictions).where((restrictions.c.lifted == NO_MOMENT) | (restrictions.c.lifted > now))
    with store.engine.connect() as connection:
        codes = select(needs.c.code)
        for start in range(0, len(asked), TOKENS_PER_QUERY):
            part = asked[start : start + TOKENS_PER_QUERY]
            for row in connection.execute(said.where(states.c.need.in_(codes), states.c.token.in_(part))):
                is_over = row.until != NO_MOMENT and row.until <= now
                status = "withdrawn" if not row.granted else "expired" if is_over else "granted"
                word = HeldWord(
                    row.purpose, row.kind, row.scope, row.recipient,
                    status, row.shown, time_of(row.stated), time_of(row.until),
                )  # fmt: skip
                words.setdefault(row.token, []).append(word)
            for row in connection.execute(holds.where(restrictions.c.token.in_(part))):
                one = HeldRestriction(row.code, row.law, time_of(row.since), time_of(row.review))
                restricted.setdefault(row.token, []).append(one)
    return [Held(tuple(words.get(one, ())), tuple(restricted.get(one, ()))) for one in asked]
