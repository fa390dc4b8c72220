"""How the validation report reads in one language: its texts, and its figures as `<data>` elements."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from markupsafe import Markup, escape

from clients.validation.figures import Figure
from federation.formats import ABSENT, MINUS, NumberFormats
from privacy.texts import catalogue, current_language

Number = Figure | None
GROUPS: Final = {
    "female": "group.female", "male": "group.male", "other": "group.other", "unknown": "fairness.unknown",
}  # fmt: skip
"""Groups that have a text; others are called what the table calls them."""


class Wording:
    """Texts and number formats of one language (default: the process's)."""

    def __init__(self, language: str | None = None, k_min: Number = None) -> None:
        self.language = language or current_language()
        self._k_min = k_min
        self._formats = NumberFormats()

    def __call__(self, key: str, /, **values: object) -> Markup:
        """The report's text named `key`; everything in `values` that is not markup is escaped."""
        return escape(catalogue(self.language)[f"validation.{key}"]).format(**values)

    def other(self, key: str, fallback: str) -> str:
        """A text of another area, or the fallback."""
        return catalogue(self.language).get(key, fallback)

    def group(self, name: str) -> Markup:
        """A group of people of the fairness tables."""
        return self(GROUPS[name]) if name in GROUPS else escape(name)

    def step(self, reason: str) -> Markup:
        """A step from the label holder's file to the people of a model."""
        if reason == "matched":
            return self("funnel.matched")
        return escape(self.other(f"tables.funnel.{reason}", reason))

    def say(self, both: dict[str, str]) -> str:
        """A text that the record holds in both languages."""
        return both["zh" if self.language == "zh-CN" else "en"]

    def count(self, number: Number) -> Markup:
        return self._data(number, lambda value: self._formats.count(round(value)))

    def cell(self, number: Number) -> Markup:
        """A count that may be hidden."""
        if number is None:
            return Markup('<span class="hidden">&lt;{}</span>').format(self.count(self._k_min))
        return self.count(number)

    def metric(self, number: Number) -> Markup:
        return self._data(number, self._formats.metric)

    def brief(self, number: Number) -> Markup:
        """Three decimals."""
        return self._data(number, lambda value: f"{value:.3f}".replace("-", MINUS))

    def change(self, number: Number) -> Markup:
        return self._data(number, self._formats.change)

    def share(self, number: Number) -> Markup:
        return self._data(number, self._formats.share)

    def ratio(self, number: Number) -> Markup:
        """Two decimals, for ratios and lifts."""
        return self._data(number, lambda value: f"{value:.2f}".replace("-", MINUS))

    def points(self, number: Number) -> Markup:
        """Points with a sign; tenths where there are any."""

        def form(value: float) -> str:
            return f"{value:+.1f}" if value % 1 else f"{value:+.0f}" if value else "0"

        return self._data(number, lambda value: form(value).replace("-", MINUS))

    def size(self, number: Number) -> Markup:
        return self._data(number, self._formats.size)

    def whole(self, number: Number) -> Markup:
        """A number that is not a quantity, such as a seed: without separators."""
        return self._data(number, lambda value: f"{value:g}" if value % 1 else str(int(value)))

    def p_value(self, number: Number) -> Markup:
        return self._data(number, lambda value: "<0.0001" if value < 1e-4 else f"{value:.4f}")

    def score(self, number: Number, unit: str) -> Markup:
        """A score in its unit: points, or the probability of being bad in per cent."""
        if unit == "points":
            return self.whole(number)
        return self._data(number, lambda value: f"{100 * value:.2f}%")

    def plain(self, shown: Markup) -> str:
        """For an attribute or a picture's alternative text."""
        return str(shown.striptags())

    def _data(self, number: Number, form: Callable[[Any], str]) -> Markup:
        if number is None:
            return Markup('<span class="hidden">{}</span>').format(ABSENT)
        if not isinstance(number, Figure):
            raise TypeError("not a figure of the record")
        return Markup('<data value="{}" data-at="{}">{}</data>').format(
            json.dumps(number.value), number.path, form(number.value)
        )
