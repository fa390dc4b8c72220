"""Random numbers that belong to a row and not to its neighbours: nobody's draw changes when another row leaves.

Why. Whoever is forgotten leaves a job's rows, and the job is trained again on the others (`federation.recall`). With a
permutation of all rows, one that leaves changes where everybody else goes: who is held out, which batch a row is in.
Here row number p of a party's file always gets the p-th number of one stream.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from privacy.errors import ConfigInvalid

Floats = np.ndarray[Any, np.dtype[np.float64]]
Integers = np.ndarray[Any, np.dtype[np.int64]]

_SPARE_BITS: Final = 11
"""A float64 holds 53 bits: of 64 random ones the others go."""


def uniforms(seed: int, places: Integers, *purpose: int) -> Floats:
    """One number in [0, 1) per row, (n,): a function of seed, purpose and the row's place alone.

    places: (n,) the rows' places in the file, which stay the same when other rows are deleted. Costs eight bytes for
    every place up to the largest. Raises `ConfigInvalid` for a negative place.
    """
    if not len(places):
        return np.empty(0)
    if int(places.min()) < 0:
        raise ConfigInvalid("draws_place_negative")
    # Raw words of a bit generator: NumPy keeps those the same in all versions, and a job may be repeated years later.
    words = np.random.PCG64([seed, *purpose]).random_raw(int(places.max()) + 1)
    found: Floats = np.ldexp((words[places] >> np.uint64(_SPARE_BITS)).astype(np.float64), _SPARE_BITS - 64)
    return found


def held_out(
    labels: np.ndarray[Any, Any], draws: Floats, share: float
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which rows are held out, (n,): those whose draw is below `share`, so about that share of either label.

    Not exactly that share: a fixed number per label would pass a row's place on to another when it leaves. Only a label
    that would have no row at all on one side gets one there, its row with the nearest draw; of a label with a single
    row, that one trains. labels: (n,) 0 or 1; draws: (n,) as `uniforms` gives them.
    """
    out: np.ndarray[Any, np.dtype[np.bool_]] = draws < share
    for value in (0, 1):
        rows = np.flatnonzero(labels == value)
        if len(rows) and out[rows].all():
            out[rows[np.argmax(draws[rows])]] = False
        elif len(rows) > 1 and not out[rows].any():
            out[rows[np.argmin(draws[rows])]] = True
    return out
