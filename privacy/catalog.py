"""Which information a column holds, and what may be done with it for which purpose (PIPL 6, 28; JR/T 0171-2020).

The classes are data (`catalog.toml`). A column belongs to the class that the table's registration declares for it, else
to the one whose aliases its name matches; a column that belongs to none is refused. All fields that reach a trainer are
numbers, so nothing here minimises text: coarser text (a city for an address) has to be in the table.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
import unicodedata
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from privacy.errors import ConfigInvalid

RESIDENT_ID: Final = "resident_id"
_LEVELS: Final = {"C1": 2, "C2": 3, "C3": 4}
"""JR/T 0197-2020 levels of the JR/T 0171 classes."""
_BUCKETS: Final = 20
"""Where the design says "in buckets" and no number: five per cent of the people in each."""
_AGE_BAND_YEARS: Final = 5
_SHORTEST_REASON: Final = 10


class Sensitivity(StrEnum):
    """sensitive: by statute or GB/T 45574 annex A; conservative: treated so unless a deployment decides otherwise."""

    GENERAL = "general"
    SENSITIVE = "sensitive"
    CONSERVATIVE = "conservative"


class Action(StrEnum):
    """What a trainer may see of a field. AGGREGATE: part of a sum; LOCAL: the holder alone; TOKEN: for matching."""

    USE = "use"
    BUCKET = "bucket"
    AGGREGATE = "aggregate"
    LOCAL = "local"
    TOKEN = "token"  # noqa: S105
    DROP = "drop"
    PROHIBITED = "prohibited"


_ADMITTED: Final = frozenset({Action.USE, Action.BUCKET, Action.AGGREGATE})
"""With these a field takes part in a computation."""


class Consent(StrEnum):
    """Which consent a field asks for beside the general one (PIPL 29)."""

    NONE = "none"
    SEPARATE = "separate"
    WRITTEN = "written"


Minimise = Literal["none", "quantiles", "age_band", "year", "first_digit"]
Number = Annotated[int, Meta(ge=0, le=1000)]

_NUMBERS: Final[dict[str, int]] = {"quantiles": _BUCKETS, "age_band": _AGE_BAND_YEARS}
"""What is meant where no number is given."""
_MINIMISING: Final[dict[str, Minimise]] = {
    "bucket": "quantiles",
    "age_band": "age_band",
    "year": "year",
    "first_digit": "first_digit",
}
"""How a treatment in `catalog.toml` names what it does to values."""


class _Closed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A record whose unknown keys are refused."""


class Treatment(_Closed, frozen=True):
    """How a field may be used for one purpose. number: buckets, or years of a band (0: one)."""

    action: Action
    consent: Consent = Consent.NONE
    minimise: Minimise = "none"
    number: Number = 0


class FieldClass(_Closed, frozen=True):
    """One class of fields.

    retention_days: of derived copies. price_prohibited: never in a price, a rate or a limit (24).
    """

    key: str
    category: str
    sensitivity: Sensitivity
    jrt_class: Literal["C1", "C2", "C3"]
    retention_days: int
    article: str
    treatments: dict[str, Treatment]
    aliases: tuple[str, ...] = ()
    price_prohibited: bool = False

    @property
    def is_sensitive(self) -> bool:
        """Whether the rules for sensitive personal information apply (28 to 30)."""
        return self.sensitivity is not Sensitivity.GENERAL

    @property
    def is_c3(self) -> bool:
        """Credentials and the like: what may not lie in a file at all (JR/T 0171)."""
        return self.jrt_class == "C3"

    @property
    def level(self) -> int:
        """The JR/T 0197 level."""
        return _LEVELS[self.jrt_class]

    @property
    def is_prohibited(self) -> bool:
        """Whether no class of purposes may use it."""
        return all(item.action is Action.PROHIBITED for item in self.treatments.values())

    def treatment(self, purpose_class: str) -> Treatment:
        """How it may be used for a class of purposes (`privacy.policy.PurposeClass`)."""
        return self.treatments[purpose_class]


class Override(_Closed, frozen=True):
    """What one deployment decides otherwise about a column, and why. None and "" keep what the catalogue says."""

    field: str
    reason: Annotated[str, Meta(min_length=_SHORTEST_REASON, max_length=1000)]
    kind: str = ""
    action: Action | None = None
    minimise: Minimise | None = None
    number: Number | None = None
    consent: Consent | None = None


class _Row(_Closed, frozen=True):
    """One table of `catalog.toml`."""

    category: Annotated[str, Meta(pattern=r"^[a-z_]{1,32}\Z")]
    sensitivity: Sensitivity
    jrt: Literal["C1", "C2", "C3"]
    days: Annotated[int, Meta(ge=0, le=3660)]
    article: Annotated[str, Meta(min_length=1)]
    marketing: str
    credit_risk: str
    aliases: tuple[str, ...] = ()
    price_prohibited: bool = False


