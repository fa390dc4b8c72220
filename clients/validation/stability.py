"""Whether scores and fields are distributed as they were: between training and held-out rows, or between periods.

A later period's report passes `compare` of that period with the training rows as `Evidence.periods`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from clients.validation import measures
from clients.validation.groups import joined, safe_ends
from clients.validation.measures import Counts
from clients.validation.record import Comparison, Shift, Words
from clients.validation.rounding import rounded
from privacy.errors import CohortTooSmall

Pair = tuple[Counts, ...]
"""Two counts over the same bins: (expected, actual)."""


def compare(
    expected: Words,
    actual: Words,
    names: Sequence[str],
    score: Pair,
    fields: Mapping[str, Pair],
    k_min: int,
) -> Comparison:
    """Two samples by score band and by bin of each field.

    expected, actual: what the samples are called. names: of the bands, as long as the counts of `score`. Neighbouring
    bands are joined until each has k_min people in both samples; of fields, only the index is shown. Raises
    `CohortTooSmall` when a whole sample is smaller, `ConfigInvalid` when bins differ.
    """
    ends = safe_ends(np.column_stack(score), k_min)
    if ends is None:
        raise CohortTooSmall("test_rows_small", k_min=k_min)
    starts = [0, *ends[:-1]]
    parts = [joined(counts, ends) for counts in score]
    shares = [tuple(rounded(share) for share in (part / part.sum()).tolist()) for part in parts]
    index, level = _reading(*parts)
    return Comparison(
        expected=expected,
        actual=actual,
        bins=tuple(
            "–".join(dict.fromkeys((names[start], names[end - 1])))
            for start, end in zip(starts, ends, strict=True)
        ),
        score=Shift(name="", index=index, level=level, expected=shares[0], actual=shares[1]),
        fields=tuple(
            Shift(name=name, index=index, level=level)
            for name, counts in fields.items()
            for index, level in [_reading(*counts)]
        ),
    )


def _reading(expected: Counts, actual: Counts) -> tuple[float, str]:
    index = measures.stability_index(expected, actual)
    levels = ((measures.PSI_WATCH, "stable"), (measures.PSI_SHIFT, "watch"))
    return rounded(index), next((level for limit, level in levels if index < limit), "shift")
