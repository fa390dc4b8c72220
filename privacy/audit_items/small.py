"""The self-check of a small handler, as 19 items (小型个人信息处理者简化措施规定, CAC and MPS order 25, annex 1).

The order is in force since 2026-09-01, for handlers of fewer than 100,000 people. That its annex 1 is a table of 19
items is from a secondary source; its text was not to be had. The titles and what is claimed here are therefore ours:
the 19 control areas of the audit guideline (`privacy.audit_items`) about which events and policy say something. Whoever
files the annex itself copies the answers into its wording. Annex 2, the table of effects, is not made.

An item says what is claimed, what was found, on how many events and which checks that rests, and what is open for a
human. The form is closed: `schema()` describes it, the same JSON Schema lies in the package (`SCHEMA_FILE`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from importlib import resources
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from privacy.audit import Event
from privacy.audit_items import findings_of
from privacy.audit_items.guideline import Item
from privacy.audit_items.ledger import Cosigned
from privacy.catalog import Catalog
from privacy.errors import ConfigInvalid
from privacy.policy import Name, Policy
from privacy.texts import LANGUAGES, text

PEOPLE_LIMIT: Final = 100_000
"""From so many people on a handler is not a small one (order 25; natural persons, without those deleted)."""
ITEMS: Final = 19
FORM: Final = "small-handler-self-check/1"
SCHEMA_FILE: Final = "small_handler.schema.json"
_FULL_HEX: Final = r"^[0-9a-f]{64}$"


class Result(StrEnum):
    """What was found. human: events and policy do not suffice; absent: nothing of the kind was done."""

    AGREES = "agrees"
    CONTRADICTS = "contradicts"
    HUMAN = "human"
    ABSENT = "absent"


class _Closed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A record whose unknown keys are refused."""


class Words(_Closed, frozen=True):
    """The same in both languages."""

    zh: Annotated[str, Meta(min_length=1)]
    en: Annotated[str, Meta(min_length=1)]


class Check(_Closed, frozen=True):
    """One thing that was looked at; holds: None where it does not suffice."""

    check: Annotated[str, Meta(min_length=1)]
    holds: bool | None
    says: Words


class Evidence(_Closed, frozen=True):
    """What a result rests on. guideline: the item of the audit guideline with the whole of it."""

    guideline: Annotated[int, Meta(ge=1, le=27)]
    events: Annotated[int, Meta(ge=0)]
    checks: tuple[Check, ...]


class SmallItem(_Closed, frozen=True):
    """One of the 19. open: what is left for a human."""

    item: Annotated[int, Meta(ge=1, le=ITEMS)]
    title: Words
    claim: Words
    result: Result
    evidence: Evidence
    open: tuple[Words, ...]


class SelfCheck(_Closed, frozen=True):
    """The whole form. people: how many the holder counts; log_events: of the log that was read."""

    form: Annotated[str, Meta(pattern=r"^small-handler-self-check/1$")]
    note: Words
    party: Name
    policy: Annotated[str, Meta(pattern=_FULL_HEX)]
    people: Annotated[int, Meta(ge=0, lt=PEOPLE_LIMIT)]
    log_events: Annotated[int, Meta(ge=0)]
    items: Annotated[tuple[SmallItem, ...], Meta(min_length=ITEMS, max_length=ITEMS)]


def self_check(
    events: Iterable[Event],
    policy: Policy,
    catalog: Catalog,
    people: int,
    cosigned: Sequence[Cosigned] | None = None,
) -> SelfCheck:
    """The form, filled in. catalog: with the policy's overrides applied.

    Raises `ConfigInvalid` for 100,000 people or more: such a handler has the whole guideline to answer for.
    """
    if people >= PEOPLE_LIMIT:
        raise ConfigInvalid("small_handler_people", people=f"{people:,}", limit=f"{PEOPLE_LIMIT:,}")
    ledger, found = findings_of(events, policy, catalog, cosigned)
    made = SelfCheck(
        form=FORM,
        note=_note(),
        party=policy.party,
        policy=ledger.digest,
        people=people,
        log_events=len(ledger.events),
        items=tuple(_item(number, item) for number, item in enumerate(found, start=1)),
    )
    return read_self_check(msgspec.json.encode(made))


def read_self_check(data: bytes) -> SelfCheck:
    """A form, checked against everything that its schema says. Raises `ConfigInvalid`."""
    try:
        made = msgspec.json.decode(data, type=SelfCheck)
    except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
        raise ConfigInvalid("file_invalid", file=FORM, problem=str(problem)) from None
    return made


def schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of the form."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | msgspec.json.schema(SelfCheck)


def shipped_schema() -> dict[str, Any]:
    """The schema as it lies in the package, for other companies' programs."""
    found: dict[str, Any] = msgspec.json.decode(
        resources.files(__package__).joinpath(SCHEMA_FILE).read_bytes()
    )
    return found


def _note() -> Words:
    return Words(zh=text("audit.small_note", language="zh-CN"), en=text("audit.small_note", language="en"))


def _item(number: int, item: Item) -> SmallItem:
    key = f"item_{item.number:02}"
    return SmallItem(
        item=number,
        title=_words(f"title.{key}"),
        claim=_words(f"claim.{key}"),
        result=_result(item),
        evidence=Evidence(
            guideline=item.number,
            events=len({event.seq for event in item.events}),
            checks=tuple(
                Check(check=name, holds=holds, says=_words(f"check.{name}"))
                for name, holds in item.checks.items()
            ),
        ),
        open=tuple(_words(f"open.{name}") for name in item.open),
    )


def _result(item: Item) -> Result:
    if not item.applies:
        return Result.ABSENT
    if item.holds is None:
        return Result.HUMAN
    return Result.AGREES if item.holds else Result.CONTRADICTS


def _words(name: str) -> Words:
    found = {language: text(f"audit.item.{name}", language=language) for language in LANGUAGES}
    return Words(zh=found["zh-CN"], en=found["en"])
