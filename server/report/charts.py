"""Pictures of the page besides `federation.charts`: stability of segmentations, colours of a heat table."""

from __future__ import annotations

from collections.abc import Sequence
from math import log2
from typing import Final

from markupsafe import Markup

from federation.charts import bar

__all__ = ["bar", "heat", "stability"]

_HEAT_STEPS: Final = (1.05, 1.2, 1.5)
"""Ratios to the overall mean from which a cell gets a light, middle or strong colour."""

_WIDTH: Final = 400
_HEIGHT: Final = 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 36, 6, 22, 28
_INSET: Final = 26
"""From the axis to the first point, and from the last point to the edge."""


def stability(points: Sequence[tuple[int, float]], chosen: int, label: str) -> Markup:
    """Stability (0 to 1) per number of segments, the chosen one marked."""
    if len(points) < 2:
        return Markup("")
    low = min(0.0, *(value for _, value in points))
    step = (_WIDTH - _LEFT - _RIGHT - 2 * _INSET) / (len(points) - 1)
    height = _HEIGHT - _TOP - _BOTTOM

    def place(number: int, value: float) -> tuple[str, str]:
        return (
            f"{_LEFT + _INSET + number * step:.1f}",
            f"{_TOP + height * (1 - (value - low) / (1 - low)):.1f}",
        )

    places = [place(number, value) for number, (_, value) in enumerate(points)]
    grid = Markup("").join(
        Markup(
            '<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/><text x="{}" y="{}" class="end">{}</text>'
        ).format(_LEFT, _WIDTH - _RIGHT, y, y, _LEFT - 8, float(y) + 4, tick)
        for tick, y in ((name, place(0, value)[1]) for name, value in (("0", 0.0), ("0.5", 0.5), ("1", 1.0)))
    )
    marks = Markup("").join(
        Markup(
            '<circle class="{}" cx="{}" cy="{}" r="{}"/><text x="{}" y="{}" class="{}">{}</text>'
            '<text x="{}" y="{}" class="value {}">{}</text>'
        ).format(
            "chosen" if k == chosen else "point",
            x,
            y,
            6 if k == chosen else 3.5,
            x,
            _HEIGHT - 6,
            "strong" if k == chosen else "tick",
            f"k={k}",
            x,
            float(y) - 10,
            "strong" if k == chosen else "tick",
            f"{value:.2f}",
        )
        for (k, value), (x, y) in zip(points, places, strict=True)
    )
    line = " ".join(f"{x},{y}" for x, y in places)
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}<polyline points="{}"/>{}</svg>'
    ).format(_WIDTH, _HEIGHT, label, grid, line, marks)


def heat(index: float | None) -> str:
    """The style class of a heat table cell: `h0` about average, up to `above3` and `below3`."""
    if index is None:
        return "h0"
    ratio = max(index, 1.0) / 100
    level = sum(abs(log2(ratio)) >= log2(step) for step in _HEAT_STEPS)
    return "h0" if not level else f"{'above' if ratio > 1 else 'below'}{level}"
