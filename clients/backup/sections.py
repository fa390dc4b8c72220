"""What an archive holds of each subject: lists of items, each of which belongs to one subject or to nobody.

A section has n items in an order that restoring brings back: lines of a file, rows of a table of the consent store,
rows of a finished job. What an item says of its subject is in the item alone; what the section says is about nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import msgspec
import numpy as np

from privacy.joining import Tokens

_NEWLINE, _QUOTE = b'\n"'
_BLANKS: Final = b" \t\r\n"


class Form(StrEnum):
    """How a section's items are put together again."""

    LINES = "lines"
    PARQUET = "parquet"
    ROWS = "rows"
    JOB = "job"
    PEOPLE = "people"


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a section is, apart from its items.

    name: of the file, table or record. count: how many items there were. head: what stands before the items, or
    describes them; blank: what stands in the place of an item that is no longer there; empty: nothing does, and the
    following items move up.
    """

    form: Form
    name: str
    count: int
    head: bytes = b""
    blank: bytes = b""


@dataclass(frozen=True, slots=True)
class Section:
    """A plan and its items. owners: (n, 2) tokens; is_owned: (n,), False for items that belong to nobody."""

    plan: Plan
    owners: Tokens = field(repr=False)
    is_owned: np.ndarray[Any, np.dtype[np.bool_]] = field(repr=False)
    data: bytes = field(repr=False)
    starts: np.ndarray[Any, np.dtype[np.int64]] = field(repr=False)
    """(n + 1,): where each item begins in `data`."""

    def item(self, place: int) -> bytes:
        """One item."""
        return self.data[self.starts[place] : self.starts[place + 1]]

    @classmethod
    def of(cls, plan: Plan, owners: Tokens, items: Sequence[bytes]) -> Section:
        """A section whose items all belong to somebody."""
        lengths = np.fromiter(map(len, items), np.int64, len(items))
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return cls(plan, owners, np.ones(len(items), np.bool_), b"".join(items), starts)


def lines_of(content: bytes) -> tuple[bytes, np.ndarray[Any, np.dtype[np.int64]]]:
    """(header line, (n + 1,) where each row of a CSV file begins in the content).

    Rows may have line ends between quotation marks; blank lines are no rows, and belong to the row before. The byte
    values of all three do not occur inside a character of UTF-8 or GB 18030.
    """
    array = np.frombuffer(content, np.uint8)
    ends = np.flatnonzero(array == _NEWLINE)
    if _QUOTE in content:
        ends = ends[np.cumsum(array == _QUOTE)[ends] % 2 == 0]
    starts = np.concatenate([[0], ends + 1]).astype(np.int64)
    if starts[-1] == len(content):
        starts = starts[:-1]
    suspects = np.isin(array[starts], np.frombuffer(_BLANKS, np.uint8))
    suspects[:1] = False
    stops = np.append(starts[1:], len(content))
    is_row = np.ones(len(starts), np.bool_)
    for place in np.flatnonzero(suspects).tolist():
        is_row[place] = bool(content[starts[place] : stops[place]].strip())
    starts = starts[is_row]
    head = content[: starts[1]] if len(starts) > 1 else content
    return head, np.append(starts[1:], len(content))


def blank_of(head: bytes, columns: int) -> bytes:
    """A CSV row whose cells are all empty, with line ends like the header's."""
    end = b"\r\n" if head.endswith(b"\r\n") else b"\n"
    return (b'""' if columns == 1 else b"," * (columns - 1)) + end


def restored_lines(plan: Plan, items: dict[int, bytes]) -> bytes:
    """The file again: what is not among the items is blank, or left out."""
    if not plan.blank:
        return plan.head + b"".join(_ended(items[place], place, plan) for place in sorted(items))
    rows = (_ended(items.get(place, plan.blank), place, plan) for place in range(plan.count))
    return plan.head + b"".join(rows)


def _ended(row: bytes, place: int, plan: Plan) -> bytes:
    """A row with its line end, which the last one of a file may lack."""
    return row if row.endswith(b"\n") or place == plan.count - 1 else row + b"\n"
