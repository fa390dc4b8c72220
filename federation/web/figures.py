"""Pictures on a page: what the script draws (an option of ECharts, as data), and the same numbers as a table.

The table is what a reader without a script, or who cannot see the picture, has: it holds every number that the picture
shows. A number that is hidden is None in both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

Number = float | None
Cell = str | float | None


class Figure(msgspec.Struct, frozen=True):
    """One picture. name: an identifier on its page; option: without functions; columns and rows: the table."""

    name: str
    title: str
    option: dict[str, Any]
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def bars(
    name: str,
    title: str,
    labels: Sequence[str],
    series: Mapping[str, Sequence[Number]],
    axis: str,
    *,
    sideways: bool = False,
    stacked: bool = False,
) -> Figure:
    """Bars, one group a label. axis: what the labels are; sideways: from left to right, for long labels."""
    return _axes("bar", name, title, labels, series, axis, sideways=sideways, stacked=stacked)


def lines(
    name: str, title: str, labels: Sequence[str], series: Mapping[str, Sequence[Number]], axis: str
) -> Figure:
    """Lines over ordered labels."""
    return _axes("line", name, title, labels, series, axis)


def curves(
    name: str, title: str, series: Mapping[str, Sequence[tuple[float, float]]], x_axis: str, y_axis: str
) -> Figure:
    """Lines through points (x, y): ROC, lift, calibration."""
    option = {
        "xAxis": {"type": "value", "name": x_axis},
        "yAxis": {"type": "value", "name": y_axis},
        "tooltip": {"trigger": "axis"},
        "legend": {"show": len(series) > 1},
        "series": [
            {"type": "line", "name": label, "data": [*points], "showSymbol": False}
            for label, points in series.items()
        ],
    }
    rows = tuple((label, x, y) for label, points in series.items() for x, y in points)
    return Figure(name, title, option, ("", x_axis, y_axis), rows)


def funnel(name: str, title: str, steps: Sequence[tuple[str, Number]], axis: str, unit: str) -> Figure:
    """What is left after each step; a hidden step is not drawn."""
    data = [{"name": label, "value": value} for label, value in steps if value is not None]
    option = {
        "tooltip": {"trigger": "item"},
        "legend": {"show": False},
        "series": [
            {
                "type": "funnel",
                "sort": "none",
                "data": data,
                "label": {"position": "right", "formatter": "{b}  {c}"},
            }
        ],
    }
    return Figure(name, title, option, (axis, unit), tuple(steps))


def heat(
    name: str,
    title: str,
    across: Sequence[str],
    down: Sequence[str],
    values: Sequence[Sequence[Number]],
    axis: str,
    low: float,
    high: float,
) -> Figure:
    """A table of colours. values: rows of `down` by `across`; low, high: the ends of the scale."""
    data = [(x, y, value) for y, row in enumerate(values) for x, value in enumerate(row) if value is not None]
    option = {
        "xAxis": {"type": "category", "data": [*across]},
        "yAxis": {"type": "category", "data": [*down], "inverse": True},
        "visualMap": {"min": low, "max": high, "orient": "horizontal", "left": "center", "bottom": 0},
        "tooltip": {"trigger": "item"},
        "series": [{"type": "heatmap", "data": data, "label": {"show": True}}],
    }
    rows = tuple((label, *row) for label, row in zip(down, values, strict=True))
    return Figure(name, title, option, (axis, *across), rows)


def flows(
    name: str, title: str, links: Sequence[tuple[str, str, float]], columns: tuple[str, str, str]
) -> Figure:
    """What goes from where to where, such as bytes between parties. No circle: name both ends of a way apart."""
    names = dict.fromkeys(end for source, target, _ in links for end in (source, target))
    option = {
        "tooltip": {"trigger": "item"},
        "series": [
            {
                "type": "sankey",
                "data": [{"name": end} for end in names],
                "links": [{"source": one, "target": other, "value": value} for one, other, value in links],
            }
        ],
    }
    return Figure(name, title, option, columns, tuple(links))


def _axes(
    kind: str,
    name: str,
    title: str,
    labels: Sequence[str],
    series: Mapping[str, Sequence[Number]],
    axis: str,
    *,
    sideways: bool = False,
    stacked: bool = False,
) -> Figure:
    category = {"type": "category", "data": [*labels], "inverse": sideways}
    stack = {"stack": "all"} if stacked else {}
    option = {
        "xAxis": {"type": "value"} if sideways else category,
        "yAxis": category if sideways else {"type": "value"},
        "tooltip": {"trigger": "axis"},
        "legend": {"show": len(series) > 1},
        "series": [
            {"type": kind, "name": label, "data": [*values]} | stack for label, values in series.items()
        ],
    }
    rows = tuple(zip(labels, *series.values(), strict=True))
    return Figure(name, title, option, (axis, *series), rows)
