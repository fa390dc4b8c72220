"""Whether a subject may be asked for consent again: not soon after a no, and not soon after the last time it was asked.

Before the holder's own system shows a request for consent, it asks here. 网络数据安全管理条例 article 22 (5) forbids to
ask again and again after a refusal; how long that is, it does not say: `PROMPT_COOLDOWN_DAYS` is our choice, and a
policy may lengthen it. A refusal is any word on the purpose that is a no, and for marketing also one to personalised
marketing. Days are calendar days in this machine's time zone.
What is kept: token, purpose and day, deleted with the subject. An imported no without a time counts from the first time
that somebody wants to ask.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

import msgspec
import numpy as np
from sqlalchemy import Connection, delete, insert, select

from clients.audiences.standing import PERSONALISED_MARKETING
from clients.consents.changes import FEWEST_COUNTED, SUBJECTS_WITH_REFERENCE
from clients.consents.node import bring_in, changes_of
from clients.consents.rows import TOKENS_PER_QUERY, Asked, as_bytes
from clients.consents.subjects import kind_label
from clients.consents.tables import Source, needs, prompts, states
from clients.consents.writing import change
from clients.gate.policy import active_policy
from clients.home import NodeHome
from clients.tables.times import NO_MOMENT, moment, time_of
from federation.pace import utc_now
from privacy.audit import EventType
from privacy.errors import Denied
from privacy.joining import Tokens
from privacy.policy import Policy, PurposeClass
from privacy.reasons import Finding, Reason


class MayAsk(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whether one subject may be asked now. reason: why not, a code; since: the first day on which it may be, where a
    day is known.
    """

    may_ask: bool
    reason: str = ""
    since: date | None = None


class _Met(NamedTuple):
    """When a subject said no last, and when it was asked last; `NO_MOMENT` for never, -1 for a no without a time."""

    refused: int = NO_MOMENT
    asked: int = NO_MOMENT


_UNTIMED: Final = -1
_YES: Final = MayAsk(True)
_RESTRICTED: Final = MayAsk(False, Reason.RESTRICTED_STATE.value)


def ask(
    home: NodeHome, cells: Sequence[str], purpose: str, source: Source, now: datetime | None = None
) -> list[MayAsk]:
    """(n,) answers, one per identifier; each yes is remembered as asked, and logged as a notice that is shown.

    Raises `IdentifierInvalid`, and `Denied` for a purpose that the policy in force does not register.
    """
    policy, at = active_policy(home), now or utc_now()
    registered = policy.purpose(purpose)
    if registered is None:
        raise Denied.of([Finding(Reason.PURPOSE_UNREGISTERED, purpose)])
    bring_in(home)
    identifiers = changes_of(home, source).identifiers(cells)
    asked = Asked(home.consents.tokens(kind_label(home.settings.table), identifiers))
    restricted = home.consents.restricted(asked.distinct, at)
    is_marketing = registered.treatment is PurposeClass.MARKETING
    refusals = (purpose, PERSONALISED_MARKETING) if is_marketing else (purpose,)
    with change(home.consents.engine) as (connection, _):  # of two who ask at once, one is the second
        met = _met(connection, asked.distinct, purpose, refusals)
        answers = [
            _RESTRICTED if held else _answer(found, policy.prompt_cooldown_days, at)
            for held, found in zip(restricted.tolist(), met, strict=True)
        ]
        begins = [
            answer.may_ask or (found.refused == _UNTIMED and not found.asked)
            for answer, found in zip(answers, met, strict=True)
        ]
        _remember(connection, asked.distinct[np.array(begins, np.bool_)], purpose, at)
    shown = asked.distinct[np.array([answer.may_ask for answer in answers], np.bool_)]
    _log(home, policy, purpose, shown, source, at)
    return [answers[place] for place in asked.spread(np.arange(len(answers))).tolist()]


def _answer(met: _Met, days: int, at: datetime) -> MayAsk:
    refused = moment(at) if met.refused == _UNTIMED and not met.asked else met.refused
    last = time_of(max(refused, met.asked, NO_MOMENT))
    if last is None:
        return _YES
    since = last.astimezone().date() + timedelta(days=days)
    return _YES if at.astimezone().date() >= since else MayAsk(False, Reason.PROMPT_COOLDOWN.value, since)


def _met(connection: Connection, tokens: Tokens, purpose: str, refusals: Sequence[str]) -> list[_Met]:
    refused: dict[bytes, int] = {}
    asked: dict[bytes, int] = {}
    wanted = as_bytes(tokens)
    codes = list(connection.execute(select(needs.c.code).where(needs.c.purpose.in_(refusals))).scalars())
    said = select(states.c.token, states.c.stated).where(states.c.need.in_(codes), ~states.c.granted)
    shown = select(prompts.c.token, prompts.c.at).where(prompts.c.purpose == purpose)
    for start in range(0, len(wanted), TOKENS_PER_QUERY):
        part = wanted[start : start + TOKENS_PER_QUERY]
        for token, stated in connection.execute(said.where(states.c.token.in_(part))):
            refused[token] = max(refused.get(token, _UNTIMED), stated or _UNTIMED)
        for token, when in connection.execute(shown.where(prompts.c.token.in_(part))):
            asked[token] = when
    return [_Met(refused.get(token, NO_MOMENT), asked.get(token, NO_MOMENT)) for token in wanted]


def _remember(connection: Connection, tokens: Tokens, purpose: str, at: datetime) -> None:
    wanted = as_bytes(tokens)
    for start in range(0, len(wanted), TOKENS_PER_QUERY):
        part = wanted[start : start + TOKENS_PER_QUERY]
        old = delete(prompts).where(prompts.c.purpose == purpose, prompts.c.token.in_(part))
        connection.execute(old)
        connection.execute(
            insert(prompts), [{"token": token, "purpose": purpose, "at": moment(at)} for token in part]
        )


def _log(home: NodeHome, policy: Policy, purpose: str, shown: Tokens, source: Source, at: datetime) -> None:
    """As changes of consents are told: few people each by reference, more by their number."""
    if len(shown) > SUBJECTS_WITH_REFERENCE:
        told = [("", {"subjects": len(shown) // FEWEST_COUNTED * FEWEST_COUNTED})]
    else:
        told = [(sref, {}) for sref in home.consents.srefs(shown, purpose, at.year)]
    for sref, numbers in told:
        home.audit.append(
            EventType.NOTICE_PRESENTED,
            actor=source.value,
            artefact=purpose,
            policy=policy.digest,
            sref=sref,
            numbers=numbers,
        )
