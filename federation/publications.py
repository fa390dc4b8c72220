"""What a party tells the coordinator's catalogue about itself: lists of names, schemas and states. Sans-I/O.

Parties   A party and the coordinator, whose console shows the lists to the people who work with it.
Rounds    None: a party sends one list of each noun whenever it has changed; the new list replaces the old as a whole.
What each party learns
          Coordinator, and whoever may look at its console: names and classes of the columns that jobs may use, the
          purposes, the cards of models, the audiences with their sizes, and how many requests are in which state.
          Sizes are rounded down to multiples of k_min, and there is no place for a value or an identifier.
Source    PIPL 6 and 51: what is shown is what planning a job needs.
Deviations
          None.
Equals    A prospectus that each party writes and signs.
Cost      At most `MAX_PUBLICATION_BYTES` a list.

A list is signed for one coordinator and numbered upward, so that an old one does not come back.
What it does not promise. Names of columns, purposes and audiences are the party's own words; a name that tells of
somebody tells it here too. Counts of requests are not rounded: of each letter about one the coordinator knows anyway.
"""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from federation.jobs import Name
from federation.proposals import Moment
from federation.roles import Disclosure, Disclosures
from federation.signed_records import open_record, sign_record
from privacy.catalog import Sensitivity
from privacy.errors import MessageInvalid, UnexpectedMessage
from privacy.identifiers import IdentifierKind
from privacy.policy import Basis, PurposeClass
from privacy.rights import CaseState
from privacy.sealing import Identity, PublicIdentity

DOMAIN: Final = "silhouette publication v1"
MAX_PUBLICATION_BYTES: Final = 1 << 20
MAX_ITEMS: Final = 2_000
MAX_COLUMNS: Final = 4_000
_MAX_NAMES: Final = 256
LONGEST_LABEL: Final = 120
_SMALLEST_K: Final = 5
"""The k_min of the weakest profile (`privacy.parameters`)."""

Label = Annotated[str, Meta(max_length=LONGEST_LABEL)]
Size = Annotated[int, Meta(ge=0, lt=2**53)]
"""Of people, rounded down to a multiple of k_min."""
SmallestGroup = Annotated[int, Meta(ge=_SMALLEST_K, le=100_000)]
Numbered = Annotated[int, Meta(ge=1, lt=2**53)]


class Noun(StrEnum):
    """What there is a list of."""

    DATASETS = "datasets"
    PURPOSES = "purposes"
    MODELS = "models"
    AUDIENCES = "audiences"
    REQUESTS = "requests"


class _Closed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A record whose unknown keys are refused."""


class Wording(_Closed, frozen=True):
    """A name in both languages of the product."""

    zh: Label
    en: Label


class Column(_Closed, frozen=True):
    """One column that jobs may name. kind, category, sensitivity: of its class in the catalogue, if it has one."""

    name: Label
    kind: Annotated[str, Meta(max_length=64)] = ""
    category: Annotated[str, Meta(max_length=64)] = ""
    sensitivity: Sensitivity | None = None
    is_categorical: bool = False
    published: Wording | None = None


class Dataset(_Closed, frozen=True):
    """A registered table's schema. Its size is not among it: a matching tells the overlap, rounded, and no more."""

    name: Name
    id_kind: IdentifierKind
    columns: Annotated[tuple[Column, ...], Meta(max_length=MAX_COLUMNS)] = ()
    has_label: bool = False
    has_consents: bool = False


class RegisteredPurpose(_Closed, frozen=True):
    """A purpose of the party's policy: who may be told apart for what, with whom, and for how long."""

    name: Name
    title: Wording
    basis: Basis
    treatment: PurposeClass
    methods: Annotated[tuple[Name, ...], Meta(max_length=_MAX_NAMES)] = ()
    columns: Annotated[tuple[Label, ...], Meta(max_length=MAX_COLUMNS)] = ()
    recipients: Annotated[tuple[Name, ...], Meta(max_length=_MAX_NAMES)] = ()
    retention_days: Annotated[int, Meta(ge=0)] = 0
    minimum_age: Annotated[int, Meta(ge=0, le=120)] = 18


class PublishedModel(_Closed, frozen=True):
    """A model's card. rows: rounded down to a multiple of k_min."""

    number: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
    kind: Name
    job: Name
    purpose: Name
    parties: Annotated[tuple[Name, ...], Meta(max_length=_MAX_NAMES)]
    state: Name
    trained: date
    rows: Size
    k_min: SmallestGroup
    deadline: date | None = None
    superseded_by: Annotated[str, Meta(pattern=r"^([0-9a-f]{32})?\Z")] = ""


