"""How numbers read on a page, in every language alike: for people, with the unit in the number or beside it."""

from __future__ import annotations

from typing import Final

ABSENT: Final = "–"
MINUS: Final = "\N{MINUS SIGN}"
_BYTE_UNITS: Final = ("B", "kB", "MB", "GB", "TB")
_SUPERSCRIPT: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class NumberFormats:
    """Texts of numbers; of None, a dash."""

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
