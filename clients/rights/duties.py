"""What a law keeps although its subject asks for deletion (PIPL 47): the row of the source, until a day, restricted.

The holder names its duties in `retention-duties.toml` in the home, which does not change what is derived: segments,
scores and lists of the subject are deleted in any case.

    [[duty]]
    law = "反洗钱法 34"
    years = 10
    column = "account_closed"

until: a fixed last day instead. Where a cell of the column is empty, or no date, the years have not begun: the duty
holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from clients.home import NodeHome
from clients.rights.cases import Duty
from clients.rights.located import Located
from clients.tables.problems import refuse
from clients.tables.subjects import read_subjects
from federation.files import read_toml
from privacy.errors import ConfigInvalid

DUTIES_FILE: Final = "retention-duties.toml"
_ISO_DAY: Final = 10


class DutyRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One duty: `years` after the date in `column` of the table, or a fixed last day. covers: what stays."""

    law: Annotated[str, Meta(min_length=1, max_length=200)]
    years: Annotated[int, Meta(ge=1, le=100)] | None = None
    column: str | None = None
    until: date | None = None
    covers: Literal["source"] = "source"


class _Duties(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    duty: tuple[DutyRule, ...] = ()


def read_duties(home: NodeHome) -> tuple[DutyRule, ...]:
    """The duties of a node; none without the file. Raises `ConfigInvalid` for one that has no clear end."""
    file = home.folder / DUTIES_FILE
    if not file.exists():
        return ()
    rules = read_toml(file, _Duties).duty
    for rule in rules:
        has_years = rule.years is not None and rule.column is not None
        if has_years == (rule.until is not None) or (rule.years is None) != (rule.column is None):
            raise ConfigInvalid("rights_duty_end", file=file)
    return rules


def duties_of(home: NodeHome, subjects: Sequence[Located], today: date) -> list[Duty | None]:
    """Per subject, the duty that holds longest today; None where its row may be deleted.

    Raises `SchemaMismatch` for a table without the column of a duty.
    """
    rules = read_duties(home)
    if not rules or not Path(home.settings.table.path).exists():
        return [None] * len(subjects)
    columns = list(dict.fromkeys(rule.column for rule in rules if rule.column is not None))
    cells: dict[str, list[Any]] = {}
    if columns:
        spec = home.settings.table
        reading, _ = read_subjects(spec, columns)
        refuse(spec.path, reading.problems)
        if reading.frame is not None:
            rows = [max(one.row, 0) for one in subjects]
            cells = {name: reading.frame[name].iloc[rows].tolist() for name in columns}
    found: list[Duty | None] = []
    for place, one in enumerate(subjects):
        held = [] if one.row < 0 else [_ends(rule, cells, place) for rule in rules]
        holding = [duty for duty in held if duty.until is None or duty.until >= today]
        found.append(max(holding, key=lambda duty: duty.until or date.max, default=None))
    return found


def _ends(rule: DutyRule, cells: dict[str, list[Any]], place: int) -> Duty:
    if rule.column is None or rule.years is None:
        return Duty(rule.law, rule.until, is_fixed=True)
    try:
        begun = date.fromisoformat(str(cells[rule.column][place]).strip()[:_ISO_DAY])
    except ValueError:
        return Duty(rule.law, None)
    return Duty(rule.law, _years_later(begun, rule.years))


def _years_later(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:  # 29 February
        return date(day.year + years, 3, 1)
