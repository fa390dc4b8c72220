"""What the coordinator's catalogue, its roster and its audit log hold, as the API answers it.

The fields are the API's. What a newer coordinator says besides is passed over.
"""

from __future__ import annotations

from datetime import date, datetime

import msgspec


class Me(msgspec.Struct, frozen=True):
    """Who calls. means: login, token or issuer; csrf: what the changes of a login carry; empty for a token."""

    name: str
    roles: tuple[str, ...]
    permissions: tuple[str, ...]
    means: str
    language: str = ""
    must_change: bool = False
    csrf: str = ""


class Federation(msgspec.Struct, frozen=True):
    """The coordinator. fingerprint: of its keys, to compare by voice; certificate: SHA-256 of it, in hexadecimal;
    jobs: how many are in each state."""

    url: str
    fingerprint: str
    certificate: str
    version: str
    serving: bool
    parties: int
    jobs: dict[str, int]
    events: int


class Party(msgspec.Struct, frozen=True):
    """One of the roster. fingerprint: of its keys, to compare by voice; flower_key: SHA-256 of its SuperNode's key;
    node: online, offline, or unknown while nothing serves."""

    name: str
    fingerprint: str
    flower_key: str = ""
    node: str = "unknown"


class Column(msgspec.Struct, frozen=True):
    """A column that jobs may name. kind, category, sensitivity: of its class in the catalogue, if it has one."""

    name: str
    kind: str = ""
    category: str = ""
    sensitivity: str | None = None
    is_categorical: bool = False
    published: dict[str, str] | None = None


class Dataset(msgspec.Struct, frozen=True):
    """A party's table: its schema alone."""

    party: str
    name: str
    id_kind: str
    columns: tuple[Column, ...] = ()
    has_label: bool = False
    has_consents: bool = False
    listed: datetime | None = None

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of its columns, for a job."""
        return tuple(column.name for column in self.columns)


class Purpose(msgspec.Struct, frozen=True):
    """A purpose of a party's policy: on what basis, by which methods, with which columns and with whom."""

    party: str
    name: str
    title: dict[str, str]
    basis: str
    treatment: str
    methods: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()
    retention_days: int = 0
    minimum_age: int = 18
    listed: datetime | None = None


class Model(msgspec.Struct, frozen=True):
    """A model's card at one party. rows: rounded down to a multiple of k_min."""

    party: str
    number: str
    kind: str
    job: str
    purpose: str
    parties: tuple[str, ...]
    state: str
    trained: date
    rows: int
    k_min: int
    deadline: date | None = None
    superseded_by: str = ""
    listed: datetime | None = None


class Highlight(msgspec.Struct, frozen=True):
    """A field that stands out in a segment: its mean, in percent of everybody's."""

    party: str
    field: str
    index: float


class FieldProfile(msgspec.Struct, frozen=True):
    """A party's field over the segments, one number for each; None where it is hidden.

    means and mean_overall: in the field's unit; index: percent of everybody's mean; bands: a row for each segment.
    """

    party: str
    field: str
    counts: tuple[float | None, ...]
    means: tuple[float | None, ...]
    mean_overall: float | None
    index: tuple[float | None, ...]
    band_names: tuple[str, ...] = ()
    bands: tuple[tuple[float | None, ...], ...] = ()


class Persona(msgspec.Struct, frozen=True):
    """The segments of a finished job. sizes: people in each, None where hidden; default_rate: in [0, 1]."""

    job: str
    name: str
    purpose: str
    ended: datetime | None
    k_min: int
    segments: int
    sizes: tuple[float | None, ...]
    default_rate: tuple[float | None, ...] = ()
    highlights: tuple[tuple[Highlight, ...], ...] = ()
    fields: tuple[FieldProfile, ...] = ()


class RequestCounts(msgspec.Struct, frozen=True):
    """How many requests of subjects a party has in each state."""

    party: str
    listed: datetime
    counts: dict[str, int] = {}


class AuditEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event of the coordinator's log (`privacy.audit.Event`). seq: its number in the log, from 0."""

    seq: int
    time: str
    origin: str
    actor: str
    type: str
    job: str = ""
    session: str = ""
    stage: str = ""
    artefact: str = ""
    policy: str = ""
    reasons: tuple[str, ...] = ()
    sref: str = ""
    commit: str = ""
    numbers: dict[str, int] = {}
    digests: dict[str, str] = {}


class AuditEntry(msgspec.Struct, frozen=True):
    """An event with its line in the log, whose hash `leaf` the log's tree holds."""

    event: AuditEvent
    line: str
    leaf: str


class Token(msgspec.Struct, frozen=True):
    """Of one's own: everything but the secret itself."""

    id: str
    label: str
    roles: tuple[str, ...]
    created: datetime
    expires: datetime
