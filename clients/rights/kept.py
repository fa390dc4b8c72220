"""What a case has left behind: a row that a law keeps, or one in a file that could not be written (PIPL 47).

A case that ends while a row is kept says from which day on somebody has to look again (`Case.kept_until`), and keeps of
the subject what leads to that row and to nobody else: its token in the consent store, sealed. From that day on there is
an alarm, until an officer reopens the case: what was kept is erased as it would have been before. Where a law keeps it
still, or the file cannot be written yet, the case ends with a new day. The first answer keeps its date.
What it does not promise. Cases that ended before there were such days have none. A model that is to be trained again
has a deadline of its own (`clients.forgetting.cards`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

import msgspec

from clients.home import NodeHome
from clients.rights.cases import KEPT_RESULTS, KEPT_ROWS, Case, Locators
from clients.rights.duties import duties_of
from clients.rights.located import NOWHERE, Located
from clients.rights.locating import locate_tokens
from clients.rights.restricting import restrict
from clients.rights.store import CaseStore
from clients.rights.telling import tell
from privacy.audit import EventType
from privacy.errors import ConfigInvalid
from privacy.rights import Artefact, CaseState, RequestKind


def what_stays(case: Case) -> Locators | None:
    """What is kept of where the subject is when a case ends: nothing, or of a kept row the token."""
    if case.kept_until is None or not case.subjects:
        return None
    left = (Located(identifier=b"", token=one.token, row=NOWHERE) for one in case.subjects)
    return Locators(located=tuple(left))


def due_again(store: CaseStore, today: date) -> list[str]:
    """The cases that have ended and whose day has come, the longest waiting first."""
    return [line.number for line, _ in store.kept_lines(today) if line.state is CaseState.COMPLETED]


def reopen(
    home: NodeHome, store: CaseStore, numbers: Sequence[str], now: datetime, actor: str = "operator"
) -> list[Case]:
    """Have what was kept of these cases erased; the cases as they go on, all of them or none.

    Raises `ConfigInvalid` for a case that there is not, that is open, or of which no row is kept; as `scope` does for a
    table or duties that cannot be read.
    """
    known = store.many(list(dict.fromkeys(numbers)))
    for number in numbers:
        if number not in known:
            raise ConfigInvalid("rights_case_unknown", case=number)
        case = known[number]
        if case.state is not CaseState.COMPLETED or case.kept_until is None or not case.subjects:
            raise ConfigInvalid("rights_nothing_kept", case=number)
    chosen = list(known.values())
    located = iter(locate_tokens(home, [one.token for case in chosen for one in case.subjects]))
    groups = [tuple(next(located) for _ in case.subjects) for case in chosen]
    today = now.astimezone().date()
    duties = iter(duties_of(home, [one for group in groups for one in group], today))
    opened = []
    for case, group in zip(chosen, groups, strict=True):
        held = [duty for _ in group if (duty := next(duties)) is not None]
        record = msgspec.structs.replace(
            case.record,
            duty=held[-1] if held and case.kind is RequestKind.DELETE else None,
            outcomes=tuple(one for one in case.record.outcomes if not _is_kept(case, one.artefact)),
            problem="",
            retries=0,
            reopened=now,
        )
        locators = Locators(located=group)
        opened.append(
            msgspec.structs.replace(
                case, state=CaseState.RESTRICTED, updated=now, wake=now, record=record, locators=locators
            )
        )
    restrict(
        home, [case for case in opened if case.record.duty is not None], now
    )  # the law may be another one
    tell(home, EventType.DSR_REOPENED, opened, actor=actor)
    with store.transaction() as connection:
        saved = store.save(connection, opened)
    if len(saved) < len(opened):  # somebody else has reopened one in the meantime
        raise ConfigInvalid("rights_nothing_kept", case=(set(known) - {case.number for case in saved}).pop())
    return saved


def _is_kept(case: Case, artefact: Artefact) -> bool:
    """Whether this part of a row was kept, and is to be erased now."""
    if artefact not in KEPT_ROWS or artefact not in case.record.artefacts:
        return False
    return any(one.artefact is artefact and one.result in KEPT_RESULTS for one in case.record.outcomes)
