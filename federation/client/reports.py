"""What a finished job released, as figures and as a page."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, Final

import msgspec

from federation.client.calls import Calls

_PAGE: Final = {"Accept": "text/html"}


class Report:
    """The report of one job: everything in it is aggregate, and small cells are hidden (null)."""

    def __init__(self, calls: Calls, number: str) -> None:
        self._calls, self.number = calls, number
        self.figures: dict[str, Any] = calls.get(f"/jobs/{number}/report", dict[str, Any])

    @property
    def matched(self) -> int | None:
        """How many customers the parties share, as it was released."""
        return (self.figures.get("match") or {}).get("matched")

    @property
    def segments(self) -> list[dict[str, Any]]:
        """For each segment its size and what stands out in it; nothing without such a stage."""
        found = self.figures.get("segments") or {}
        sizes, highlights = found.get("sizes") or [], found.get("highlights") or []
        return [
            {"segment": place, "size": size, "stands_out": highlights[place - 1] if highlights else []}
            for place, size in enumerate(sizes, start=1)
        ]

    @property
    def auc(self) -> dict[str, float | None]:
        """How well the joint model tells good from bad, beside the label holder's own; nothing without a model."""
        found = self.figures.get("risk") or self.figures.get("scorecard") or {}
        return dict(found.get("auc") or {})

    @cached_property
    def html(self) -> str:
        """The whole report as one page that needs nothing else: the console's own, in one's language there."""
        return self._calls.raw("GET", f"/jobs/{self.number}/report", prefix="", headers=_PAGE).decode()

    def save(self, file: str | Path) -> Path:
        """Write the page or, to a name that ends with `.json`, the figures."""
        place = Path(file)
        if place.suffix == ".json":
            content = msgspec.json.format(msgspec.json.encode(self.figures), indent=2)
            place.write_bytes(content)
        else:
            place.write_text(self.html, "utf-8")
        return place

    def __repr__(self) -> str:
        parts = [name for name in ("match", "segments", "scorecard", "risk") if self.figures.get(name)]
        return f"Report({self.number!r}: {', '.join(parts)})"
