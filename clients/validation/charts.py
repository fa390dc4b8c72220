"""Pictures of the validation report: curves, calibration, and bars in both directions; inline SVG.

Places are computed from figures of the record; what is written in a picture is an axis (a scale, no figure) or a name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from clients.validation.figures import Figure
from federation.charts import bar

__all__ = ["bar_of", "calibration", "curves", "diverging", "largest", "paired"]

_SIZE: Final = 300
_LEFT, _BOTTOM, _TOP, _RIGHT = 54, 40, 10, 18
_TICKS: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
_NICE: Final = (0.05, 0.1, 0.2, 0.25, 0.5, 1.0)
_FULL_WOE: Final = 0.5
"""The shortest scale of a bar in both directions, so that a weak field does not look like a strong one."""

Line = tuple[str, Sequence[tuple[Figure, Figure]]]
"""A style class and its points (x, y)."""


def bar_of(number: Figure | None, full: float, label: str, kind: str = "main") -> Markup:
    """A bar beside a figure; nothing for a hidden one."""
    return bar(None if number is None else number.value, full, label, kind)


def largest(numbers: Sequence[Figure | None]) -> float:
    """The largest size among figures, 0 without any: the scale of their bars."""
    return max((abs(number.value) for number in numbers if number is not None), default=0.0)


def diverging(number: Figure | None, full: float, label: str) -> Markup:
    """A bar to the right of the middle for positive figures, to the left for negative ones."""
    if number is None:
        return Markup("")
    width = 50 * min(abs(number.value) / max(full, _FULL_WOE), 1.0)
    start = 50.0 if number.value >= 0 else 50.0 - width
    return Markup(
        '<svg class="bar both" viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<rect class="track" width="100" height="10"/><rect class="{}" x="{}" width="{}" height="10"/>'
        '<rect class="zero" x="49.8" width="0.4" height="10"/></svg>'
    ).format(label, "fill" if number.value >= 0 else "fill negative", f"{start:.2f}", f"{width:.2f}")


def paired(expected: Figure, actual: Figure, full: float, label: str) -> Markup:
    """Two bars under each other: expected outlined in grey, actual in colour."""
    scale = 100 / full if full else 0.0
    return Markup(
        '<svg class="bar pairbar" viewBox="0 0 100 14" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<rect class="soft" width="{}" height="6"/><rect class="fill" y="7.5" width="{}" height="6"/></svg>'
    ).format(label, f"{expected.value * scale:.2f}", f"{actual.value * scale:.2f}")


def curves(lines: Sequence[Line], x_title: str, y_title: str, label: str, *, with_diagonal: bool) -> Markup:
    """Polylines in the unit square, each with its style class."""
    return _square(lines, (x_title, y_title), label, 1.0, with_diagonal=with_diagonal, dots=False)


def calibration(points: Sequence[tuple[Figure, Figure]], x_title: str, y_title: str, label: str) -> Markup:
    """Observed over predicted rates, with the diagonal that a perfect model would follow."""
    most = max((max(x.value, y.value) for x, y in points), default=1.0)
    full = next((step for step in _NICE if most <= step), 1.0)
    return _square([("joint", points)], (x_title, y_title), label, full, with_diagonal=True, dots=True)


def _square(
    lines: Sequence[Line],
    titles: tuple[str, str],
    label: str,
    full: float,
    *,
    with_diagonal: bool,
    dots: bool,
) -> Markup:
    width, height = _SIZE - _LEFT - _RIGHT, _SIZE - _TOP - _BOTTOM

    def place(x: float, y: float) -> tuple[str, str]:
        return f"{_LEFT + width * x / full:.1f}", f"{_TOP + height * (1 - y / full):.1f}"

    parts = []
    for tick in _TICKS:
        (x, y), shown = place(tick * full, tick * full), f"{100 * tick * full:g}%"
        parts.append(
            Markup(
                '<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>'
                '<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>'
                '<text class="axis end" x="{}" y="{}">{}</text><text class="axis" x="{}" y="{}">{}</text>'
            ).format(
                *(_LEFT, _SIZE - _RIGHT, y, y),
                *(x, x, _TOP, _SIZE - _BOTTOM),
                *(_LEFT - 6, float(y) + 4, shown),
                *(x, _SIZE - _BOTTOM + 15, shown),
            )
        )
    if with_diagonal:
        (x1, y1), (x2, y2) = place(0, 0), place(full, full)
        parts.append(
            Markup('<line class="diagonal" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(x1, y1, x2, y2)
        )
    for kind, points in lines:
        places = [place(x.value, y.value) for x, y in points]
        parts.append(
            Markup('<polyline class="line {}" points="{}"/>').format(
                kind, " ".join(f"{x},{y}" for x, y in places)
            )
        )
        if dots:
            parts += [
                Markup('<circle class="dot {}" cx="{}" cy="{}" r="3.5"/>').format(kind, *xy) for xy in places
            ]
    middle = _TOP + height / 2
    parts.append(
        Markup(
            '<text class="axis title" x="{}" y="{}">{}</text>'
            '<text class="axis title" x="12" y="{}" transform="rotate(-90 12 {})">{}</text>'
        ).format(_LEFT + width / 2, _SIZE - 5, titles[0], middle, middle, titles[1])
    )
    return Markup('<svg class="plot" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        _SIZE, _SIZE, label, Markup("").join(parts)
    )
