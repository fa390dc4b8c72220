"""Taking every open request as far as it can go (`privacy.rights`): killed anywhere, it goes on to the same end.

A step takes cases state by state, in batches. What a transition does may be done again without harm, and is done before
the transition is stored; what is stored is stored for a whole batch at once, with the letters to other parties in the
same transaction. One process steps at a time. What is logged stands in the log before it is stored, so that after a
kill it may stand there twice.
What it does not promise. A party that was told for another party's case tells no third one: whom it has matched by
itself hears of the request only when it is filed there as well.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import msgspec

from clients.consents.changes import end_of_day
from clients.home import NodeHome
from clients.rights.alarms import raise_alarms
from clients.rights.cases import Case, Partner, rejected
from clients.rights.courier import Courier, Message, sign_answer
from clients.rights.executing import Maker, check, execute, make
from clients.rights.inbox import take_letters
from clients.rights.kept import what_stays
from clients.rights.kinds import ANSWERED
from clients.rights.letters import keys_of, outcomes_for_others
from clients.rights.limits import forget_begun, mark_begun, split, tell_held
from clients.rights.located import Eraser
from clients.rights.restricting import restrict, review_day, task_of
from clients.rights.scoping import look_again, scope
from clients.rights.store import NEVER, CaseStore
from clients.rights.telling import tell
from federation.line_file import locked
from federation.pace import utc_now
from privacy.audit import EventType
from privacy.errors import LogUnavailable, SilhouetteError
from privacy.reasons import Finding, Findings, Reason
from privacy.rights import ENDED, Artefact, CaseState, Outcome, RequestKind, Result, TaskAnswer

log = logging.getLogger("silhouette.rights")

LOCK_FILE: Final = "rights.lock"
CASES_AT_ONCE: Final = 1_000
FIRST_RETRY: Final = timedelta(minutes=1)
LAST_RETRY: Final = timedelta(hours=1)
"""How soon what went wrong is tried again, and how seldom at the most."""
SINGLE_SECONDS: Final = 30.0
"""How long the cases of a batch that failed are tried one by one; the others have to wait then."""
LOOK_AROUND: Final = timedelta(hours=6)
"""How often a case that waits for others looks who is still a member; an answer wakes it at once."""
MOST_READY: Final = 20_000
"""Cases of one state that are kept in memory from one transition to the next."""
BETWEEN_LOOKS: Final = timedelta(minutes=10)
LEFT: Final = "rights.outcome.left"

_ORDER: Final = (
    CaseState.PARTIAL,
    CaseState.RECEIVED,
    CaseState.ACKNOWLEDGED,
    CaseState.IDENTIFIED,
    CaseState.SCOPED,
    CaseState.RESTRICTED,
    CaseState.EXECUTING,
    CaseState.CHECKED,
    CaseState.COMPLETED,
    CaseState.REJECTED,
)
_PLACES: Final = ("begun", "done", "stored")
POINTS: Final = ("letters/begun", "letters/stored", *(f"{state}/{at}" for state in _ORDER for at in _PLACES))
"""Where a step may be cut off: before a batch is worked on, when that is done, and when it is stored."""


@dataclass(slots=True)
class Progress:
    """What a step has done. moved: cases that came to each state; letters: that were taken in; is_busy: another process
    was at it, and nothing was done."""

    moved: Counter[CaseState] = field(default_factory=Counter)
    letters: int = 0
    alarms: int = 0
    is_busy: bool = False


def nothing(home: NodeHome, cases: Sequence[Case]) -> None:
    """For an engine whose receipts nobody makes."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """What others do for cases; again after a kill, and without harm.

    makers: copies and explanations; before_erasing: what has to be kept for the receipts; ended: those receipts.
    """

    makers: Mapping[RequestKind, Maker] = field(default_factory=dict)
    before_erasing: Callable[[NodeHome, Sequence[Case]], None] = nothing
    ended: Callable[[NodeHome, Sequence[Case]], None] = nothing


class Engine:
    """The cases of one node.

    erasers: in any order; on_point: is told where a step is (`POINTS`), for tests that cut it off.
    """

    def __init__(
        self,
        home: NodeHome,
        courier: Courier,
        erasers: Sequence[Eraser],
        now: Callable[[], datetime] = utc_now,
        hooks: Hooks = Hooks(),
        on_point: Callable[[str], None] = lambda point: None,
    ) -> None:
        self.home, self.store = home, CaseStore(home.vault)
        self._courier, self._erasers, self._now, self._hooks = courier, erasers, now, hooks
        self._on_point = on_point
        self._letters: dict[str, list[tuple[str, Message, bytes]]] = {}
        """What is sent when a case of this batch is stored."""
        self._ready: dict[CaseState, list[Case]] = {}
        self._looked: datetime | None = None
        self._work: dict[CaseState, Callable[[list[Case]], list[Case]]] = {
            CaseState.PARTIAL: self._resume,
            CaseState.RECEIVED: self._acknowledge,
            CaseState.ACKNOWLEDGED: self._identify,
            CaseState.IDENTIFIED: self._scope,
            CaseState.SCOPED: self._restrict,
            CaseState.RESTRICTED: self._begin,
            CaseState.EXECUTING: self._execute,
            CaseState.CHECKED: self._finish,
            CaseState.COMPLETED: self._conclude,
            CaseState.REJECTED: self._conclude,
        }

    def step(self) -> Progress:
        """Take what has come from others, then every case as far as it can. Raises `LogUnavailable`."""
        progress = Progress()
        self._ready.clear()  # of a step that was cut off
        try:
            with locked(self.home.folder / LOCK_FILE, 0.0):
                try:
                    self._take_what_came(progress)
                    for state in _ORDER:
                        self._take(state, progress)
                    tell_held(self.home, self.store, self._now())
                finally:
                    self._look_after(progress)
        except BlockingIOError:
            progress.is_busy = True
        return progress

    def _look_after(self, progress: Progress) -> None:
        """What is late raises an alarm; what ended long ago goes, and so does what was destroyed."""
        if any(progress.moved[state] for state in ENDED):
            self.store.clear_traces()
        now = self._now()
        if self._looked is None or now - self._looked >= BETWEEN_LOOKS:
            self._looked = now
            progress.alarms = raise_alarms(self.home, self.store, now)
            self.store.remove_ended(now)
            with self.store.transaction() as connection:
                forget_begun(connection, now)

    # --- batches

    def _take_what_came(self, progress: Progress) -> None:
        """Letters that cannot be taken in wait; the cases do not wait for them."""
        try:
            self._take_letters(progress)
        except LogUnavailable:
            raise
        except Exception as error:
            # Its message may hold a value of a row: the kind alone is logged.
            log.error("letters about requests cannot be taken in: %s", type(error).__name__)

    def _take_letters(self, progress: Progress) -> None:
        while letters := self._courier.receive():
            self._on_point("letters/begun")
            take_letters(self.home, self.store, self._courier, letters, self._now())
            self._on_point("letters/stored")
            self._courier.confirm(letters)
            progress.letters += len(letters)

    def _take(self, state: CaseState, progress: Progress) -> None:
        while batch := self._batch(state):
            self._on_point(f"{state}/begun")
            self._letters.clear()
            changed = self._worked(state, batch)
            self._on_point(f"{state}/done")
            saved = self._save(changed)
            self._keep_ready(saved)
            progress.moved.update(case.state for case in saved if case.state is not state)
            self._on_point(f"{state}/stored")

    def _worked(self, state: CaseState, batch: list[Case]) -> list[Case]:
        """What one case comes to is no other's harm: those of a batch that fails are taken one by one."""
        try:
            return self._work[state](batch)
        except LogUnavailable:
            raise
        except Exception as error:
            # Its message may hold a value of a row: the kind alone is logged.
            problem = error.code if isinstance(error, SilhouetteError) else type(error).__name__
            log.error("%d requests cannot go on: %s", len(batch), problem)
            self._letters.clear()
        if len(batch) == 1:
            return [self._later(batch[0], problem)]
        return self._one_by_one(state, batch)

    def _one_by_one(self, state: CaseState, batch: list[Case]) -> list[Case]:
        """Who is not reached in `SINGLE_SECONDS` comes before those that failed, whose turn is later each time."""
        until = time.monotonic() + SINGLE_SECONDS
        found: list[Case] = []
        letters: dict[str, list[tuple[str, Message, bytes]]] = {}
        for place, case in enumerate(batch):
            if time.monotonic() > until:
                wake = self._now() + FIRST_RETRY
                found += [msgspec.structs.replace(one, wake=wake) for one in batch[place:]]
                break
            found += self._worked(state, [case])
            letters |= self._letters
        self._letters.update(letters)
        return found

    def _batch(self, state: CaseState) -> list[Case]:
        """Cases that can go on: those that this step has stored before, then what else there is."""
        ready = self._ready.pop(state, [])
        if not ready:
            return self.store.waiting(state, self._now(), CASES_AT_ONCE)
        self._ready[state] = ready[CASES_AT_ONCE:]
        return ready[:CASES_AT_ONCE]

    def _keep_ready(self, saved: Sequence[Case]) -> None:
        """Reading a case again would cost as much as everything else; whoever has changed it meanwhile is found out
        when it is stored."""
        now = self._now()
        for case in saved:
            ready = self._ready.setdefault(case.state, [])
            if case.wake <= now and len(ready) < MOST_READY:
                ready.append(case)

    def _save(self, cases: Sequence[Case]) -> list[Case]:
        """Store cases, and with them the letters that they give rise to."""
        with self.store.transaction() as connection:
            saved = self.store.save(connection, cases)
            mark_begun(connection, saved, self._now())
            for case in saved:
                for party, message, signature in self._letters.get(case.number, ()):
                    self._courier.send(party, message, signature, connection)
        return saved

    def _moved(self, cases: Iterable[Case], state: CaseState, wake: datetime | None = None) -> list[Case]:
        """wake: when the cases go on; None: at once."""
        now = self._now()
        moved = []
        for case in cases:
            reached = {**case.record.reached}
            reached.setdefault(state, now)
            record = msgspec.structs.replace(case.record, reached=reached, problem="")
            moved.append(
                msgspec.structs.replace(case, state=state, updated=now, wake=wake or now, record=record)
            )
        return moved

    def _later(self, case: Case, problem: str) -> Case:
        """A case that is tried again, later every time."""
        tries = case.record.retries
        wait = min(FIRST_RETRY * 2 ** min(tries, 10), LAST_RETRY)
        record = msgspec.structs.replace(case.record, problem=problem, retries=tries + 1)
        return msgspec.structs.replace(case, wake=self._now() + wait, record=record)

    # --- states

    def _acknowledge(self, batch: list[Case]) -> list[Case]:
        tell(self.home, EventType.DSR_ACK, batch)
        known = [case for case in batch if case.record.identified]
        waits = [case for case in batch if not case.record.identified]
        acknowledged = CaseState.ACKNOWLEDGED
        unknown = [
            msgspec.structs.replace(case, wake=_last_call(case)) for case in self._moved(waits, acknowledged)
        ]
        return self._moved(known, acknowledged) + unknown

    def _identify(self, batch: list[Case]) -> list[Case]:
        """Who has not shown by the last day for an answer who it is, is refused: nothing of it is kept for ever."""
        unknown = [case for case in batch if not case.record.identified]
        over, waiting = _split(unknown, lambda case: _last_call(case) <= self._now())
        waits = [msgspec.structs.replace(case, wake=_last_call(case)) for case in waiting]
        known = [case for case in batch if case.record.identified]
        tell(self.home, EventType.DSR_VERIFIED, known)
        return self._moved(known, CaseState.IDENTIFIED) + waits + self._refused(over)

    def _refused(self, batch: list[Case]) -> list[Case]:
        findings = Findings.of([Finding(Reason.IDENTITY_UNVERIFIED)])
        tell(self.home, EventType.DSR_REJECTED, batch, reasons=findings.codes)
        return [rejected(case, findings, case.updated) for case in self._moved(batch, CaseState.REJECTED)]

    def _scope(self, batch: list[Case]) -> list[Case]:
        scoped = scope(self.home, batch, self._now())
        tell(self.home, EventType.DSR_SCOPED, scoped)
        return self._moved(scoped, CaseState.SCOPED)

    def _restrict(self, batch: list[Case]) -> list[Case]:
        restrict(self.home, batch, self._now())
        return self._moved(self._asking(batch), CaseState.RESTRICTED)

    def _begin(self, batch: list[Case]) -> list[Case]:
        """A job may have ended after a case was scoped and before its restriction held. Of another party's tasks only
        so many begin in a day: those that are held over are restricted already."""
        going, held = split(self.store, batch, self.home.settings.tasks_per_day, self._now())
        looked = self._asking(look_again(self.home, going))
        self._hooks.before_erasing(self.home, looked)
        return self._moved(looked, CaseState.EXECUTING) + held

    def _execute(self, batch: list[Case]) -> list[Case]:
        """First what is wanted, then, when its outcomes are stored, looking for it again."""
        wanted, over = _split(batch, is_wanting)
        asking, acting = _split(wanted, lambda case: case.kind in ANSWERED)
        found = make(self.home, self._hooks.makers, asking)
        found += execute(self.home, self._erasers, acting, self._now())
        failed, stored = _split(found, _is_open)
        remaining, checked = _split(check(self.home, self._erasers, over), _is_open)
        return stored + self._partial(failed + remaining) + self._moved(checked, CaseState.CHECKED)

    def _finish(self, batch: list[Case]) -> list[Case]:
        waiting, done = _split(batch, lambda case: bool(case.open_partners))
        tell(self.home, EventType.DSR_COMPLETED, done)
        ended = [
            msgspec.structs.replace(case, locators=what_stays(case))
            for case in self._moved(done, CaseState.COMPLETED)
        ]
        return self._answer(ended) + self._partial(waiting)

    def _conclude(self, batch: list[Case]) -> list[Case]:
        """A case that has ended comes by once more, for its receipt."""
        self._hooks.ended(self.home, batch)
        return [msgspec.structs.replace(case, wake=NEVER) for case in batch]

    def _partial(self, batch: list[Case]) -> list[Case]:
        """Honest about what is not done: the case goes on by itself, and whoever sent it hears how far it is."""
        new = [case for case in batch if CaseState.PARTIAL not in case.record.reached]
        tell(self.home, EventType.DSR_PARTIAL, new)
        failed, waiting = _split(self._moved(batch, CaseState.PARTIAL), _is_open)
        later = self._now() + LOOK_AROUND
        return self._answer([self._later(case, case.record.problem) for case in failed]) + [
            msgspec.structs.replace(case, wake=later) for case in waiting
        ]

    def _resume(self, batch: list[Case]) -> list[Case]:
        """What failed is tried again; who waits for others looks whether they are done, or gone."""
        members = keys_of(self.home)
        found = []
        for case in (self._without_strangers(case, members) for case in batch):
            if _is_open(case) or not case.open_partners:
                found += self._moved([case], CaseState.EXECUTING)
            else:
                found.append(msgspec.structs.replace(case, wake=self._now() + LOOK_AROUND))
        return found

    # --- other parties

    def _asking(self, batch: Iterable[Case]) -> list[Case]:
        """Every party that shares a row and has not been asked yet gets its task with the case's next transition."""
        members = keys_of(self.home)
        asking, told = [], []
        for case in batch:
            shared = {} if case.locators is None else case.locators.partners
            new = [party for party in shared if party not in case.record.partners]
            partners = case.record.partners | {party: Partner(sent=self._now()) for party in new}
            record = msgspec.structs.replace(case.record, partners=partners)
            asking.append(self._without_strangers(msgspec.structs.replace(case, record=record), members))
            if new:
                self._letters[case.number] = [
                    (party, task_of(case, party), b"") for party in new if party in members
                ]
                told.append(asking[-1])
        tell(self.home, EventType.DSR_TASK_SENT, told)
        return asking

    def _without_strangers(self, case: Case, members: Mapping[str, object]) -> Case:
        """Who has left the federation can be asked nothing more: an officer sees what it may still hold."""
        gone = [party for party in case.open_partners if party not in members]
        if not gone:
            return case
        left = Outcome(
            artefact=Artefact.MATCH,
            result=Result.RESTRICTED_TECHNICAL,
            reason=LEFT,
            review=review_day(self._now()),
        )
        partners = dict(case.record.partners)
        for party in gone:
            partners[party] = msgspec.structs.replace(partners[party], left=True, outcomes=(left,))
        return msgspec.structs.replace(case, record=msgspec.structs.replace(case.record, partners=partners))

    def _answer(self, batch: list[Case]) -> list[Case]:
        """Cases of other parties get a signed answer, where there is something new to tell."""
        found, told, members = [], [], keys_of(self.home)
        for case in batch:
            before = case.record.answered
            outcomes = outcomes_for_others(case)
            is_told = before is not None and (before.state, before.outcomes) == (case.state, outcomes)
            if not case.origin or is_told:
                found.append(case)
                continue
            answer = TaskAnswer(
                case=case.number_there,
                party=self.home.settings.name,
                at=self._now(),
                state=case.state,
                outcomes=outcomes,
            )
            signature = sign_answer(self.home.identity, answer)
            if case.origin in members:
                self._letters[case.number] = [(case.origin, answer, signature)]
            record = msgspec.structs.replace(case.record, answered=answer, signature=signature)
            found.append(msgspec.structs.replace(case, record=record))
            told.append(case)
        tell(self.home, EventType.DSR_TASK_RESULT, told)
        return found


def is_wanting(case: Case) -> bool:
    """Whether something is still to be made, corrected or erased for a case."""
    outcomes = {one.artefact: one for one in case.record.outcomes}
    if case.kind in ANSWERED:
        return not outcomes or _is_open(case)
    correction = None if case.locators is None else case.locators.correction
    if correction is not None and not case.record.corrected and case.subjects:
        feature = outcomes.get(Artefact.FEATURE)
        if feature is None or feature.is_open:
            return True
    return any(one not in outcomes or outcomes[one].is_open for one in case.record.artefacts)


def _last_call(case: Case) -> datetime:
    """When a case whose subject is not known is refused: as the last day for an answer begins."""
    return end_of_day(case.due - timedelta(days=1))


def _split(cases: Sequence[Case], belongs: Callable[[Case], bool]) -> tuple[list[Case], list[Case]]:
    """Those that belong, and the others."""
    return [case for case in cases if belongs(case)], [case for case in cases if not belongs(case)]


def _is_open(case: Case) -> bool:
    """Whether something here is not at an end."""
    return any(one.is_open for one in case.record.outcomes)
