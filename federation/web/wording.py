"""How a page of console or desk reads in one language. Keys are whole, so a template names what it shows."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Final

from markupsafe import Markup, escape

from federation.formats import ABSENT, NumberFormats
from privacy.texts import catalogue, current_language, text

_MINUTE: Final = 60
_HOUR: Final = 3_600


class Wording(NumberFormats):
    """Texts, numbers and times of one language (default: the process's); everything that is filled in is escaped."""

    def __init__(self, language: str | None = None) -> None:
        self.language = language or current_language()

    def __call__(self, key: str, /, **values: object) -> Markup:
        """The text of a key. Raises `KeyError` when there is none."""
        return escape(catalogue(self.language)[key]).format(**values)

    def state(self, name: str) -> str:
        """What a job's state is called, or the state itself where a newer coordinator knows more of them."""
        try:
            return text(f"web.state.{name}", language=self.language)
        except KeyError:
            return name

    def known(self, key: str, otherwise: str) -> str:
        """The text of a key, or the other one: a newer node may know words that we do not."""
        return catalogue(self.language).get(key, otherwise)

    def moment(self, at: datetime | None) -> Markup:
        """A time in this computer's zone, to the minute, with the exact one behind it."""
        if at is None:
            return escape(ABSENT)
        shown = at.astimezone().isoformat(" ", "minutes")[:16]
        return Markup('<time datetime="{}">{}</time>').format(
            at.astimezone(UTC).isoformat("T", "seconds"), shown
        )

    def day(self, on: date | None) -> str:
        return ABSENT if on is None else on.isoformat()

    def seconds(self, value: float | None) -> str:
        """How long: seconds, minutes or hours, whichever is readable."""
        if value is None:
            return ABSENT
        whole = round(value)
        if whole < _MINUTE:
            return str(self("web.time.seconds", seconds=f"{value:.1f}" if value < 10 else whole))
        if whole < _HOUR:
            minutes, seconds = divmod(whole, _MINUTE)
            return str(self("web.time.minutes", minutes=minutes, seconds=f"{seconds:02d}"))
        hours, rest = divmod(whole, _HOUR)
        return str(self("web.time.hours", hours=hours, minutes=f"{rest // _MINUTE:02d}"))
