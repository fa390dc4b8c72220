"""How figures and names read in one language: numbers with units, labels from the text catalogue."""

from __future__ import annotations

from typing import Any, Final

from privacy.consent import STEP_REASONS
from privacy.reasons import ARTICLES
from privacy.texts import catalogue, current_language, text

ABSENT: Final = "–"
MINUS: Final = "\N{MINUS SIGN}"
_BYTE_UNITS: Final = ("B", "kB", "MB", "GB", "TB")
_SUPERSCRIPT: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_SECONDS_PER_MINUTE: Final = 60


class Wording:
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

    def count(self, value: float | None) -> str:
        return ABSENT if value is None else f"{value:,}"

    def cell(self, value: float | None, k_min: int) -> str:
        """A count that may be hidden."""
        return f"<{k_min}" if value is None else f"{value:,}"

    def metric(self, value: float | None) -> str:
        """An AUC, a KS or an index of agreement: four decimals."""
        return ABSENT if value is None else _minus(f"{value:.4f}")

    def change(self, value: float | None) -> str:
        return ABSENT if value is None else _minus(f"{value:+.4f}")

    def share(self, value: float | None) -> str:
        return ABSENT if value is None else f"{100 * value:.1f}%"

    def mean(self, value: float | None) -> str:
        """A mean in the field's own units: about four significant digits."""
        if value is None:
            return ABSENT
        size = abs(value)
        for limit, decimals in ((1000, 0), (100, 1), (1, 2), (0.01, 3)):
            if size >= limit:
                return _minus(f"{value:,.{decimals}f}")
        if value == 0:
            return "0"
        digits, exponent = f"{value:.1e}".split("e")
        return _minus(f"{digits} × 10") + str(int(exponent)).translate(_SUPERSCRIPT)

    def seconds(self, value: float | None) -> str:
        if value is None:
            return ABSENT
        if value < 2 * _SECONDS_PER_MINUTE:
            return self("seconds", seconds=f"{value:.2f}" if value < 10 else f"{value:.1f}")
        minutes, seconds = divmod(round(value), _SECONDS_PER_MINUTE)
        return self("minutes", minutes=minutes, seconds=f"{seconds:02d}")

    def size(self, value: float | None) -> str:
        """Bytes, in powers of 1000."""
        if value is None:
            return ABSENT
        amount, unit = float(value), 0
        while amount >= 999.5 and unit < len(_BYTE_UNITS) - 1:
            amount /= 1000
            unit += 1
        decimals = 0 if unit == 0 or amount >= 100 else 1
        return f"{amount:.{decimals}f} {_BYTE_UNITS[unit]}"


def _minus(number: str) -> str:
    return number.replace("-", MINUS)
