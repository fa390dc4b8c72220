"""What a data holder has decided and agreed: purposes, notices, assessments, agreements. Data, not code.

A `Policy` is one TOML file at each data holder (docs/pipl.md describes every key). The gate uses the policy that was
*activated*, whose digest is in the audit log; editing the file changes nothing until it is activated again.
Dates are calendar days in the holder's time zone; a `valid_until` day is the last valid one.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from datetime import date
from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from privacy.audit import is_name
from privacy.catalog import Override
from privacy.errors import ConfigInvalid

Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,31}\Z")]
Id = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]
Text = Annotated[str, Meta(max_length=4000)]
Region = Annotated[str, Meta(pattern=r"^[A-Z]{2}\Z")]
Digest = Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?\Z")]

CHINA: Final = "CN"
PROMPT_COOLDOWN_DAYS: Final = 30
"""Nobody is asked for consent again sooner (our choice, for 网络数据安全管理条例 article 22 (5))."""
SHORTEST_RETENTION_DAYS: Final = 1
LONGEST_RETENTION_DAYS: Final = 3660


class Basis(StrEnum):
    """The legal bases of PIPL article 13; there is no legitimate interest among them."""

    CONSENT = "consent"
    CONTRACT = "contract"
    STATUTORY = "statutory"
    EMERGENCY = "emergency"
    NEWS = "news"
    PUBLIC = "public"


class Relation(StrEnum):
    """What a flow to another party is: articles 20 (joint), 21 (entrusted), 23 (provide)."""

    JOINT = "joint"
    ENTRUSTED = "entrusted"
    PROVIDE = "provide"


class PurposeClass(StrEnum):
    """Which column of the field catalogue applies."""

    MARKETING = "marketing"
    CREDIT_RISK = "credit_risk"


class Missing(StrEnum):
    """What becomes of a field whose subjects have not given the separate consent that it needs.

    BLANK_CELLS: the field is missing for these subjects alone, such as the owner's credit in a firm's row (29).
    """

    EXCLUDE_ROWS = "exclude_rows"
    DROP_FIELD = "drop_field"
    BLANK_CELLS = "blank_cells"


class _Closed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A record whose unknown keys are refused."""


class Contact(_Closed, frozen=True):
    """Who the handler is and how it can be reached (articles 17 and 52)."""

    name: Text
    contact: Text
    officer: Text = ""


class Titles(_Closed, frozen=True):
    """The same text for both languages of the product."""

    zh: Text
    en: Text

    def in_language(self, language: str) -> str:
        return self.zh if language.startswith("zh") else self.en


class Recipient(_Closed, frozen=True):
    """A party that takes part for one purpose, the coordinator among them.

    relation: `provide` asks for each subject's separate consent; a deployment that treats the exchange of ciphertexts
        otherwise names the `legal_opinion` it relies on.
    """

    party: Name
    relation: Relation
    agreement: Id
    contact: Contact
    region: Region = CHINA
    legal_opinion: Id | None = None


class Purpose(_Closed, frozen=True):
    """One registered purpose: why, on which basis, with which fields, for whom, how long (articles 6, 13, 17).

    fields: columns of the holder's table that jobs for this purpose may name. methods: the kinds of processing
    (`federation.jobs.Stage`). treatment: which column of the catalogue says how fields are minimised.
    sensitive_necessity: by category, why it is needed and what it means for the subject (articles 28, 30).
    automated_decision: whether results decide about people without a person; `human_route` says who reviews.
    licensed_bureau, legal_opinion: what allows partners' data in lending (征信业管理条例 article 7).
    """

    name: Name
    title: Titles
    necessity: Titles
    basis: Basis
    treatment: PurposeClass
    fields: tuple[str, ...]
    methods: tuple[str, ...]
    recipients: tuple[Recipient, ...]
    notice: Id
    retention_days: Annotated[int, Meta(ge=0, le=LONGEST_RETENTION_DAYS)] = 0
    basis_reference: Text = ""
    pipia: Id | None = None
    minimum_age: Annotated[int, Meta(ge=0, le=120)] = 18
    minor_rules: Id | None = None
    keep_unknown_age: bool = False
    sensitive_necessity: dict[str, Titles] = {}
    when_separate_consent_is_missing: Missing = Missing.EXCLUDE_ROWS
    automated_decision: bool = False
    human_route: Text = ""
    licensed_bureau: Id | None = None
    legal_opinion: Id | None = None

    def recipient(self, party: str) -> Recipient | None:
        """The entry for a party, or None."""
        return next((item for item in self.recipients if item.party == party), None)


class Notice(_Closed, frozen=True):
    """What subjects were told (articles 17, 23, 30): its scope, and the digest of the text as it was published.

    still_valid: earlier notices whose consents hold on, because the change concerned no purpose, method, category or
        recipient (article 14).
    """

    id: Id
    published: date
    purposes: tuple[Name, ...]
    categories: tuple[str, ...]
    recipients: tuple[Name, ...]
    methods: tuple[str, ...]
    digest: Digest = ""
    still_valid: tuple[Id, ...] = ()


