"""docs/pipl.md, written from docs/controls.toml and from the code: `make docs`.

The page's tables of reasons, events, fields and policy keys come from the code itself, so they cannot be out of date.
"""

from __future__ import annotations

import re
import tomllib
import types
import typing
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from privacy import policy
from privacy.audit import EventType
from privacy.audit_items.guideline import LEVELS
from privacy.catalog import Catalog, Override, Treatment
from privacy.reasons import ARTICLES, Reason
from privacy.texts import text

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "docs" / "controls.toml"
PAGE = ROOT / "docs" / "pipl.md"


class Status(StrEnum):
    """How far a control is."""

    BUILT = "built"
    PARTLY = "partly"
    DOCUMENT = "document"
    PLANNED = "planned"
    LATER = "later"
    PEOPLE = "people"


MEANING = {
    Status.BUILT: "software enforces it, and tests show it",
    Status.PARTLY: "a part is built and tested; what is not covered is said",
    Status.DOCUMENT: "software drafts and checks a document; people decide",
    Status.PLANNED: "being built; its tests are not there yet",
    Status.LATER: "not in this release",
    Status.PEOPLE: "nothing for software to do",
}


class _Closed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A record whose unknown keys are refused."""


class Control(_Closed, frozen=True):
    """One row of docs/controls.toml. code: "module" or "module:name.name"; tests: "file::function"."""

    article: str
    title: str
    demand: str
    control: str
    status: Status
    gap: str = ""
    code: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    events: tuple[str, ...] = ()


class Item(_Closed, frozen=True):
    """One item of the audit guideline, or several of one level. How much software can show is in `LEVELS`."""

    number: str
    title: str
    evidence: str

    @property
    def numbers(self) -> tuple[int, ...]:
        return tuple(map(int, self.number.split(", ")))


class Question(_Closed, frozen=True):
    """What the law leaves open."""

    text: str


class Controls(_Closed, frozen=True):
    """docs/controls.toml."""

    controls: tuple[Control, ...] = msgspec.field(name="control")
    items: tuple[Item, ...] = msgspec.field(name="item")
    questions: tuple[Question, ...] = msgspec.field(name="question")


def read_controls() -> Controls:
    """docs/controls.toml, checked."""
    return msgspec.convert(tomllib.loads(SOURCE.read_text("utf-8")), Controls)


POLICY_TABLES: dict[str, type[Any]] = {
    "The file itself": policy.Policy,
    "[handler], and `contact` of a recipient": policy.Contact,
    "[[purpose]]": policy.Purpose,
    "[[purpose.recipients]]": policy.Recipient,
    "`title`, `necessity`, and each of [purpose.sensitive_necessity]": policy.Titles,
    "[[notice]]": policy.Notice,
    "[[pipia]]": policy.Pipia,
    "[[agreement]]": policy.Agreement,
    "[[mechanism]]": policy.Mechanism,
    "[[override]]": Override,
}


# --- Markdown


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def codes(values: Iterable[str]) -> str:
    return ", ".join(f"`{value}`" for value in values) or "–"


def prose(docstring: str | None) -> str:
    """A docstring with each of its paragraphs on one line."""
    return "\n\n".join(" ".join(part.split()) for part in re.split(r"\n\s*\n", docstring or ""))


_WORDS = {str: "text", int: "number", float: "number", bool: "true or false"}


def spelled(annotation: Any) -> str:
    """A type as somebody who writes TOML reads it."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return spelled(inner[0])
    if origin is typing.Literal or (not origin and issubclass(annotation, StrEnum)):
        return codes(inner or [item.value for item in annotation])
    if origin in {types.UnionType, typing.Union}:
        return " or ".join(spelled(item) for item in inner if item is not type(None))
    if origin in {tuple, dict}:
        return f"list of {spelled(inner[0])}" if origin is tuple else f"table of {spelled(inner[1])}"
    return "table" if issubclass(annotation, msgspec.Struct) else _WORDS.get(annotation, annotation.__name__)


def default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    value = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    plain = msgspec.to_builtins(value)
    if plain is None or plain in ("", [], (), {}):
        return "–"
    return f"`{msgspec.json.encode(plain).decode()}`"


# --- parts of the page


def head() -> str:
    statuses = table(("status", "means"), [(status.value, MEANING[status]) for status in Status])
    return f"""# The Personal Information Protection Law, control by control

Which article demands what, what Silhouette does about it, and what proves that. Written by `make docs` from
[controls.toml](controls.toml) and from the code: change those, not this page.

This is not legal advice, and no combination of software makes a company compliant. Documents that the software drafts
are to be reviewed by counsel. The law was read as of November 2026. PIPL is 中华人民共和国个人信息保护法.

{statuses}"""


def articles(found: Controls) -> str:
    rows = [
        (
            f"**{item.article}** {item.title}",
            item.demand,
            item.control + (f" *Not covered:* {item.gap}" if item.gap else ""),
            item.status.value,
            codes(Reason[name].value for name in item.reasons),
            codes(item.events),
        )
        for item in found.controls
    ]
    proofs = [
        (f"**{item.article}** {item.title}", codes(item.code), codes(item.tests))
        for item in found.controls
        if item.code or item.tests
    ]
    return "\n\n".join(
        (
            "## Articles",
            table(("article", "demands", "control", "status", "refuses with", "logs"), rows),
            "## Where it is and what tests it",
            table(("article", "code", "tests"), proofs),
        )
    )


