"""What holds at once for a request: nobody uses the subject's data any more, or its word is recorded (PIPL 15, 24, 44).

Doing it again does no harm. Nothing here waits for another party or for the deletion.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np

from clients.consents.changes import TECHNICAL_DAYS, Changes, ConsentEvent
from clients.consents.node import bring_in_for_withdrawal
from clients.consents.rows import as_tokens
from clients.consents.tables import Restriction, Source
from clients.home import NodeHome
from clients.rights.cases import Case
from clients.rights.kinds import REFUSING, RESTRICTED
from clients.rights.telling import tell
from privacy.audit import EventType
from privacy.rights import ARTICLES_OF_KIND, RequestKind, Task

_EVERYTHING: Final = ""
_EVENTS: Final = {
    RequestKind.OPT_OUT: EventType.OPTOUT_SET,
    RequestKind.REFUSE_AUTOMATION: EventType.ADM_REFUSED_BY_SUBJECT,
}


def restrict(home: NodeHome, cases: Sequence[Case], now: datetime) -> None:
    """Put what holds at once in force, and log it.

    Raises `SchemaMismatch` for a consent log that cannot be read: the words hold, but for needs that nobody knows yet.
    """
    _restrict(home, [case for case in cases if case.kind in RESTRICTED], now)
    _record_words(home, [case for case in cases if case.kind in REFUSING], now)


def keep_restricted(home: NodeHome, cases: Sequence[Case], now: datetime, review: date) -> None:
    """What is too hard to delete stays restricted for that reason, and is looked at again (PIPL 47)."""
    tokens = [one.token for case in cases for one in case.subjects]
    if tokens:
        law = ARTICLES_OF_KIND[RequestKind.DELETE]
        home.consents.restrict(as_tokens(tokens), Restriction.TECHNICAL.value, law, now, review)


def review_day(now: datetime) -> date:
    """When what is too hard to delete is looked at again, at the latest."""
    return now.astimezone().date() + timedelta(days=TECHNICAL_DAYS)


def task_of(case: Case, party: str) -> Task:
    """What a partner is asked to do. Raises `KeyError` for one that shares no row."""
    rows = {} if case.locators is None else case.locators.partners
    return Task(
        case=case.number,
        kind=case.kind,
        received=case.received,
        due=case.due,
        rows=rows[party],
        purpose=case.record.purpose,
    )


def _restrict(home: NodeHome, cases: Sequence[Case], now: datetime) -> None:
    by_reason: defaultdict[tuple[Restriction, str], list[bytes]] = defaultdict(list)
    for case in cases:
        tokens = [one.token for one in case.subjects]
        by_reason[Restriction.REQUEST, ARTICLES_OF_KIND[case.kind]] += tokens
        if case.record.duty is not None:
            by_reason[Restriction.STATUTORY, case.record.duty.law] += tokens
    for (reason, law), tokens in by_reason.items():
        if tokens:
            home.consents.restrict(as_tokens(tokens), reason.value, law, now)
    tell(home, EventType.DSR_RESTRICTED, [case for case in cases if case.subjects])


def _record_words(home: NodeHome, cases: Sequence[Case], now: datetime) -> None:
    by_purpose: defaultdict[str, list[bytes]] = defaultdict(list)
    for case in cases:
        withdraws_all = case.kind is RequestKind.WITHDRAW and not case.record.purposes
        for purpose in (_EVERYTHING,) if withdraws_all else case.record.purposes:
            by_purpose[purpose] += [one.identifier for one in case.subjects]
    changes = _changes(home, now)
    try:
        if any(by_purpose.values()):
            # "Everything" is every need that the node knows: a yes that still lies in the file has to be among them.
            bring_in_for_withdrawal(home)
    finally:  # a file that cannot be read holds up the case, not the word
        for purpose, identifiers in by_purpose.items():
            if identifiers:
                people = np.array(sorted(set(identifiers)), dtype=np.bytes_)
                changes.withdraw(people, None if purpose == _EVERYTHING else purpose)
    for kind, event in _EVENTS.items():
        tell(home, event, [case for case in cases if case.kind is kind and case.subjects])


def _changes(home: NodeHome, now: datetime) -> Changes:
    def log(event: ConsentEvent) -> None:
        home.audit.append(
            event.type, actor="node", artefact=event.artefact, sref=event.sref, numbers=event.numbers
        )

    return Changes(home.consents, home.settings.table, Source.API, log, lambda: now)
