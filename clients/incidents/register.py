"""The register of incidents at a node: what happened, by when it is to be told, and to whom (PIPL 57).

    opened -> classified -> reported -> closed
    A classified or reported incident is classified again when more is known; it stays as far as it was.

An incident is told to the authority and to the people it is about, unless its harm has been effectively avoided (57,
paragraph 2). Records hold no person: what is written in them is for people to keep free of names, and whatever looks
like a phone, card or identity number is refused. They lie sealed in the vault, while an incident is open without end.
"""

from __future__ import annotations

import re
import secrets
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from clients.gate.policy import active_policy
from clients.home import NodeHome
from privacy.audit import EventType
from privacy.catalog import Catalog
from privacy.errors import ConfigInvalid, Denied, SealBroken

INCIDENTS: Final = "incidents/"
"""Vault records of incidents begin so."""
KEPT_DAYS: Final = 3 * 366
"""After its end, as long as records of processing (PIPL 56)."""
_NUMBER_BYTES: Final = 16
_LONG_NUMBER: Final = re.compile(r"\d([-\s._]?\d){7}")
"""Eight digits, together or spaced out: a landline number at least."""
Number = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
Words = Annotated[str, Meta(max_length=4000)]


class Status(StrEnum):
    """How far an incident is."""

    OPENED = "opened"
    CLASSIFIED = "classified"
    REPORTED = "reported"
    CLOSED = "closed"


class People(StrEnum):
    """How many people it is about, as far as a clock asks."""

    NONE = "none"
    UNDER_100K = "under_100k"
    UNDER_1M = "under_1m"
    FROM_1M = "1m_or_more"


class Told(StrEnum):
    """Who is told."""

    AUTHORITY = "authority"
    INDIVIDUALS = "individuals"


