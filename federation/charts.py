"""Bars for pages: inline SVG without scripts, coloured by the page's style sheet, each with an alternative text.

Bars carry no text of their own: they stand beside the number in a table cell, so labels of any length wrap, can be
copied and are read aloud as text.
"""

from __future__ import annotations

from markupsafe import Markup


def bar(
    value: float | None, full: float | None, label: str, kind: str = "main", start: float = 0.0
) -> Markup:
    """A horizontal bar: `value` between `start` and `full`; nothing is drawn for None.

    kind: `main`, `soft` (excluded, baseline) or `open` (comparison), told apart by fill and outline.
    """
    if value is None or not full or full <= start:
        return Markup("")
    width = 100 * min(max((value - start) / (full - start), 0.0), 1.0)
    if value > start:
        width = max(width, 0.6)  # a bar that exists can be seen
    return Markup(
        '<svg class="bar {}" viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<rect class="track" width="100" height="10"/><rect class="fill" width="{}" height="10"/></svg>'
    ).format(kind, label, f"{width:.2f}")
