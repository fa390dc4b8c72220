"""How figures and names read in one language: numbers with units, labels from the text catalogue."""

from __future__ import annotations

from typing import Any, Final

from federation.formats import ABSENT, NumberFormats
from privacy.consent import STEP_REASONS
from privacy.reasons import ARTICLES
from privacy.texts import catalogue, current_language, text

_SECONDS_PER_MINUTE: Final = 60


class Wording(NumberFormats):
    """Texts and number formats of one language (default: the process's)."""

    def __init__(self, language: str | None = None) -> None:
        self.language = language or current_language()

    def __call__(self, key: str, /, **values: object) -> str:
        """The report's own text named `key`."""
        return text(f"report.{key}", language=self.language, **values)

    def label(self, key: str, fallback: str) -> str:
        """The text named by the whole key, or the fallback: a newer node may know words that we do not."""
        return catalogue(self.language).get(key, fallback)

    def reason(self, reason: str) -> str:
        """Why rows were left out; with the code and the article where it is the gate that demands it."""
        label = self.label(f"tables.funnel.{reason}", reason)
        code = STEP_REASONS.get(reason)
        return (
            label
            if code is None
            else self("match.reason", label=label, code=code.value, article=ARTICLES[code])
        )

    def role(self, role: str) -> str:
        return self.label(f"report.role.{role}", role)

    def party(self, party: str) -> str:
        return self("coordinator") if party == "coordinator" else party

    def stage(self, stage: str) -> str:
        return self.label(f"report.stage.{stage}", self.label(f"server.stage.{stage}", stage))

    def protocol(self, protocol: str) -> str:
        return self.label(f"report.protocol.{protocol}", protocol)

    def disclosure(self, entry: dict[str, Any]) -> str:
        return self.label(f"disclosures.{entry['protocol']}.{entry['what']}", entry["what"])

    def band(self, band: str) -> str:
        return self.label(f"report.band.{band}", band.upper().replace("-", "–"))

    def seconds(self, value: float | None) -> str:
        if value is None:
            return ABSENT
        if value < 2 * _SECONDS_PER_MINUTE:
            return self("seconds", seconds=f"{value:.2f}" if value < 10 else f"{value:.1f}")
        minutes, seconds = divmod(round(value), _SECONDS_PER_MINUTE)
        return self("minutes", minutes=minutes, seconds=f"{seconds:02d}")
