"""What one log and one policy say together: which documents were there before the first use, what was counted.

Order is the events' numbers, which their hash tree fixes, not their times. A table that was used shows as
`dataset.admitted`; where that event does not name its purpose, a fault in the documents of one of several purposes is a
doubt, and no contradiction.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Final, NamedTuple

import msgspec

from privacy.audit import Event
from privacy.audit_items.guideline import Holds, all_hold
from privacy.catalog import Catalog
from privacy.consent import ConsentKind, Need
from privacy.documents import Material
from privacy.policy import Agreement, Notice, Pipia, Policy, Purpose

IMPORTED: Final = "import"
"""The artefact of an event about a whole consent log (`clients.consents.changes`)."""
_A_DAY: Final = 1
"""Events have UTC and policies the holder's calendar: a day on either side is no contradiction."""
_SUBJECTS: Final = ("subjects", "words")


class Cosigned(NamedTuple):
    """One checkpoint of the log: how many events it has, and who has cosigned it."""

    size: int
    witnesses: frozenset[str]


class Ledger:
    """A party's events, in order, with the policy in force."""

    def __init__(
        self,
        events: Iterable[Event],
        policy: Policy,
        catalog: Catalog,
        cosigned: Sequence[Cosigned] | None = None,
    ) -> None:
        """catalog: with the policy's overrides applied; cosigned: None where checkpoints were not given."""
        self.events = tuple(sorted(events, key=lambda event: event.seq))
        self.policy, self.catalog, self.cosigned = policy, catalog, cosigned
        self.digest = policy.digest
        # Neither the size of a cohort nor of a key is asked for by what is used of it here.
        self.material = Material(policy, catalog, k_min=0, key_bits=0)
        self._by_type: dict[str, list[Event]] = {}
        for event in self.events:
            self._by_type.setdefault(event.type.value, []).append(event)
        self.admitted = tuple(event for event in self.of("dataset.admitted") if event.policy == self.digest)
        """Uses of the table under the policy in force."""

    def of(self, *names: str) -> tuple[Event, ...]:
        """The events of these types, in order."""
        found = [event for name in names for event in self._by_type.get(name, ())]
        return tuple(sorted(found, key=lambda event: event.seq)) if len(names) > 1 else tuple(found)

    def count(self, *names: str) -> dict[str, int]:
        """How many events there are of each of these types."""
        return {name: len(self._by_type.get(name, ())) for name in names}

    # --- use, and what came before it

    def uses(self, purpose: Purpose) -> tuple[Event, ...]:
        """Uses of the table that were, or may have been, for a purpose."""
        return tuple(event for event in self.admitted if event.artefact in {"", purpose.name})

    def good(self, purpose: Purpose, is_good: bool) -> Holds:
        """A fault of what was not used yet is no contradiction."""
        return True if is_good else False if self.uses(purpose) else None

    def judge(self, good: Callable[[Purpose], bool], purposes: Iterable[Purpose] | None = None) -> Holds:
        """Whether what the policy says is good, for all purposes or for some."""
        chosen = self.policy.purposes if purposes is None else purposes
        return self.settle({item.name: self.good(item, good(item)) for item in chosen})

    def settle(self, found: Mapping[str, Holds]) -> Holds:
        """One answer of several purposes', by name."""
        wrong = [name for name, holds in found.items() if holds is False]
        if wrong and len(wrong) < len(found):
            named = {event.artefact for event in self.admitted}
            return False if named & set(wrong) else None
        return all_hold(found.values())

    def announced(self, kind: str, name: str, part: Notice | Pipia | Agreement | Purpose) -> Event | None:
        """The first event that announces a part of the policy as it is now."""
        digest = part_digest(part)
        for event in self.of(kind):
            if event.artefact == name and event.digests.get("document") == digest:
                return event
        return None

    def before_use(self, purpose: Purpose, announced: Event | None) -> Holds:
        """Whether something was there before the purpose's first use; None where nothing is there and nothing used."""
        uses = self.uses(purpose)
        if not uses:
            return None if announced is None else True
        return announced is not None and announced.seq < uses[0].seq

    def told(self, purpose: Purpose) -> tuple[Event | None, Holds]:
        """(the event that announces the purpose's notice, whether that came before its first use)."""
        notice = self.policy.notice(purpose.notice)
        event = None if notice is None else self.announced("notice.published", notice.id, notice)
        return event, self.before_use(purpose, event)

    def assessed(self, purpose: Purpose) -> Holds:
        """Whether the purpose's assessment was approved before its first use."""
        return self.before_use(purpose, self.approval(purpose))

    def approval(self, purpose: Purpose) -> Event | None:
        """The event that announces the approval of the purpose's assessment."""
        pipia = None if purpose.pipia is None else self.policy.pipia(purpose.pipia)
        return None if pipia is None else self.announced("pipia.approved", pipia.id, pipia)

    def within(self, purpose: Purpose, start: date | None, end: date | None) -> Holds:
        """Whether all uses of a purpose lie between two days, both included; None where there is none."""
        days = [_ordinal(event) for event in self.uses(purpose)]
        if not days:
            return None
        early = start is not None and min(days) + _A_DAY < start.toordinal()
        late = end is not None and max(days) - _A_DAY > end.toordinal()
        return not (early or late)

    def consented(self, purpose: Purpose, needs: Iterable[Need]) -> Holds:
        """Whether words of subjects on each of these needs are in the log before the first use.

        None where nothing was used, or where words were brought in from a file, of which the log says only how many.
        """
        uses = self.uses(purpose)
        if not uses:
            return None
        heard = {
            event.artefact
            for event in self.of("consent.granted", "consent.renewed")
            if event.seq < uses[0].seq
        }
        missing = {label(need) for need in needs} - heard
        return True if not missing else None if IMPORTED in heard else False

    # --- counts

    def words(self) -> dict[str, dict[str, dict[str, int]]]:
        """By need (or "import") and kind of event: events, and the subjects that they speak of."""
        found: dict[str, dict[str, Counter[str]]] = {}
        for event in self.of("consent.granted", "consent.renewed", "consent.withdrawn", "consent.expired"):
            counted = found.setdefault(event.artefact or "-", {}).setdefault(event.type.value, Counter())
            counted["events"] += 1
            counted["subjects"] += subjects_of(event)
        return {need: {kind: dict(count) for kind, count in kinds.items()} for need, kinds in found.items()}

    def reasons(self, *beginnings: str) -> dict[str, dict[str, int]]:
        """By reason code that begins so: events that refused with it, and uses that left rows out for it."""
        found: dict[str, Counter[str]] = {}
        for event in self.events:
            how = _HOW.get(event.type.value)
            for code in event.reasons if how else ():
                if code.startswith(beginnings):
                    found.setdefault(code, Counter())[how or ""] += 1
        return {code: dict(count) for code, count in sorted(found.items())}

    def refusals(self, *beginnings: str) -> tuple[Event, ...]:
        """The events behind `reasons`."""
        return tuple(
            event
            for event in self.events
            if event.type.value in _HOW and any(code.startswith(beginnings) for code in event.reasons)
        )

    @property
    def last_day(self) -> int:
        """The day of the last event (`date.toordinal`), 0 for an empty log: what is measured against instead of now."""
        return _ordinal(self.events[-1]) if self.events else 0


