"""Every change of a consent or a restriction at a node, wherever it comes from: checked, stored, then told to the log.

A change holds as soon as it is stored; a withdrawal does not wait for the log. What the log hears is of few people at a
time: up to `SUBJECTS_WITH_REFERENCE` one event each, with a reference that only this node can compute, otherwise one
event with counts, and no count of fewer than `FEWEST_COUNTED`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Final, NamedTuple

import msgspec
import numpy as np

from clients.consents.holding import Held, held
from clients.consents.importing import ImportReport, import_consents
from clients.consents.store import ConsentStore
from clients.consents.subjects import kind_label
from clients.consents.tables import Restriction, Source
from clients.tables.specs import TableSpec
from federation.pace import utc_now
from privacy.audit import EventType
from privacy.consent import Answer, ConsentKind, Need, Statement, check_scope
from privacy.errors import ConfigInvalid, IdentifierInvalid
from privacy.identifiers import Identifiers
from privacy.normalization import Cells, normalize

SUBJECTS_WITH_REFERENCE: Final = 100
FEWEST_COUNTED: Final = 10
TECHNICAL_DAYS: Final = 90
"""How long "too hard to delete" may stand before it is looked at again (our choice, for PIPL article 47)."""


_RESTRICTIONS: Final = "restrictions"


class ConsentEvent(NamedTuple):
    """What the audit log hears of a change. artefact: the need as purpose/kind/scope/recipient, or why there is a
    restriction; sref: of one subject."""

    type: EventType
    artefact: str
    sref: str = ""
    numbers: Mapping[str, int] = {}
    digests: Mapping[str, str] = {}


OnEvent = Callable[[ConsentEvent], None]


def say_nothing(event: ConsentEvent) -> None:
    """For a node without a log."""


class Changes:
    """The one way by which people and programs change the store.

    spec: the node's table, which says what its identifiers are; source: who speaks.
    """

    def __init__(
        self,
        store: ConsentStore,
        spec: TableSpec,
        source: Source,
        on_event: OnEvent = say_nothing,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.store, self._spec, self._source, self._on_event, self._now = store, spec, source, on_event, now
        self._label = kind_label(spec)

    def identifiers(self, cells: Sequence[str]) -> Identifiers:
        """Canonical identifiers, one per cell. Raises `IdentifierInvalid` when any is none, which is counted."""
        found = normalize(
            self._spec.id_kind, Cells.of(list(cells)), self._spec.extra_prefixes, self._spec.id_format
        )
        if not len(found) or not found.valid.all():
            bad = int((~found.valid).sum())
            raise IdentifierInvalid(
                "consent_identifiers", rows=bad, total=len(found), kind=self._spec.id_kind.value
            )
        return found.identifiers

    def held(self, cells: Sequence[str]) -> list[Held]:
        """What is held about each of these subjects, in their order. Raises `IdentifierInvalid`."""
        tokens = self.store.tokens(self._label, self.identifiers(cells))
        return held(self.store, tokens, self._now())

    def checked(self, said: Statement) -> Statement:
        """A word as it can be stored: a yes names the notice that was shown, the registration's where it has one.

        Raises `ConfigInvalid`.
        """
        check_scope(said)
        if not said.granted or said.notice:
            return said
        consents = self._spec.consents
        if consents is None or not consents.notice:
            raise ConfigInvalid("consent_notice_needed")
        return msgspec.structs.replace(said, notice=consents.notice)

    def give(self, identifiers: Identifiers, statements: Sequence[Statement], capture: str = "") -> int:
        """Record what subjects have said, all of it or nothing; the store's new version.

        capture: SHA-256 of what the subject saw and did, for the log. Raises `ConfigInvalid`.
        """
        said = [self.checked(one) for one in statements]
        tokens = self.store.tokens(self._label, identifiers)
        before = [self.store.answers(tokens, one.need, (), self._now()) for one in said]
        version = self.store.record(self._label, identifiers, said, self._source, self._now())
        for one, answers in zip(said, before, strict=True):
            self._tell_words(identifiers, one, answers, {"capture": capture} if capture else {})
        return version

    def withdraw(
        self,
        identifiers: Identifiers,
        purpose: str | None = None,
        kind: ConsentKind | None = None,
        scope: str | None = None,
        recipient: str | None = None,
    ) -> int:
        """Take back what fits, everything when nothing is named (PIPL article 15); the store's new version.

        The no is recorded on every need that the node knows, so that a file that is older does not bring it back.
        """
        wanted = {"purpose": purpose, "kind": kind, "scope": scope, "recipient": recipient}
        named = {name: value for name, value in wanted.items() if value is not None}
        known = [
            *self.store.needs(),
            *([] if purpose is None else [_need_of(purpose, kind, scope, recipient)]),
        ]
        fitting = [
            need for need in dict.fromkeys(known)
            if all(getattr(need, name) == value for name, value in named.items())
        ]  # fmt: skip
        statements = [
            Statement(
                purpose=need.purpose,
                granted=False,
                kind=need.kind,
                scope=need.scope,
                recipient=need.recipient,
            )
            for need in fitting
        ]
        return self.give(identifiers, statements) if statements else self.store.version

    def restrict(
        self, identifiers: Identifiers, reason: Restriction, law: str = "", review: date | None = None
    ) -> int:
        """Put subjects under a restriction; the store's new version.

        Raises `ConfigInvalid` for a statutory one without its law, and for a technical one that is not reviewed
        within `TECHNICAL_DAYS` (article 47).
        """
        today = self._now().astimezone().date()
        if reason is Restriction.STATUTORY and not law:
            raise ConfigInvalid("consent_law_missing")
        latest = today + timedelta(days=TECHNICAL_DAYS)
        if reason is Restriction.TECHNICAL and not (review is not None and today <= review <= latest):
            raise ConfigInvalid("consent_review", limit=TECHNICAL_DAYS)
        tokens = self.store.tokens(self._label, identifiers)
        version = self.store.restrict(tokens, reason.value, law or "PIPL 47", self._now(), review)
        event = ConsentEvent(EventType.DSR_RESTRICTED, reason.value, numbers={"restricted": 1})
        self._tell(event, _RESTRICTIONS, identifiers)
        return version

    def lift(self, identifiers: Identifiers, reason: Restriction | None = None, spared: str = "") -> int:
        """End restrictions, for one reason or for all but those of the law `spared`; the store's new version."""
        tokens = self.store.tokens(self._label, identifiers)
        code = None if reason is None else reason.value
        version = self.store.lift(tokens, self._now(), code, spared)
        event = ConsentEvent(EventType.DSR_RESTRICTED, code or "all", numbers={"restricted": 0})
        self._tell(event, _RESTRICTIONS, identifiers)
        return version

    def bring_in(self, known_notices: Collection[str] | None = None) -> ImportReport:
        """The table's consent log into the store, see `import_consents`."""
        report = import_consents(self.store, self._spec, self._now(), known_notices)
        for event, words in (
            (EventType.CONSENT_GRANTED, report.granted),
            (EventType.CONSENT_WITHDRAWN, report.withdrawn),
        ):
            if words:
                numbers = {"words": words} if words >= FEWEST_COUNTED else {}
                self._on_event(ConsentEvent(event, "import", numbers=numbers))
        return report

    def _tell_words(
        self,
        identifiers: Identifiers,
        said: Statement,
        before: np.ndarray[tuple[int], np.dtype[np.uint8]],
        digests: Mapping[str, str],
    ) -> None:
        parts = ("" if said.kind is ConsentKind.GENERAL else said.kind.value, said.scope, said.recipient)
        event = ConsentEvent(
            EventType.CONSENT_WITHDRAWN, "/".join(filter(None, (said.purpose, *parts))), digests=digests
        )
        if not said.granted:
            self._tell(event, said.purpose, identifiers)
            return
        is_new = np.isin(before, (Answer.NEVER, Answer.WITHDRAWN))
        self._tell(event._replace(type=EventType.CONSENT_GRANTED), said.purpose, identifiers[is_new])
        self._tell(event._replace(type=EventType.CONSENT_RENEWED), said.purpose, identifiers[~is_new])

    def _tell(self, event: ConsentEvent, project: str, identifiers: Identifiers) -> None:
        """project: within which a subject's events can be followed, for a year."""
        if len(identifiers) > SUBJECTS_WITH_REFERENCE:
            self._on_event(event._replace(numbers={**event.numbers, "subjects": len(identifiers)}))
            return
        tokens = self.store.tokens(self._label, identifiers)
        for sref in self.store.srefs(tokens, project, self._now().year):
            self._on_event(event._replace(sref=sref))


def restriction_of(code: str) -> Restriction:
    """The restriction of that name. Raises `ConfigInvalid` that lists the names."""
    try:
        return Restriction(code)
    except ValueError:
        raise ConfigInvalid("consent_reason", known=", ".join(Restriction)) from None


def end_of_day(day: date) -> datetime:
    """The moment at which what holds up to and including a day is over, in this computer's zone."""
    return datetime.combine(day + timedelta(days=1), time.min).astimezone()


def _need_of(purpose: str, kind: ConsentKind | None, scope: str | None, recipient: str | None) -> Need:
    return Need(purpose, kind or ConsentKind.GENERAL, scope or "", recipient or "")
