"""Scoping: the policy in force is pinned, and where the subjects are is written down, before anything is deleted.

From then on a case depends neither on a later policy nor on the table, the matchings or the consent store as they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec

from clients.consents.rows import as_tokens
from clients.gate.policy import active_policy
from clients.home import NodeHome
from clients.rights.cases import Case, Duty, Locators
from clients.rights.duties import duties_of
from clients.rights.kinds import ANSWERED, TOLD, artefacts_of, purposes_of
from clients.rights.located import Located
from clients.rights.locating import locate, locate_shared, partners_of, with_matchings
from privacy.errors import Denied
from privacy.policy import Policy
from privacy.rights import Artefact, Outcome, RequestKind, Result, SharedRow

RIGHTS: Final = "rights"
"""The project under which the log's references to subjects of cases are made (`ConsentStore.srefs`)."""
CONTRADICTORY: Final = "rights.outcome.contradictory"
NOBODY: Final = "rights.outcome.nobody"
UNCLEAR: Final = "rights.erasing.unclear"


def scope(home: NodeHome, cases: Sequence[Case], now: datetime) -> list[Case]:
    """Cases with their plan and locators; doing it again gives the same, as long as nothing has changed.

    Raises `SchemaMismatch` for a table that cannot be read, `ConfigInvalid` for duties that cannot.
    """
    policy = _policy(home)
    subjects, problems = _subjects(home, cases)
    found = [one for group in subjects for one in group]
    srefs = _srefs(home, cases, subjects)
    partners = iter(partners_of(home, found))
    duties = iter(duties_of(home, found, now.astimezone().date()))
    scoped = []
    for case, group, sref, problem in zip(cases, subjects, srefs, problems, strict=True):
        shared: dict[str, tuple[SharedRow, ...]] = {}
        held: Duty | None = None
        for _ in group:
            shared |= next(partners)
            held = next(duties) or held
        is_told = not case.origin and case.kind in TOLD
        asked = case.record.purpose
        record = msgspec.structs.replace(
            case.record,
            policy="" if policy is None else policy.digest,
            purposes=purposes_of(case.kind, asked, policy),
            artefacts=artefacts_of(case.kind, asked, policy) if group else (),
            duty=held if case.kind is RequestKind.DELETE else None,
            sref=sref,
            outcomes=_first_outcomes(case, group, problem),
        )
        correction = None if case.locators is None else case.locators.correction
        locators = Locators(located=group, partners=shared if is_told else {}, correction=correction)
        scoped.append(msgspec.structs.replace(case, record=record, locators=locators))
    return scoped


def _policy(home: NodeHome) -> Policy | None:
    try:
        return active_policy(home)
    except Denied:
        return None


def _subjects(home: NodeHome, cases: Sequence[Case]) -> tuple[list[tuple[Located, ...]], list[str]]:
    """Who each case is about, and why it cannot be told, as a key of the texts, or ""."""
    locators = [case.locators or Locators() for case in cases]
    own = iter(locate(home, [one for item in locators for one in item.identifiers]))
    asked = [(case.origin, item.shared) for case, item in zip(cases, locators, strict=True) if item.shared]
    meant = iter(locate_shared(home, asked))
    subjects: list[tuple[Located, ...]] = []
    problems = []
    for item in locators:
        if item.shared:
            one = next(meant)
            subjects.append(() if one.located is None else (one.located,))
            problems.append(CONTRADICTORY if one.is_contradictory else UNCLEAR if one.is_unclear else "")
        else:
            subjects.append(tuple(next(own) for _ in item.identifiers))
            problems.append("")
    return subjects, problems


def _first_outcomes(case: Case, group: tuple[Located, ...], problem: str) -> tuple[Outcome, ...]:
    if problem:
        return (Outcome(artefact=Artefact.MATCH, result=Result.FAILED, reason=problem),)
    if case.origin and not group:
        return (Outcome(artefact=Artefact.MATCH, result=Result.NOT_FOUND, reason=NOBODY),)
    return ()


def _srefs(home: NodeHome, cases: Sequence[Case], subjects: Sequence[tuple[Located, ...]]) -> list[str]:
    """What the log calls each case's subject. Who only asks, and is not known here, does not become known by that."""
    first = [group[0].token if group else b"" for group in subjects]
    known = dict.fromkeys(filter(None, first), False)
    if known:
        mask = home.consents.known(as_tokens(list(known)))
        known = dict(zip(known, mask.tolist(), strict=True))
    srefs = [""] * len(cases)
    for year in {case.received.year for case in cases}:
        places = [
            place
            for place, case in enumerate(cases)
            if first[place]
            and case.received.year == year
            and (known[first[place]] or case.kind not in ANSWERED)
        ]
        if places:
            made = home.consents.srefs(as_tokens([first[place] for place in places]), RIGHTS, year)
            for place, sref in zip(places, made, strict=True):
                srefs[place] = sref
    return srefs


def look_again(home: NodeHome, cases: Sequence[Case]) -> list[Case]:
    """Cases whose restrictions hold, with what a job that ended since they were scoped has of their subjects.

    No later job can use their rows. A party that has matched a subject only since then is to be told.
    """
    found = iter(with_matchings(home, [one for case in cases for one in case.subjects]))
    groups = [tuple(next(found) for _ in case.subjects) for case in cases]
    partners = iter(partners_of(home, [one for group in groups for one in group]))
    looked = []
    for case, group in zip(cases, groups, strict=True):
        shared = [next(partners) for _ in group]
        if case.locators is None or not group:
            looked.append(case)
            continue
        told = {**case.locators.partners}
        for names in shared if not case.origin and case.kind in TOLD else ():
            told = names | told  # who has been told already finds by itself what came later
        locators = msgspec.structs.replace(case.locators, located=group, partners=told)
        looked.append(msgspec.structs.replace(case, locators=locators))
    return looked
