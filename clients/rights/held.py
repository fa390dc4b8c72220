"""What a node holds of one person, in words that the person understands (PIPL 17, 45).

Fields have the titles and categories of the field catalogue, purposes the texts of the policy. Results have neutral
labels: what a segment or a class of customers is called inside the house is never told to the one who is in it
(`neutral`), and no lane of a decision is worded as a verdict.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pandas as pd

from clients.consents.holding import Held, held
from clients.consents.rows import as_tokens
from clients.gate.policy import active_policy, catalog_of
from clients.home import NodeHome
from clients.lending.cases import DECISIONS
from clients.lending.reasons import parse_reasons, sentence
from clients.results import CUSTOMERS
from clients.rights.located import Located
from clients.tables.files import as_arrow, read_columns
from clients.tables.problems import refuse
from clients.tables.subjects import normalized
from federation.pace import utc_now
from privacy.catalog import Catalog
from privacy.policy import Policy, Purpose, Titles
from privacy.texts import catalogue, text

SCHEMA: Final = "silhouette copy 1"
_ID, _ROW, _REASONS, _EXPLANATION = "identifier", "row", "reasons", "explanation"
_INTERNAL: Final = frozenset({_ID, _ROW, "policy", "why", "rule", "held_out", _EXPLANATION, "rule_reason"})
"""Columns of results that say nothing about the person, or say again what another says."""
_LANES: Final = {"fast_lane": "quick", "manual": "person", "decline": "person"}
_NAMED: Final = frozenset(
    {
        "segment", "points", "score", "score_alone", "pd", "pd_alone", "grade", "lane", "needs_human",
        "limit_multiple", "term_months", "repayment", "spread_bp", "reasons",
    }
)  # fmt: skip


class HeldField(msgspec.Struct, frozen=True):
    """One cell of the person's row. value: as the file has it."""

    column: str
    title: Titles
    category: Titles
    sensitive: bool
    value: str


class HeldRecipient(msgspec.Struct, frozen=True):
    """Who takes part. relation: joint, entrusted or provide (20, 21, 23)."""

    party: str
    name: str
    contact: str
    relation: str


class HeldPurpose(msgspec.Struct, frozen=True, kw_only=True):
    """What for. since: when the person agreed, or the notice was published; last_use: of the table for this purpose."""

    name: str
    title: Titles
    why: Titles
    basis: str
    status: str
    since: date | None
    last_use: date | None
    retention_days: int
    fields: tuple[str, ...]
    recipients: tuple[HeldRecipient, ...]
    automated: bool
    human_route: str


class HeldResult(msgspec.Struct, frozen=True):
    """One figure that was computed about the person."""

    job: str
    what: Titles
    value: Titles


class Copy(msgspec.Struct, frozen=True, kw_only=True):
    """Everything. case: of the request that it was made for; made: when."""

    schema: str
    case: str
    party: str
    handler: str
    contact: str
    made: datetime
    fields: tuple[HeldField, ...]
    purposes: tuple[HeldPurpose, ...]
    consents: Held
    results: tuple[HeldResult, ...]


def gather(home: NodeHome, subject: Located, case: str = "") -> Copy:
    """What is held of one subject now. Raises `Denied` without a policy, `SchemaMismatch` for an unreadable table."""
    policy, now = active_policy(home), utc_now()
    (words,) = held(home.consents, as_tokens([subject.token]), now)
    return Copy(
        schema=SCHEMA,
        case=case,
        party=home.settings.name,
        handler=policy.handler.name,
        contact=policy.handler.contact,
        made=now,
        fields=tuple(_fields(home, catalog_of(policy), subject.identifier)),
        purposes=purposes_of(home, policy, words),
        consents=words,
        results=tuple(results_of(home, subject.identifier.decode())),
    )


def purposes_of(home: NodeHome, policy: Policy, words: Held) -> tuple[HeldPurpose, ...]:
    """Who uses what for which purpose, since when and when last."""
    last = {
        event.artefact: _day(event.time)
        for event in home.audit.events()
        if event.type.value == "dataset.admitted"
    }
    return tuple(_purpose(item, policy, words, last.get(item.name, last.get(""))) for item in policy.purposes)


def _purpose(item: Purpose, policy: Policy, words: Held, last: date | None) -> HeldPurpose:
    own = [word for word in words.words if word.purpose == item.name]
    general = next((word for word in own if not word.scope and not word.recipient), None)
    notice = policy.notice(item.notice)
    since = None if notice is None else notice.published
    if general is not None and general.stated is not None:
        since = general.stated.astimezone().date()
    return HeldPurpose(
        name=item.name,
        title=item.title,
        why=item.necessity,
        basis=item.basis.value,
        status="none" if general is None else general.status,
        since=since,
        last_use=last,
        retention_days=item.retention_days,
        fields=item.fields,
        recipients=tuple(
            HeldRecipient(one.party, one.contact.name, one.contact.contact, one.relation.value)
            for one in item.recipients
        ),
        automated=item.automated_decision,
        human_route=item.human_route,
    )


