"""What the client's commands print: JSON, a table of a list, or one thing field by field."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from rich.markup import escape
from rich.table import Table

from federation.terminal import out, print_json
from privacy.texts import catalogue, current_language, text


def show_list(rows: Sequence[msgspec.Struct], columns: Sequence[str], *, as_json: bool) -> None:
    """Many things, by these of their fields."""
    if as_json:
        print_json(rows)
        return
    table = Table(*(text(f"client.column.{column}") for column in columns))
    for row in rows:
        table.add_row(*(_cell(column, getattr(row, column)) for column in columns))
    out.print(table)


def show_one(found: Any, *, as_json: bool) -> None:
    """One thing, or one at several parties, with everything that is known of it."""
    if as_json:
        print_json(found)
        return
    for one in found if isinstance(found, list) else [found]:
        table = Table(show_header=False)
        for field in one.__struct_fields__:
            name = catalogue(current_language()).get(f"client.column.{field}", field)
            table.add_row(escape(name), _cell(field, getattr(one, field)))
        out.print(table)


def _cell(column: str, value: Any) -> str:
    if column == "state":
        return escape(catalogue(current_language()).get(f"web.state.{value}", str(value)))
    if isinstance(value, datetime):
        return value.astimezone().isoformat(" ", "minutes")[:16]
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return escape(", ".join(value))
    if isinstance(value, dict | list | tuple | msgspec.Struct):
        return escape(msgspec.json.format(msgspec.json.encode(value), indent=1).decode())
    return "" if value is None else escape(str(value))