def items(found: Controls) -> str:
    rows = [
        (
            item.number,
            item.title,
            text(f"audit.item.level.{LEVELS[item.numbers[0]].value}", language="en"),
            item.evidence,
        )
        for item in found.items
    ]
    return (
        "## Audit items\n\n"
        "The items of the guideline annexed to 个人信息保护合规审计管理办法: how much software can show of each "
        "in principle, and what this release has. Whether an item holds is told by an audit bundle, where what nobody "
        "recorded stays open.\n\n"
        + table(("item", "about", "in principle", "evidence of this release"), rows)
    )


def reasons(found: Controls) -> str:
    rows = []
    for reason in Reason:
        where = [item.article for item in found.controls if reason.name in item.reasons]
        rows.append(
            (
                f"`{reason.value}`",
                ARTICLES[reason],
                text(f"reasons.{reason.name}.meaning", language="en"),
                text(f"reasons.{reason.name}.remedy", language="en"),
                "; ".join(dict.fromkeys(where)),
            )
        )
    return (
        "## Reason codes\n\nA refusal names every failing reason. The codes are an interface and do not change.\n\n"
        + table(("code", "article", "means", "remedy", "control"), rows)
    )


def events(found: Controls) -> str:
    rows = []
    for event in EventType:
        where = [item.article for item in found.controls if event.value in item.events]
        rows.append((f"`{event.value}`", "; ".join(dict.fromkeys(where)) or "reserved"))
    return (
        "## Events\n\nNames of the audit log. Those that no control uses are reserved for later releases.\n\n"
        + table(("event", "control"), rows)
    )


def fields() -> str:
    catalog = Catalog.load()
    rows = []
    for item in catalog.classes:
        treatments = [item.treatment(purpose.value) for purpose in policy.PurposeClass]
        rows.append(
            (
                f"`{item.key}`",
                text(f"catalog.field.{item.key}", language="en"),
                item.sensitivity.value,
                f"`{item.category}`",
                item.jrt_class,
                *(treatment_cell(treatment) for treatment in treatments),
                str(item.retention_days),
                item.article,
            )
        )
    titles = [purpose.value.replace("_", " ") for purpose in policy.PurposeClass]
    return (
        "## Fields\n\nThe catalogue of field classes. A column belongs to a class by its name, by the registration of "
        "the table (`kind`) or by an override of the policy; a column without a class is refused.\n\n"
        + table(
            ("class", "what", "sensitivity", "category", "JR/T 0171", *titles, "days kept", "article"), rows
        )
    )


def treatment_cell(treatment: Treatment) -> str:
    """What may be done with a field, how coarsely, and with which consent beside the general one."""
    coarser = text(f"catalog.minimise.{treatment.minimise}", language="en")
    number = f" ({treatment.number})" if treatment.number else ""
    shown = treatment.action.value if treatment.minimise == "none" else coarser + number
    return shown + ("" if treatment.consent.value == "none" else f", {treatment.consent.value} consent")


def policy_keys() -> str:
    parts = ["## policy.toml", prose(policy.__doc__)]
    for title, record in POLICY_TABLES.items():
        parts += [f"### {title}", prose(record.__doc__)]
        hints = typing.get_type_hints(record, include_extras=True)
        rows = [
            (f"`{field.encode_name}`", spelled(hints[field.name]), default(field))
            for field in msgspec.structs.fields(record)
        ]
        parts.append(table(("key", "type", "default"), rows))
    return "\n\n".join(parts)


DOCUMENTS = """## Documents

`silhouette-node documents write --home HOME --into FOLDER` drafts, from the policy in force and in both languages, a
notice and an impact assessment for each purpose, and each agreement. Places that people have to fill in stand between
`<!--fill 3-->` and `<!--/fill 3-->` and are listed at the end; the first one is the mark that the document is a draft.
The last line holds SHA-256 of the policy, and of the document above that line with its places emptied.

`silhouette-node documents check FOLDER --home HOME` compares what is published with the policy in force and ends with
status 1 when they differ: a document that the policy no longer gives, one that was changed outside its places, one that
is missing, one too many. It names the sections. What people have filled in is no difference."""


def questions(found: Controls) -> str:
    lines = [f"{row}. {item.text}" for row, item in enumerate(found.questions, 1)]
    return "## Open legal questions\n\nNothing here is treated as certain.\n\n" + "\n".join(lines)


def page() -> str:
    """The whole of docs/pipl.md."""
    found = read_controls()
    parts = (
        head(),
        articles(found),
        items(found),
        reasons(found),
        events(found),
        fields(),
        policy_keys(),
        DOCUMENTS,
        questions(found),
    )
    return re.sub(r"[ \t]+\n", "\n", "\n\n".join(parts)) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
