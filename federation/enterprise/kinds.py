"""Types of firms, told from registry, patents, research and size: which of three typical firms it is nearest to.

Parties. Whoever holds the columns (`COLUMNS`) names the type; the bank asks, because terms of loans differ by type.
What each party learns. The bank: one of three types per firm, or none. No column leaves.
Source. Fisher, "The use of multiple measurements in taxonomic problems" (1936), with independent columns: the largest
    of the logarithms of normal densities, with each type's share.
Deviations. What is typical are constants set by judgement and looked at on sample worlds with other seeds than the
    tests'; a deployment's own firms may be others.
Equals. Itself on pooled columns: all of them are at one holder.
Cost. One pass over four columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import numpy as np

from privacy.errors import SchemaMismatch

Floats = np.ndarray[Any, np.dtype[np.float64]]
Codes = np.ndarray[Any, np.dtype[np.int8]]


class Kind(StrEnum):
    """稳健经营型国企, 高成长科技民企, 传统劳动密集型工厂."""

    STEADY_STATE_OWNED = "steady_state_owned"
    GROWING_TECHNOLOGY = "growing_technology"
    LABOUR_INTENSIVE_FACTORY = "labour_intensive_factory"


KINDS: Final = tuple(Kind)
UNKNOWN: Final = -1
COLUMNS: Final = ("rd_share", "employees", "years_registered", "firm_patents")

_SMALLEST_SHARE: Final = 1e-3
"""Research below a thousandth of the revenue is none."""
_TYPICAL: Final = np.array([(-3.9, 5.6, 2.9, 1.1), (-2.0, 3.7, 1.9, 2.5), (-4.8, 4.6, 2.4, 0.35)])
"""(types, columns): 2, 14 and 0.8 % of revenue for research; 270, 40 and 100 employees; 17, 6 and 10 years; patents."""
_SPREAD: Final = np.array([0.4, 0.6, 0.55, 0.55])
"""Standard deviations of the logarithms within a type."""
_SHARES: Final = np.array([0.15, 0.30, 0.55])


def kinds(columns: Mapping[str, Floats]) -> Codes:
    """(n,) places in `KINDS`, `UNKNOWN` for a firm of which no column is known; a missing value says nothing.

    columns: in their own units: a share, persons, years, a count. Raises `SchemaMismatch` when one is missing.
    """
    missing = [name for name in COLUMNS if name not in columns]
    if missing:
        raise SchemaMismatch("health_columns_missing", columns=", ".join(missing))
    share, *others = (columns[name] for name in COLUMNS)
    logs = [np.log(np.maximum(share, _SMALLEST_SHARE)), *(np.log1p(np.maximum(one, 0.0)) for one in others)]
    values = np.column_stack(logs)
    distance = np.nan_to_num(((values[:, None, :] - _TYPICAL) / _SPREAD) ** 2, nan=0.0)
    likelihood = np.log(_SHARES) - distance.sum(axis=2) / 2
    found = np.asarray(likelihood.argmax(axis=1), np.int8)
    found[np.isnan(values).all(axis=1)] = UNKNOWN
    return found