class Classification(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is known of an incident: the contents of a notice by article 57, and what its clocks ask.

    categories: of the field catalogue. cause, harm: what brought it about, what it may do to people; measures: what
    the holder has done; advice: what people can do themselves. important_data, national_security: 网络数据安全管理条例
    29, 10. harm_avoided: the measures keep people from harm, so that they need not be told.
    """

    people: People
    categories: tuple[str, ...]
    cause: Words
    harm: Words
    measures: Words
    advice: Words
    contact: Annotated[str, Meta(max_length=400)] = ""
    important_data: bool = False
    national_security: bool = False
    harm_avoided: bool = False


class Incident(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One incident. number: random, for records; noticed: when its clocks began; known: None before classification."""

    number: Number
    what: Words
    noticed: datetime
    status: Status = Status.OPENED
    known: Classification | None = None
    told_authority: datetime | None = None
    told_individuals: datetime | None = None
    closed: datetime | None = None

    @property
    def concerns_people(self) -> bool:
        """Whether people have to be told."""
        known = self.known
        return known is None or not (known.harm_avoided or known.people is People.NONE)

    def classify(self, known: Classification) -> Incident:
        """Raises `ConfigInvalid` for a closed one, an unknown category, or words with a long number."""
        self._expect(Status.CLASSIFIED, Status.OPENED, Status.CLASSIFIED, Status.REPORTED)
        unknown = sorted(set(known.categories) - categories())
        if unknown:
            raise ConfigInvalid("incident_category", name=unknown[0], known=", ".join(sorted(categories())))
        for words in (known.cause, known.harm, known.measures, known.advice):
            check_words(words)
        status = Status.CLASSIFIED if self.status is Status.OPENED else self.status
        return msgspec.structs.replace(self, known=known, status=status)

    def report(self, told: Told, at: datetime) -> Incident:
        """It has been told to the authority, or to the people. Telling again keeps the first time.

        Raises `ConfigInvalid` before it is classified, and for people whom there is no need to tell.
        """
        self._expect(Status.REPORTED, Status.CLASSIFIED, Status.REPORTED)
        if told is Told.AUTHORITY:
            done: dict[str, Any] = {"told_authority": self.told_authority or at}
        else:
            done = {"told_individuals": self.told_individuals or at}
        return msgspec.structs.replace(self, status=Status.REPORTED, **done)

    def close(self, at: datetime) -> Incident:
        """Raises `ConfigInvalid` while somebody has not been told who has to be."""
        self._expect(Status.CLOSED, Status.REPORTED)
        untold = self.told_authority is None or (self.concerns_people and self.told_individuals is None)
        if untold:
            raise ConfigInvalid("incident_untold")
        return msgspec.structs.replace(self, status=Status.CLOSED, closed=at)

    def _expect(self, following: Status, *allowed: Status) -> None:
        if self.status not in allowed:
            raise ConfigInvalid("incident_state", status=self.status.value, expected=following.value)


class Register:
    """The incidents of one node: every change is logged, then stored."""

    def __init__(self, home: NodeHome) -> None:
        self._home = home

    def open(self, what: str, noticed: datetime) -> Incident:
        """A new incident. Raises `ConfigInvalid` for words with a long number."""
        check_words(what)
        made = Incident(number=secrets.token_hex(_NUMBER_BYTES), what=what, noticed=noticed)
        self._log(EventType.INCIDENT_OPENED, made)
        return self._put(made)

    def classify(self, number: str, known: Classification) -> Incident:
        """See `Incident.classify`; a contact that is not given is the policy's handler."""
        made = self.get(number)
        if not known.contact:
            known = msgspec.structs.replace(known, contact=self._contact())
        made = made.classify(known)
        numbers = {"important_data": int(known.important_data), "harm_avoided": int(known.harm_avoided)}
        self._log(EventType.INCIDENT_CLASSIFIED, made, stage=known.people.value, numbers=numbers)
        return self._put(made)

    def report(self, number: str, told: Told, at: datetime) -> Incident:
        """See `Incident.report`."""
        before = self.get(number)
        made = before.report(told, at)
        if made == before:
            return before
        minutes = max(0, int((at - made.noticed).total_seconds() // 60))
        self._log(EventType.INCIDENT_REPORTED, made, stage=told.value, numbers={"minutes": minutes})
        return self._put(made)

    def close(self, number: str, at: datetime) -> Incident:
        """See `Incident.close`."""
        made = self.get(number).close(at)
        self._log(EventType.INCIDENT_CLOSED, made)
        self._home.vault.put(INCIDENTS + number, msgspec.json.encode(made), days=KEPT_DAYS)
        return made

    def get(self, number: str) -> Incident:
        """Raises `ConfigInvalid` for an unknown one, `SealBroken` for a record that is none."""
        data = self._home.vault.get(INCIDENTS + number)
        if data is None:
            raise ConfigInvalid("incident_unknown", name=number)
        try:
            return msgspec.json.decode(data, type=Incident)
        except msgspec.MsgspecError:
            raise SealBroken("vault_broken", name=INCIDENTS + number) from None

    def all(self) -> tuple[Incident, ...]:
        """Every incident that is kept, the oldest first."""
        over = set(self._home.vault.expired())
        names = (name for name in self._home.vault.names(INCIDENTS) if name not in over)
        found = [self.get(name.removeprefix(INCIDENTS)) for name in names]
        return tuple(sorted(found, key=lambda one: (one.noticed, one.number)))

    def is_critical(self) -> bool:
        """Whether the holder operates critical infrastructure, by its policy; without a policy, as if it did not."""
        try:
            return active_policy(self._home).critical_infrastructure
        except Denied:
            return False

    def _contact(self) -> str:
        try:
            handler = active_policy(self._home).handler
        except Denied:
            return ""
        return " ".join(filter(None, (handler.name, handler.officer, handler.contact)))

    def _put(self, made: Incident) -> Incident:
        self._home.vault.put(INCIDENTS + made.number, msgspec.json.encode(made))
        return made

    def _log(self, event: EventType, made: Incident, **fields: Any) -> None:
        """No words: the log holds none."""
        self._home.audit.append(event, actor="operator", artefact=made.number, **fields)


def categories() -> frozenset[str]:
    """What may have been concerned: the categories of the field catalogue."""
    return frozenset(item.category for item in Catalog.load().classes)


def check_words(words: str) -> None:
    """Raises `ConfigInvalid` for what may hold an identifier."""
    if _LONG_NUMBER.search(words):
        raise ConfigInvalid("incident_words")