_HOW: Final = {
    "dataset.refused": "refused",
    "round.update_refused": "refused",
    "audience.refused": "refused",
    "export.refused": "refused",
    "round.voided": "voided",
    "dataset.admitted": "left_out",
    "audience.exported": "left_out",
}


def part_digest(part: Any) -> str:
    """SHA-256 of a part of a policy as its announcement has it (`clients.gate.policy`), in hexadecimal."""
    return hashlib.sha256(msgspec.json.encode(part, order="deterministic")).hexdigest()


def label(need: Need) -> str:
    """A need as the events about consents name it."""
    kind = "" if need.kind is ConsentKind.GENERAL else need.kind.value
    return "/".join(filter(None, (need.purpose, kind, need.scope, need.recipient)))


def subjects_of(event: Event) -> int:
    """Of how many subjects an event about consents or restrictions speaks; 0 where it does not say."""
    for name in _SUBJECTS:
        if name in event.numbers:
            return max(0, event.numbers[name])
    return 1 if event.sref else 0


def is_past(event: Event, last: date) -> bool:
    """Whether an event may have been after a day: in UTC it can still show that day."""
    return _ordinal(event) >= last.toordinal()


def _ordinal(event: Event) -> int:
    return date.fromisoformat(event.time[:10]).toordinal()
