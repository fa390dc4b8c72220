"""Figures that know their place in the record: nothing else can be shown as a number.

The page is made from the JSON record alone. `traced` replaces every number in it with a `Figure`; the formats of
`clients.validation.wording` take nothing else, and print each as `<data value data-at>`, so that a reader, or a test,
can look up every figure of the page in the JSON under the path it names. A number that a template computes has no path
and is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of the record. path: keys and list places from the record's root, joined by dots."""

    value: float
    path: str


def traced(node: Any, path: str = "") -> Any:
    """JSON data with every number as a `Figure`; texts, flags and nulls stay as they are."""
    if isinstance(node, dict):
        return {name: traced(item, f"{path}.{name}" if path else str(name)) for name, item in node.items()}
    if isinstance(node, list):
        return [traced(item, f"{path}.{place}") for place, item in enumerate(node)]
    if isinstance(node, int | float) and not isinstance(node, bool):
        return Figure(node, path)
    return node


def at(node: Any, path: str) -> Any:
    """What stands at a path of plain JSON data. Raises `KeyError` or `IndexError` where there is nothing."""
    for name in path.split("."):
        node = node[int(name)] if isinstance(node, list) else node[name]
    return node