def _day(time: str) -> date:
    return datetime.fromisoformat(time).astimezone().date()


def _fields(home: NodeHome, catalog: Catalog, identifier: bytes) -> Iterator[HeldField]:
    """The registered columns of the person's row, which is looked for in the same reading of the file: since it was
    located the file may have been replaced. Nothing for a person who has none.
    """
    spec = home.settings.table
    kinds = {item.name: item.kind for item in spec.fields}
    more = (
        spec.label_column,
        spec.age_column,
        spec.birth_date_column,
        spec.gender_column,
        spec.region_column,
    )
    names = list(dict.fromkeys([spec.id_column, *kinds, *(name for name in more if name is not None)]))
    if not Path(spec.path).exists():
        return
    reading = read_columns(spec.path, names)
    refuse(spec.path, reading.problems)
    if reading.frame is None or spec.id_column not in reading.frame:
        return
    people = normalized(spec, as_arrow(reading.frame[spec.id_column]))
    own = np.flatnonzero(people.valid & (people.identifiers == identifier))
    if not len(own):
        return
    cells = reading.frame.iloc[own[-1]]
    for name in names:
        if name not in reading.frame:
            continue
        found = catalog.of_column(name, kinds.get(name, ""))
        key = None if found is None else found.key
        category = None if found is None else found.category
        yield HeldField(
            column=name,
            title=_titles(f"catalog.field.{key}", name),
            category=_titles(f"catalog.category.{category}", ""),
            sensitive=found is not None and found.is_sensitive,
            value=_cell(cells[name]),
        )


def title_of(catalog: Catalog, column: str, kind: str) -> Titles:
    """What a column holds, in the words of the field catalogue, or else its name."""
    found = catalog.of_column(column, kind)
    return Titles(zh=column, en=column) if found is None else _titles(f"catalog.field.{found.key}", column)


def _titles(key: str, fallback: str) -> Titles:
    """A text in both languages; the fallback where there is none."""
    return Titles(zh=catalogue("zh-CN").get(key, fallback), en=catalogue("en").get(key, fallback))


def _cell(value: Any) -> str:
    return "" if pd.isna(value) else str(value)


# --- results


def results_of(home: NodeHome, identifier: str) -> Iterator[HeldResult]:
    """Segments, scores and decisions about one person, with neutral labels."""
    for file in result_files(home):
        found = pd.read_csv(file, dtype=str, keep_default_na=False)
        if _ID not in found:
            continue
        own = found.loc[found[_ID] == identifier]
        for name in found.columns if len(own) else ():
            value = own.iloc[-1][name]
            if name in _INTERNAL or not value:
                continue
            yield HeldResult(file.parent.name, _what(name), neutral(name, value, found[name]))


def result_files(home: NodeHome) -> list[Path]:
    """The files about single people, the oldest job first."""
    files = [*home.results.glob(f"*/{CUSTOMERS}"), *home.results.glob(f"*/{DECISIONS}")]
    return sorted(files, key=lambda file: (file.stat().st_mtime, file.name))


def neutral(name: str, value: str, column: pd.Series[str]) -> Titles:
    """What a person is told of a result. A word that people inside use for a group becomes the group's number."""
    if name == _REASONS:
        reasons = parse_reasons(value)
        zh, en = (
            " ".join(sentence(one.name, one.direction, language) for one in reasons)
            for language in ("zh-CN", "en")
        )
        return Titles(zh=zh, en=en)
    if name == "lane":
        lane = _LANES.get(value, "person")
        return Titles(
            zh=text(f"copies.lane.{lane}", language="zh-CN"), en=text(f"copies.lane.{lane}", language="en")
        )
    if name == "segment" or not (name in _NAMED or _is_number(value)):
        place = sorted(set(column) - {""}).index(value) + 1
        zh, en = (text("copies.group", language=language, number=place) for language in ("zh-CN", "en"))
        return Titles(zh=zh, en=en)
    return Titles(zh=value, en=value)


def _what(name: str) -> Titles:
    """A column of the node's own people under a plain title; the others are all called the same."""
    known = name if name in _NAMED else "other"
    zh, en = (text(f"copies.column.{known}", language=language) for language in ("zh-CN", "en"))
    return Titles(zh=zh, en=en)


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True
