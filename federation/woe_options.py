"""What the parties agree on before bins with weights of evidence are made (`federation.woe`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

import numpy as np

from privacy.errors import ConfigInvalid

Trend = Literal["auto", "ascending", "descending", "none"]
"""How the WOE of the ordinary bins runs with the value; WOE rises where the share of bads falls."""

MOST_PRE_BINS: Final = 100
MOST_SPECIAL: Final = 50
"""With the missing code, the codes of both kinds fit in a uint8."""


@dataclass(frozen=True, slots=True)
class FieldOptions:
    """What is different for one field. special: values that are no amounts (-1 "never"), a bin each."""

    trend: Trend = "auto"
    special: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.trend not in get_args(Trend):
            raise ConfigInvalid("woe_trend", kind=self.trend, known=", ".join(get_args(Trend)))
        if len(set(self.special)) != len(self.special) or not np.isfinite(self.special).all():
            raise ConfigInvalid("woe_special")
        if len(self.special) > MOST_SPECIAL:
            raise ConfigInvalid("woe_option", name="special", low=0, high=MOST_SPECIAL)


@dataclass(frozen=True, slots=True)
class WoeOptions:
    """How to bin; every party must hold the same numbers.

    pre_bins: quantile bins per field to begin with. max_bins: ordinary bins that may be left; those of missing and
        special values come on top. min_bin_share: fewest rows of a final bin, as a share of the training rows
        (5 %: Siddiqi 2006, chapter 6). k_min: fewest rows of any bin, of a pre-bin too.
    trend, special: for the fields that `fields` does not name.
    """

    pre_bins: int = 20
    max_bins: int = 8
    min_bin_share: float = 0.05
    k_min: int = 50
    trend: Trend = "auto"
    special: tuple[float, ...] = ()
    fields: Mapping[str, FieldOptions] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ranges: dict[str, tuple[float, float]] = {
            "pre_bins": (2, MOST_PRE_BINS), "max_bins": (2, MOST_PRE_BINS), "min_bin_share": (0.0, 0.5),
            "k_min": (1, 1e6),
        }  # fmt: skip
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                raise ConfigInvalid("woe_option", name=name, low=low, high=high)
        FieldOptions(self.trend, self.special)

    def of(self, name: str) -> FieldOptions:
        """The options of one field."""
        return self.fields.get(name) or FieldOptions(self.trend, self.special)

    def smallest_bin(self, n_rows: int) -> int:
        """Fewest rows of a final bin when there are `n_rows` training rows."""
        # A share of 0.05 is not exact in binary: 0.05 * 20 must be 1, not the next integer.
        return max(self.k_min, int(np.ceil(self.min_bin_share * n_rows - 1e-9)))
