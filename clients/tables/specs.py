"""How a data holder registers a customer table."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from privacy.digests import IdFormat
from privacy.errors import ConfigInvalid
from privacy.identifiers import IdentifierKind

PROVISION: Final = "provision"
"""The purpose name of the separate consent to provide data to another handler (PIPL article 23)."""


class _Closed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A record whose unknown keys are refused."""


class FieldSpec(_Closed, frozen=True):
    """One numeric column. A value outside [minimum, maximum] before the transform counts as missing."""

    name: str
    transform: Literal["none", "log1p"] = "none"
    minimum: float | None = None
    maximum: float | None = None


class ConsentSpec(_Closed, frozen=True):
    """The consent log of a table: a row per statement of a subject, in order of time (the last one holds)."""

    path: str
    id_column: str
    purpose_column: str = "purpose"
    status_column: str = "status"


class TableSpec(_Closed, frozen=True):
    """A customer table: where it lies, who its rows are, which columns jobs may use.

    id_format: "plain", or the unkeyed hash ("md5", "sha256", "sm3") in hexadecimal of which the identifier columns of
        the table and of its consent log consist, as a data supplier delivered them; see `privacy.digests`.
    extra_prefixes: phone prefixes that only sample data has, see `privacy.identifiers.check_of`.
    label_column: 0 or 1; read only for a job that asks for the label.
    consents: None where the holder's legal basis is not consent; then no row is excluded for want of it.
    age_column, birth_date_column: at most one. Rows below `minimum_age` are excluded, and so are rows whose
        age cannot be told (missing, unreadable, or outside 0 to 120 years), unless `keep_unknown_age`.

    Raises `ConfigInvalid` when a column plays two parts.
    """

    path: str
    id_column: str
    id_kind: IdentifierKind
    id_format: IdFormat = IdFormat.PLAIN
    fields: tuple[FieldSpec, ...] = ()
    extra_prefixes: tuple[str, ...] = ()
    label_column: str | None = None
    consents: ConsentSpec | None = None
    age_column: str | None = None
    birth_date_column: str | None = None
    minimum_age: Annotated[int, Meta(ge=0, le=120)] = 14
    keep_unknown_age: bool = False

    def __post_init__(self) -> None:
        names = [field.name for field in self.fields]
        parts = [*names, self.id_column] + ([self.label_column] if self.label_column is not None else [])
        twice = sorted(name for name, uses in Counter(parts).items() if uses > 1)
        if twice:
            raise ConfigInvalid("table_column_twice", file=self.path, columns=", ".join(twice))
        if self.age_column is not None and self.birth_date_column is not None:
            raise ConfigInvalid("table_age_twice", file=self.path)
        for field in self.fields:
            if field.minimum is not None and field.maximum is not None and field.minimum > field.maximum:
                raise ConfigInvalid("table_range_reversed", file=self.path, column=field.name)
