"""Items of evidence as files: JSON for programs, a summary in each language for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import rfc8785

from privacy.audit import Event
from privacy.audit_items.guideline import LEVELS, Item
from privacy.audit_items.ledger import Ledger
from privacy.texts import LANGUAGES, text

MOST_NUMBERS: Final = 50
"""So many event numbers are listed, the first of them; how many there are in all is always said."""
_SHORT: Final = {"en": "en", "zh-CN": "zh"}
_WORDS: Final = {True: "agrees", False: "contradicts", None: "human"}


def item_file(ledger: Ledger, item: Item) -> bytes:
    """One item: what is claimed, what was looked at, what was found, what stays open."""
    return rfc8785.dumps(
        {
            **_frame(ledger),
            "item": item.number,
            "title": _both("title", _key(item.number)),
            "level": LEVELS[item.number].value,
            "claim": _both("claim", _key(item.number)),
            "query": _both("query", _key(item.number)),
            "applies": item.applies,
            "holds": item.holds,
            "checks": [
                {"check": name, "holds": holds, "says": _both("check", name)}
                for name, holds in item.checks.items()
            ],
            "result": dict(item.result),
            "events": _numbers(item.events),
            "open": [{"point": name, "says": _both("open", name)} for name in item.open],
        }
    )


def overview_file(ledger: Ledger, items: Sequence[Item]) -> bytes:
    """All 27 items: how much software can show, where it is, and what a human has to add for the rest."""
    found = {item.number: item for item in items}
    rows: list[dict[str, Any]] = []
    for number, level in LEVELS.items():
        row: dict[str, Any] = {"item": number, "title": _both("title", _key(number)), "level": level.value}
        if number in found:
            row |= {"file": f"item_{number:02}.json", "holds": found[number].holds}
        else:
            row["human"] = _both("human", _key(number))
        rows.append(row)
    officer = bool(ledger.policy.handler.officer.strip())
    return rfc8785.dumps({**_frame(ledger), "items": rows, "officer_in_policy": officer})


def summary_file(ledger: Ledger, items: Sequence[Item], language: str) -> bytes:
    """The same for a reader, in one language, as Markdown."""
    found = {item.number: item for item in items}
    parts = [
        f"# {_text('summary.heading', language)}",
        _text("summary.note", language),
        _text(
            "summary.basis",
            language,
            events=len(ledger.events),
            time=ledger.events[-1].time if ledger.events else "–",
            policy=ledger.digest,
        ),
        "\n".join(_overview(found, language)),
    ]
    for item in items:
        parts += _section(item, language)
    return ("\n\n".join(parts) + "\n").encode()


def _overview(found: dict[int, Item], language: str) -> Iterable[str]:
    titles = [_text(f"summary.column_{name}", language) for name in ("number", "title", "level", "found")]
    yield f"| {' | '.join(titles)} |"
    yield "| --- | --- | --- | --- |"
    for number, level in LEVELS.items():
        item = found.get(number)
        told = _word(item, language) if item else _text(f"human.{_key(number)}", language)
        title = _text(f"title.{_key(number)}", language)
        yield f"| {number} | {title} | {_text(f'level.{level.value}', language)} | {told} |"


def _section(item: Item, language: str) -> Iterable[str]:
    key = _key(item.number)
    yield f"## {item.number}. {_text(f'title.{key}', language)}: {_word(item, language)}"
    yield f"{_text(f'claim.{key}', language)} {_text(f'query.{key}', language)}"
    lines = [
        f"- {_text(f'summary.{_WORDS[holds]}', language)}: {_text(f'check.{name}', language)}"
        for name, holds in item.checks.items()
    ]
    lines += [f"- {_text('summary.open', language)}: {_text(f'open.{name}', language)}" for name in item.open]
    yield "\n".join(lines)


def _word(item: Item, language: str) -> str:
    name = _WORDS[item.holds] if item.applies else "absent"
    return _text(f"summary.{name}", language)


def _frame(ledger: Ledger) -> dict[str, Any]:
    """What every file says of itself."""
    return {
        "note": _both("summary", "note"),
        "party": ledger.policy.party,
        "policy": ledger.digest,
        "log_events": len(ledger.events),
        "last_event_time": ledger.events[-1].time if ledger.events else None,
    }


def _numbers(events: Iterable[Event]) -> dict[str, Any]:
    numbers = sorted({event.seq for event in events})
    return {"total": len(numbers), "seqs": numbers[:MOST_NUMBERS]}


def _both(kind: str, name: str) -> dict[str, str]:
    return {_SHORT[language]: _text(f"{kind}.{name}", language) for language in LANGUAGES}


def _text(name: str, language: str, **values: object) -> str:
    return text(f"audit.item.{name}", language=language, **values)


def _key(number: int) -> str:
    return f"item_{number:02}"