class Catalog:
    """The field classes, with a deployment's overrides. `Catalog.load` makes one."""

    def __init__(self, classes: dict[str, FieldClass], overrides: dict[str, FieldClass]) -> None:
        self._classes, self._overrides = classes, overrides

    @classmethod
    def load(cls, *, resident_id_sensitive: bool = True) -> Catalog:
        """The catalogue that comes with the product.

        resident_id_sensitive: GB/T 45574 no longer lists the number; until its status is settled it is treated as
        sensitive unless a deployment decides otherwise.
        """
        classes = dict(_classes())
        if not resident_id_sensitive:
            classes[RESIDENT_ID] = msgspec.structs.replace(
                classes[RESIDENT_ID], sensitivity=Sensitivity.GENERAL
            )
        return cls(classes, {})

    @property
    def classes(self) -> tuple[FieldClass, ...]:
        """All classes, in the order of the file."""
        return tuple(self._classes.values())

    @property
    def digest(self) -> str:
        """SHA-256 of the classes and the overrides, in hexadecimal."""
        everything = [list(self._classes.values()), self._overrides]
        return hashlib.sha256(msgspec.json.encode(everything, order="deterministic")).hexdigest()

    def of(self, key: str) -> FieldClass | None:
        """The class of that key, or None."""
        return self._classes.get(key)

    def classify(self, column: str) -> FieldClass | None:
        """The class that a column's name tells, or None.

        An exact alias decides; else, of the patterns that fit, one of a prohibited class, else the longest.
        """
        name = _plain(column)
        fitting = []
        for item in self._classes.values():
            if name in item.aliases:
                return item
            lengths = [len(alias) for alias in item.aliases if "*" in alias and fnmatchcase(name, alias)]
            if lengths:
                fitting.append((item.is_prohibited, max(lengths), item))
        return max(fitting, key=lambda fit: fit[:2])[2] if fitting else None

    def of_column(self, column: str, declared: str) -> FieldClass | None:
        """The class of a column: this deployment's override, the declared class, or what the name tells.

        A name or a registration that tells of credentials is never outweighed. A name that tells of something else
        prohibited, or of sensitive information where the registration declares none, is outweighed only by an override,
        which gives its reason.
        """
        named, registered = self.classify(column), self._classes.get(declared)
        for item in (named, registered):
            if item is not None and item.is_c3:
                return item
        if column in self._overrides:
            return self._overrides[column]
        if named is not None and named.is_prohibited:
            return named
        if (
            named is not None
            and registered is not None
            and named.is_sensitive
            and not registered.is_sensitive
        ):
            return named
        return registered if declared else named

    def with_overrides(self, overrides: tuple[Override, ...]) -> Catalog:
        """The catalogue of one deployment. Several overrides of one column add up, in their order.

        Raises `ConfigInvalid` for an unknown class, for a column that is of none, and for an attempt to admit what is
        prohibited as a credential (C3). An override that admits sensitive information which the catalogue keeps out
        brings the separate consent with it, unless it says which consent is asked for (29).
        """
        found = dict(self._overrides)
        for override in overrides:
            base = Catalog(self._classes, found)._base_of(override)
            if base is None:
                raise ConfigInvalid(
                    "catalog_override_unknown", column=override.field, kind=override.kind or "-"
                )
            if base.is_c3:
                raise ConfigInvalid("catalog_override_secret", column=override.field)
            treatments = {
                name: _changed(item, override, base.is_sensitive) for name, item in base.treatments.items()
            }
            found[override.field] = msgspec.structs.replace(base, treatments=treatments)
        return Catalog(self._classes, found)

    def _base_of(self, override: Override) -> FieldClass | None:
        """What an override changes: the class that it names, unless the column's name tells of credentials."""
        current = self.of_column(override.field, "")
        if not override.kind or (current is not None and current.is_c3):
            return current
        return self._classes.get(override.kind)


def _changed(item: Treatment, override: Override, is_sensitive: bool) -> Treatment:
    """A new action brings its own coarseness, a new coarseness its own number, unless the override gives them."""
    changes: dict[str, Any] = {
        name: value
        for name in ("action", "minimise", "number", "consent")
        if (value := getattr(override, name)) is not None
    }
    if override.action is Action.USE:
        changes.setdefault("minimise", "none")
    elif override.action is Action.BUCKET and item.minimise == "none":
        changes.setdefault("minimise", "quantiles")
    if is_sensitive and item.action not in _ADMITTED and override.action in _ADMITTED:
        changes.setdefault("consent", Consent.SEPARATE)
    minimise = changes.get("minimise", item.minimise)
    number = changes.get("number", item.number if minimise == item.minimise else 0)
    changes["number"] = number or _NUMBERS.get(minimise, 0)
    return msgspec.structs.replace(item, **changes)


def _plain(column: str) -> str:
    return re.sub(r"\W+", "_", unicodedata.normalize("NFKC", column).strip().casefold()).strip("_")


@cache
def _classes() -> dict[str, FieldClass]:
    text = resources.files("privacy").joinpath("catalog.toml").read_text("utf-8")
    rows = msgspec.convert(tomllib.loads(text), dict[str, _Row])
    return {
        key: FieldClass(
            key=key,
            category=row.category,
            sensitivity=row.sensitivity,
            jrt_class=row.jrt,
            retention_days=row.days,
            article=row.article,
            treatments={
                "marketing": parse_treatment(row.marketing),
                "credit_risk": parse_treatment(row.credit_risk),
            },
            aliases=row.aliases,
            price_prohibited=row.price_prohibited,
        )
        for key, row in rows.items()
    }


_TREATMENT: Final = re.compile(r"(?P<what>[a-z_]+)(:(?P<number>\d+))?(\+(?P<consent>[a-z]+))?")


def parse_treatment(text: str) -> Treatment:
    """A treatment as `catalog.toml` writes it: "bucket:10+separate", "age_band:5", "drop". Raises `ValueError`."""
    parts = _TREATMENT.fullmatch(text)
    if parts is None:
        raise ValueError(text)
    what, consent = parts["what"], Consent(parts["consent"] or "none")
    minimise: Minimise | None = _MINIMISING.get(what)
    if minimise is None:
        return Treatment(action=Action(what), consent=consent)
    number = int(parts["number"] or 0) or _NUMBERS.get(minimise, 0)
    return Treatment(action=Action.BUCKET, consent=consent, minimise=minimise, number=number)
