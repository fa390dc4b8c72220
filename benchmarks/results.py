"""Rows of the benchmark: what was measured, how it compares, where it is written."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import gmpy2
from rich import box
from rich.table import Table
from rich.text import Text

NOT_INSTALLED: Final = "not installed"
TIE: Final = 0.95
"""A tie is reached within 5 %: below the difference between two runs on a shared machine."""

MICROSECONDS_UNIT: Final = "us"
PER_SECOND_UNIT: Final = "1/s"
SECONDS_UNIT: Final = "s"

NAME_WIDTH: Final = 30
TABLE_WIDTH: Final = 120
"""Where the output is no terminal."""

PACKAGES: Final = ("gmpy2", "numpy", "cryptography", "pynacl", "phe", "sf-heu", "openmined-psi", "spu")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    ours, peer: in `unit`; `PER_SECOND_UNIT` is the only one of which more is better. peer: None when the peer is not
    installed, or when there is none to compare with (then `peer_name` is empty). must_reach: the smallest ratio that
    is good enough, None where nothing was promised.
    """

    name: str
    unit: str
    ours: float
    peer: float | None = None
    peer_name: str = ""
    must_reach: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def ratio(self) -> float | None:
        """How many times faster ours is."""
        if self.peer is None:
            return None
        return self.ours / self.peer if self.unit == PER_SECOND_UNIT else self.peer / self.ours

    @property
    def holds(self) -> bool | None:
        """Whether the ratio is what must be reached; None when there is nothing to hold or to compare."""
        if self.ratio is None or self.must_reach is None:
            return None
        return self.ratio >= self.must_reach

    @property
    def missing(self) -> bool:
        """Whether the peer is known by name and not installed."""
        return self.peer is None and bool(self.peer_name)

    def to_json(self) -> dict[str, Any]:
        """Six keys that never change, then what explains them."""
        notes = (NOT_INSTALLED, *self.notes) if self.missing else self.notes
        return {
            "name": self.name,
            "unit": self.unit,
            "ours": rounded(self.ours),
            "peer": rounded(self.peer),
            "peer_name": self.peer_name,
            "ratio": rounded(self.ratio),
            "must_reach": self.must_reach,
            "holds": self.holds,
            "note": "; ".join(notes),
        }


def rounded(value: float | None) -> float | None:
    """Four significant digits: the rest is noise."""
    return None if value is None else float(f"{value:.4g}")


@dataclass(slots=True)
class Results:
    """The rows so far, written after every case, so that an interrupted run keeps what it has."""

    folder: Path
    rows: list[Row] = field(default_factory=list)

    def add(self, rows: Iterable[Row]) -> None:
        self.rows += rows
        self.write()

    def write(self) -> None:
        """`latest.json` with all rows so far, and `machine.json` beside it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / "latest.json", [row.to_json() for row in self.rows])
        write_json(self.folder / "machine.json", machine_facts())

    def write_version(self) -> Path:
        """The copy that is kept for this version. For complete runs alone."""
        file = self.folder / f"{version('silhouette')}.json"
        write_json(file, [row.to_json() for row in self.rows])
        return file

    def broken(self) -> list[Row]:
        """Rows whose ratio is below what must be reached."""
        return [row for row in self.rows if row.holds is False]

    def table(self, title: str) -> Table:
        """All rows for a terminal."""
        table = Table(title=Text(title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
        table.add_column("name", min_width=NAME_WIDTH)
        table.add_column("unit", no_wrap=True)
        for column in ("ours", "peer"):
            table.add_column(column, justify="right", no_wrap=True)
        table.add_column("peer name", no_wrap=True)
        for column in ("ratio", "must reach"):
            table.add_column(column, justify="right", no_wrap=True)
        table.add_column("holds?", no_wrap=True)
        notes: list[str] = []
        for row in self.rows:
            table.add_row(*(Text(cell) for cell in cells_of(row, notes)), style=style_of(row))
        if notes:
            table.caption = Text("\n".join(f"({number}) {note}" for number, note in enumerate(notes, 1)))
            table.caption_justify = "left"
        return table


def cells_of(row: Row, notes: list[str]) -> list[str]:
    """The cells of one row; its notes go to the end of `notes` unless they are there, and are named by number."""
    notes += [note for note in row.notes if note not in notes]
    numbers = ",".join(str(notes.index(note) + 1) for note in row.notes)
    holds = {True: "yes", False: "NO", None: ""}[row.holds]
    return [
        f"{row.name} ({numbers})" if numbers else row.name,
        row.unit,
        number_text(row.ours),
        NOT_INSTALLED if row.missing else number_text(row.peer),
        row.peer_name,
        "" if row.ratio is None else f"{row.ratio:.2f}x",
        must_reach_text(row.must_reach),
        holds,
    ]


def must_reach_text(must_reach: float | None) -> str:
    if must_reach is None:
        return ""
    return "tie" if must_reach == TIE else f"{must_reach:g}x"


def number_text(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def style_of(row: Row) -> str:
    if row.missing:
        return "dim"
    return "red" if row.holds is False else ""


def write_json(file: Path, content: Any) -> None:
    """Write a file whole or not at all: an interruption must not leave half a list."""
    draft = file.with_suffix(".part")
    draft.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", "utf-8")
    draft.replace(file)


def machine_facts() -> dict[str, Any]:
    """What the absolute numbers depend on. Nothing that names the machine or its owner."""
    return {
        "version": version("silhouette"),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "memory_gib": memory_gib(),
        "system": platform.system(),
        "python": platform.python_version(),
        "gmp": gmpy2.mp_version(),
        "packages": {name: found for name in PACKAGES if (found := installed(name)) is not None},
    }


def installed(package: str) -> str | None:
    """The installed version of a package, None when there is none."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def cpu_model() -> str:
    """The processor's name where the system tells, else its architecture."""
    file = Path("/proc/cpuinfo")
    if file.exists():
        for line in file.read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def memory_gib() -> float | None:
    """Physical memory, where the system tells."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None
    return round(total / 2**30, 1)