class Pipia(_Closed, frozen=True):
    """A personal information protection impact assessment (articles 55, 56); `models` are the methods it covers."""

    id: Id
    purposes: tuple[Name, ...]
    models: tuple[str, ...]
    categories: tuple[str, ...]
    valid_until: date
    approved_by: Text = ""
    approved: date | None = None
    digest: Digest = ""


class Agreement(_Closed, frozen=True):
    """An agreement with another party (articles 20, 21, 23): the fields that the law asks for.

    coordinator_fingerprints: the coordinator's keys and its approved sub-processors' (article 21: no
        sub-delegation without consent); empty for an agreement with a data holder.
    """

    id: Id
    relation: Relation
    parties: tuple[Name, ...]
    purposes: tuple[Name, ...]
    methods: tuple[str, ...]
    categories: tuple[str, ...]
    measures: Text
    duties: Text
    valid_from: date
    valid_until: date
    return_or_delete_days: Annotated[int, Meta(ge=0, le=365)] = 10
    inspection_days: Annotated[int, Meta(ge=0, le=1000)] = 180
    coordinator_fingerprints: tuple[str, ...] = ()
    digest: Digest = ""


class MechanismKind(StrEnum):
    """The ways of article 38."""

    ASSESSMENT = "assessment"
    CERTIFICATION = "certification"
    STANDARD_CONTRACT = "standard_contract"


class Mechanism(_Closed, frozen=True):
    """What allows data to go to another region (article 38)."""

    id: Id
    kind: MechanismKind
    region: Region
    parties: tuple[Name, ...]
    valid_until: date


class Policy(
    _Closed,
    frozen=True,
    rename={
        "purposes": "purpose",
        "notices": "notice",
        "assessments": "pipia",
        "agreements": "agreement",
        "mechanisms": "mechanism",
        "overrides": "override",
    },
):
    """Everything the gate of one data holder decides by."""

    party: Name
    handler: Contact
    purposes: tuple[Purpose, ...]
    notices: tuple[Notice, ...] = ()
    assessments: tuple[Pipia, ...] = ()
    agreements: tuple[Agreement, ...] = ()
    mechanisms: tuple[Mechanism, ...] = ()
    overrides: tuple[Override, ...] = ()
    region: Region = CHINA
    critical_infrastructure: bool = False
    resident_id_sensitive: bool = True
    prompt_cooldown_days: Annotated[int, Meta(ge=PROMPT_COOLDOWN_DAYS, le=LONGEST_RETENTION_DAYS)] = (
        PROMPT_COOLDOWN_DAYS
    )
    is_draft: bool = False
    """Written by a rehearsal for itself: a deployed node does not activate it."""

    def purpose(self, name: str) -> Purpose | None:
        """The purpose of that name, or None."""
        return next((item for item in self.purposes if item.name == name), None)

    def notice(self, number: str) -> Notice | None:
        return next((item for item in self.notices if item.id == number), None)

    def pipia(self, number: str) -> Pipia | None:
        return next((item for item in self.assessments if item.id == number), None)

    def agreement(self, number: str) -> Agreement | None:
        return next((item for item in self.agreements if item.id == number), None)

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical encoding, in hexadecimal: every message of a job is bound to it."""
        return hashlib.sha256(encode_policy(self)).hexdigest()


def encode_policy(policy: Policy) -> bytes:
    """Canonical bytes: JSON with sorted keys."""
    return msgspec.json.encode(policy, order="deterministic")


def decode_policy(data: bytes, source: str) -> Policy:
    """Inverse of `encode_policy`, checked. Raises `ConfigInvalid` that names the key and `source`."""
    try:
        policy = msgspec.json.decode(data, type=Policy)
    except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
        raise ConfigInvalid("policy_invalid", file=source, problem=str(problem)) from None
    check_policy(policy, source)
    return policy


def check_policy(policy: Policy, source: str) -> None:
    """What the field types cannot say: names once, and references that lead somewhere. Raises `ConfigInvalid`."""
    named: dict[str, Iterable[str]] = {
        "purpose": (item.name for item in policy.purposes),
        "notice": (item.id for item in policy.notices),
        "pipia": (item.id for item in policy.assessments),
        "agreement": (item.id for item in policy.agreements),
        "mechanism": (item.id for item in policy.mechanisms),
    }
    for table, names in named.items():
        names = list(names)  # noqa: PLW2901
        unsayable = sorted(name for name in names if not is_name(name))
        if unsayable:
            problem = f"{table}: {', '.join(unsayable)}: the log takes no name with eight digits in a row"
            raise ConfigInvalid("policy_invalid", file=source, problem=problem)
        twice = sorted(name for name, uses in Counter(names).items() if uses > 1)
        if twice:
            raise ConfigInvalid("policy_invalid", file=source, problem=f"{table}: {', '.join(twice)} twice")
    for purpose in policy.purposes:
        parties = Counter(item.party for item in purpose.recipients)
        twice = sorted(name for name, uses in parties.items() if uses > 1)
        if twice:
            problem = f"purpose {purpose.name}: recipient {', '.join(twice)} twice"
            raise ConfigInvalid("policy_invalid", file=source, problem=problem)
        if policy.party in parties:
            problem = f"purpose {purpose.name}: {policy.party} is the holder itself, not a recipient"
            raise ConfigInvalid("policy_invalid", file=source, problem=problem)
