"""Carrying a request out: artefact by artefact in the order of deletion, and looking for each again.

What one subject's data does to an eraser is no other's harm: a batch that fails is halved until the one is alone. The
consent words and the subject's own entry, which keeps the restriction, go last, and not before everything else has.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Final, TypeVar

import msgspec

from clients.home import NodeHome
from clients.rights.cases import Case, merged, worst
from clients.rights.correcting import correct
from clients.rights.erasers.decisions import DecisionEraser
from clients.rights.erasers.lists import AudienceEraser
from clients.rights.located import Eraser, Located
from clients.rights.locating import purpose_of
from clients.rights.restricting import keep_restricted, review_day
from privacy.errors import LogUnavailable, SilhouetteError
from privacy.reasons import Reason
from privacy.rights import Artefact, Outcome, RequestKind, Result

log = logging.getLogger("silhouette.rights")

SUBJECTS_AT_ONCE: Final = 1_000
REMAINS: Final = "rights.outcome.remains"
NO_ERASER: Final = "rights.outcome.no_eraser"
FAILED: Final = "rights.outcome.failed"
LAST: Final = (Artefact.CONSENT, Artefact.SUBJECT)
_GONE: Final = frozenset({Result.ERASED, Result.ANONYMISED, Result.CRYPTO_SHREDDED, Result.NOT_FOUND})

Maker = Callable[[NodeHome, Case], Outcome]
"""Makes what a subject asked for: a copy, an explanation. Doing it again gives the same."""
_Answer = TypeVar("_Answer")


def execute(home: NodeHome, erasers: Sequence[Eraser], cases: Sequence[Case], now: datetime) -> list[Case]:
    """Erase what is still there for each case; the cases with their outcomes."""
    found = [_corrected(home, case) for case in cases]
    by_artefact = {eraser.artefact: eraser for eraser in erasers}
    for artefact in Artefact:
        found = _erased(home, by_artefact.get(artefact), artefact, found, now)
    return found


def check(home: NodeHome, erasers: Sequence[Eraser], cases: Sequence[Case]) -> list[Case]:
    """Look for everything that is said to be gone; what is found again has failed.

    Where a subject asked for a copy or an explanation nothing is to be gone.
    """
    found = list(cases)
    for eraser, places in _suited(erasers, found):
        asked = [
            (place, one)
            for place in places
            for one in _narrowed(home, found[place], eraser.artefact)
            if eraser.artefact in found[place].record.artefacts
            and _result(found[place], eraser.artefact) in _GONE
        ]
        remains = _bisected(partial(eraser.remains, home), [one for _, one in asked])
        for (place, _), still in zip(asked, remains, strict=True):
            if still is None or still:
                reason = FAILED if still is None else REMAINS
                bad = Outcome(artefact=eraser.artefact, result=Result.FAILED, reason=reason)
                found[place] = _with(found[place], [bad])
    return found


def make(home: NodeHome, makers: Mapping[RequestKind, Maker], cases: Sequence[Case]) -> list[Case]:
    """What the subjects are to be given, for cases of the kinds that ask for something."""
    found = []
    for case in cases:
        maker = makers.get(case.kind)
        artefact = Artefact.DECISION if case.kind is RequestKind.EXPLAIN else Artefact.COPY
        outcome = Outcome(artefact=artefact, result=Result.UNSUPPORTED, reason=NO_ERASER)
        if maker is not None:
            made = _bisected(partial(_each, maker, home), [case])[0]
            outcome = made or Outcome(artefact=artefact, result=Result.FAILED, reason=FAILED)
        found.append(_with(case, [outcome]))
    return found


def _each(maker: Maker, home: NodeHome, cases: Sequence[Case]) -> list[Outcome]:
    return [maker(home, case) for case in cases]


def _corrected(home: NodeHome, case: Case) -> Case:
    correction = None if case.locators is None else case.locators.correction
    if correction is None or case.record.corrected:
        return case
    outcomes = [outcome for one in case.subjects if (outcome := correct(home, one, correction)) is not None]
    record = msgspec.structs.replace(case.record, corrected=not outcomes)
    kept = tuple(one for one in record.outcomes if one.artefact is not Artefact.FEATURE)
    return _with(
        msgspec.structs.replace(case, record=msgspec.structs.replace(record, outcomes=kept)), outcomes
    )


def _erased(
    home: NodeHome, eraser: Eraser | None, artefact: Artefact, cases: Sequence[Case], now: datetime
) -> list[Case]:
    found = list(cases)
    chosen: list[tuple[int, Located]] = []
    held: list[Case] = []
    for place, case in enumerate(cases):
        if not _is_wanted(case, artefact):
            continue
        kept = _kept_by_law_or_technique(case, artefact, now)
        if kept is not None:
            found[place] = _with(case, [kept])
            if artefact is Artefact.SUBJECT and kept.result is Result.RESTRICTED_TECHNICAL:
                held.append(case)
        elif eraser is None:
            missing = Outcome(artefact=artefact, result=Result.UNSUPPORTED, reason=NO_ERASER)
            found[place] = _with(case, [missing])
        else:
            chosen += [(place, one) for one in _narrowed(home, case, artefact)]
    keep_restricted(home, held, now, review_day(now))
    outcomes: defaultdict[int, list[Outcome]] = defaultdict(list)
    for suited, places in _suited([] if eraser is None else [eraser], cases):
        mine = [(place, one) for place, one in chosen if place in places]
        results = _bisected(partial(suited.erase, home), [one for _, one in mine])
        for (place, _), outcome in zip(mine, results, strict=True):
            failed = Outcome(artefact=artefact, result=Result.FAILED, reason=FAILED)
            outcomes[place].append(outcome or failed)
    for place, several in outcomes.items():
        found[place] = _with(found[place], [worst(several)])
    return found


def _suited(erasers: Sequence[Eraser], cases: Sequence[Case]) -> Iterator[tuple[Eraser, frozenset[int]]]:
    """Each eraser as it fits the kinds of requests, and the places of the cases that it fits."""
    for eraser in erasers:
        by_kind: defaultdict[tuple[bool, str], list[int]] = defaultdict(list)
        for place, case in enumerate(cases):
            is_deleted = case.kind is RequestKind.DELETE or not isinstance(eraser, DecisionEraser)
            purpose = _only_purpose(case) if isinstance(eraser, AudienceEraser) else ""
            by_kind[is_deleted, purpose].append(place)
        for (is_deleted, purpose), places in by_kind.items():
            suited = eraser
            if purpose:
                suited = AudienceEraser(purpose)
            elif not is_deleted:
                suited = DecisionEraser(with_appeals=False)
            yield suited, frozenset(places)


def _is_wanted(case: Case, artefact: Artefact) -> bool:
    """Whether there is still something to do; the last artefacts wait for all others."""
    if artefact not in case.record.artefacts:
        return False
    outcomes = {one.artefact: one for one in case.record.outcomes}
    if artefact in outcomes and not outcomes[artefact].is_open:
        return False
    earlier = case.record.artefacts[: case.record.artefacts.index(artefact)]
    return artefact not in LAST or not any(one not in outcomes or outcomes[one].is_open for one in earlier)


def _kept_by_law_or_technique(case: Case, artefact: Artefact, now: datetime) -> Outcome | None:
    """What is not deleted: a row that a law keeps, and the entry of a subject whose row stays."""
    duty = case.record.duty
    if duty is not None and artefact in (Artefact.FEATURE, Artefact.SUBJECT):
        return Outcome(
            artefact=artefact,
            result=Result.RESTRICTED_LAW,
            law=duty.law,
            until=duty.until,
            reason=Reason.STATUTORY_RETENTION.value,
        )
    # A model that is still to be trained again has no entry of the subject, and does not need its key.
    kept = [
        one
        for one in case.record.outcomes
        if one.result is Result.RESTRICTED_TECHNICAL and one.artefact is not Artefact.MODEL
    ]
    if artefact is Artefact.SUBJECT and kept:
        review = min(one.review or review_day(now) for one in kept)
        return Outcome(
            artefact=artefact, result=Result.RESTRICTED_TECHNICAL, review=review, reason=kept[0].reason
        )
    return None


def _only_purpose(case: Case) -> str:
    """From which purpose alone consent is withdrawn; "" for everything else."""
    return case.record.purpose if case.kind is RequestKind.WITHDRAW else ""


def _narrowed(home: NodeHome, case: Case, artefact: Artefact) -> tuple[Located, ...]:
    """The subject; for a withdrawal from one purpose, in the matchings of jobs for that purpose alone.

    A list for marketing has a purpose of its own, whatever the job's was (`_suited`).
    """
    if not _only_purpose(case) or artefact is Artefact.AUDIENCE:
        return case.subjects
    return tuple(
        msgspec.structs.replace(
            one,
            shared=tuple(
                name for name in one.shared if purpose_of(home, name.session) == case.record.purpose
            ),
            is_narrowed=True,
        )
        for one in case.subjects
    )


def _result(case: Case, artefact: Artefact) -> Result | None:
    return next((one.result for one in case.record.outcomes if one.artefact is artefact), None)


def _with(case: Case, outcomes: Sequence[Outcome]) -> Case:
    record = msgspec.structs.replace(case.record, outcomes=merged(case.record.outcomes, outcomes))
    return msgspec.structs.replace(case, record=record)


_Item = TypeVar("_Item")


def _bisected(
    act: Callable[[Sequence[_Item]], Sequence[_Answer]], items: Sequence[_Item]
) -> list[_Answer | None]:
    """What `act` says of each item, in batches; None for one of which it raises. Raises `LogUnavailable`."""
    if not items:
        return []
    if len(items) > SUBJECTS_AT_ONCE:
        parts = [items[start : start + SUBJECTS_AT_ONCE] for start in range(0, len(items), SUBJECTS_AT_ONCE)]
        return [answer for part in parts for answer in _bisected(act, part)]
    try:
        answers = list(act(items))
        if len(answers) != len(items):
            raise ValueError(len(answers))
    except LogUnavailable:
        raise
    except Exception as error:
        # Its message may hold a value of a row: the kind alone is logged.
        code = error.code if isinstance(error, SilhouetteError) else type(error).__name__
        log.error("a request was not carried out for %d subjects: %s", len(items), code)
        if len(items) == 1:
            return [None]
        half = len(items) // 2
        return _bisected(act, items[:half]) + _bisected(act, items[half:])
    return [*answers]
