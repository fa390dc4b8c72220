"""How a data holder registers a customer table."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from privacy.digests import IdFormat
from privacy.errors import ConfigInvalid
from privacy.identifiers import IdentifierKind

AGE: Final = "age_band"
GENDER: Final = "gender"
REGION: Final = "region"
"""What a model may be tested for fairness by."""


class _Closed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A record whose unknown keys are refused."""


class PublishedTitle(_Closed, frozen=True):
    """A name in plain language."""

    zh: Annotated[str, Meta(min_length=1, max_length=120)]
    en: Annotated[str, Meta(min_length=1, max_length=120)]


class FieldSpec(_Closed, frozen=True):
    """One numeric column. A value outside [minimum, maximum] before the transform counts as missing.

    kind: its class in the field catalogue (docs/pipl.md), where the name alone does not tell.
    published: what other parties may call the field when they tell a person why a score is low (PIPL 24); a field
        without it is never given as a reason.
    """

    name: str
    kind: str = ""
    transform: Literal["none", "log1p"] = "none"
    minimum: float | None = None
    maximum: float | None = None
    published: PublishedTitle | None = None


class ConsentSpec(_Closed, frozen=True):
    """The consent log of a table: a row per statement of a subject. Of two with a time the later holds, otherwise the
    lower row.

    kind_column, scope_column, recipient_column: what the word is about (`privacy.consent.Need`); None: every word is a
        general consent. A cell of recipients may name several parties, separated by ";".
    notice_column: the id of the notice that was shown; notice: the one where the cell is empty, or the file has no such
        column. One of the two is needed: a consent is given to a notice (PIPL articles 14 and 17).
    stated_column: when the word was given, until_column: when it ends (a date: that day is the last), both ISO 8601.

    Raises `ConfigInvalid` without a notice.
    """

    path: str
    id_column: str
    purpose_column: str = "purpose"
    status_column: str = "status"
    kind_column: str | None = None
    scope_column: str | None = None
    recipient_column: str | None = None
    notice_column: str | None = None
    stated_column: str | None = None
    until_column: str | None = None
    notice: str = ""

    def __post_init__(self) -> None:
        if self.notice_column is None and not self.notice:
            raise ConfigInvalid("consent_notice_missing", file=self.path)


class TableSpec(_Closed, frozen=True):
    """A customer table: where it lies, who its rows are, which columns jobs may use.

    id_format: "plain", or the unkeyed hash ("md5", "sha256", "sm3") in hexadecimal of which the identifier columns of
        the table and of its consent log consist, as a data supplier delivered them; see `privacy.digests`.
    extra_prefixes: phone prefixes that only sample data has, see `privacy.identifiers.check_of`.
    categorical_fields: those of the fields whose numbers name something (a city, an occupation); trees then set single
        ones apart (`federation.binning`).
    label_column: 0 or 1; read only for a job that asks for the label.
    consents: None where the holder's legal basis is not consent; then no row is excluded for want of it.
    age_column, birth_date_column: at most one. Rows below `minimum_age` are excluded, and so are rows whose
        age cannot be told (missing, unreadable, or outside 0 to 120 years), unless `keep_unknown_age`. A purpose of the
        policy may ask for a higher age.
    gender_column, region_column: read, with the age, only to test a risk model of this holder's for fairness: never
        trained on, never sent. The policy's purpose has to list the columns among its fields, like any other; those
        that it does not list stay unread.
    retain_until: the last day on which the file may be used (PIPL 19); the sweeper then removes it where
        `erase_when_expired`, and what was derived from it in any case. retain_until_column: the same by row.

    Raises `ConfigInvalid` when a column plays two parts, or `categorical_fields` names one that is not among `fields`.
    """

    path: str
    id_column: str
    id_kind: IdentifierKind
    id_format: IdFormat = IdFormat.PLAIN
    fields: tuple[FieldSpec, ...] = ()
    categorical_fields: tuple[str, ...] = ()
    extra_prefixes: tuple[str, ...] = ()
    label_column: str | None = None
    consents: ConsentSpec | None = None
    age_column: str | None = None
    birth_date_column: str | None = None
    minimum_age: Annotated[int, Meta(ge=0, le=120)] = 14
    keep_unknown_age: bool = False
    gender_column: str | None = None
    region_column: str | None = None
    retain_until: date | None = None
    retain_until_column: str | None = None
    erase_when_expired: bool = False

    @property
    def tested_columns(self) -> dict[str, str]:
        """Columns by which a model may be tested for fairness, by attribute (`AGE`, `GENDER`, `REGION`)."""
        found = {
            AGE: self.age_column or self.birth_date_column,
            GENDER: self.gender_column,
            REGION: self.region_column,
        }
        return {key: column for key, column in found.items() if column is not None}

    def __post_init__(self) -> None:
        names = [field.name for field in self.fields]
        parts = [*names, self.id_column] + ([self.label_column] if self.label_column is not None else [])
        twice = sorted(name for name, uses in Counter(parts).items() if uses > 1)
        if twice:
            raise ConfigInvalid("table_column_twice", file=self.path, columns=", ".join(twice))
        strangers = sorted(set(self.categorical_fields) - set(names))
        if strangers:
            raise ConfigInvalid("table_categorical_unknown", file=self.path, columns=", ".join(strangers))
        if self.age_column is not None and self.birth_date_column is not None:
            raise ConfigInvalid("table_age_twice", file=self.path)
        for field in self.fields:
            if field.minimum is not None and field.maximum is not None and field.minimum > field.maximum:
                raise ConfigInvalid("table_range_reversed", file=self.path, column=field.name)