class PublishedAudience(_Closed, frozen=True):
    """A list for marketing. people: rounded down to a multiple of k_min."""

    name: Name
    purpose: Name
    people: Size
    k_min: SmallestGroup
    built: date
    expires: date


class _List(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """number: higher than that of the party's earlier lists of the noun."""

    party: Name
    number: Numbered
    made: Moment


class Datasets(_List, frozen=True, kw_only=True, tag="desk.datasets/1"):
    """Party -> coordinator: its tables."""

    items: Annotated[tuple[Dataset, ...], Meta(max_length=MAX_ITEMS)] = ()


class Purposes(_List, frozen=True, kw_only=True, tag="desk.purposes/1"):
    """Party -> coordinator: its purposes. policy: digest of the policy that they are of, empty without one."""

    policy: Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?\Z")] = ""
    items: Annotated[tuple[RegisteredPurpose, ...], Meta(max_length=MAX_ITEMS)] = ()


class Models(_List, frozen=True, kw_only=True, tag="desk.models/1"):
    """Party -> coordinator: its models."""

    items: Annotated[tuple[PublishedModel, ...], Meta(max_length=MAX_ITEMS)] = ()


class Audiences(_List, frozen=True, kw_only=True, tag="desk.audiences/1"):
    """Party -> coordinator: its lists for marketing."""

    items: Annotated[tuple[PublishedAudience, ...], Meta(max_length=MAX_ITEMS)] = ()


class Requests(_List, frozen=True, kw_only=True, tag="desk.requests/1"):
    """Party -> coordinator: how many requests of subjects are in which state."""

    items: Annotated[dict[CaseState, Annotated[int, Meta(ge=1)]], Meta(max_length=len(CaseState))] = {}


Publication = Datasets | Purposes | Models | Audiences | Requests
KIND_OF: Final[dict[Noun, type[Publication]]] = {
    Noun.DATASETS: Datasets,
    Noun.PURPOSES: Purposes,
    Noun.MODELS: Models,
    Noun.AUDIENCES: Audiences,
    Noun.REQUESTS: Requests,
}
NOUN_OF: Final = {kind: noun for noun, kind in KIND_OF.items()}

DISCLOSES: Final = Disclosures(
    "publications",
    coordinator=(
        Disclosure("schemas", ("desk.datasets/1",)),
        Disclosure("purposes", ("desk.purposes/1",)),
        Disclosure("models", ("desk.models/1",)),
        Disclosure("audiences", ("desk.audiences/1",)),
        Disclosure("requests", ("desk.requests/1",)),
    ),
)

_PUBLICATION: Final[msgspec.msgpack.Decoder[Publication]] = msgspec.msgpack.Decoder(Publication)


def publication_of(
    noun: Noun, party: str, number: int, made: datetime, items: object, **others: str
) -> Publication:
    """A list of this noun, checked: it is what the coordinator takes. Raises `MessageInvalid`."""
    plain = msgspec.to_builtins({"party": party, "number": number, "made": made, "items": items, **others})
    try:
        return msgspec.convert(plain, KIND_OF[noun])
    except msgspec.ValidationError:
        raise MessageInvalid("desk_record") from None


def sign_publication(publication: Publication, identity: Identity, coordinator: str) -> bytes:
    """The list as it is sent. Raises `MessageInvalid` for one that is too large or tells a size exactly."""
    check_sizes(publication)
    return sign_record(publication, identity, DOMAIN, coordinator, MAX_PUBLICATION_BYTES)


def open_publication(
    signed: bytes, noun: Noun, party: str, identity: PublicIdentity, coordinator: str
) -> Publication:
    """A list of this noun by this party, for this coordinator.

    Raises `SignatureInvalid`, `MessageInvalid`, and `UnexpectedMessage` for one in another party's name.
    """
    found = open_record(signed, _PUBLICATION, identity, DOMAIN, coordinator, MAX_PUBLICATION_BYTES)
    if found.party != party:
        raise UnexpectedMessage("desk_other_party", sender=party)
    if NOUN_OF[type(found)] is not noun:
        raise MessageInvalid("desk_record")
    check_sizes(found)
    return found


def check_sizes(publication: Publication) -> None:
    """That no size is finer than k_min. Raises `MessageInvalid`."""
    match publication:
        case Models(items=models):
            is_exact = any(item.rows % item.k_min for item in models)
        case Audiences(items=audiences):
            is_exact = any(item.people % item.k_min for item in audiences)
        case _:
            return
    if is_exact:
        raise MessageInvalid("desk_record")


def rounded(count: int, k_min: int) -> int:
    """A number of people as it may be told: rounded down to a multiple of k_min."""
    return count // k_min * k_min
