"""What a matching gives a party: its rows, and how rows are checked between parties and against the coordinator."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

import numpy as np

from federation.align_lists import Integers, References
from federation.messages import Array
from privacy.errors import MessageInvalid

_CHECK_LABEL: Final = b"\x00silhouette align check v1\x00"


@dataclass(frozen=True, slots=True)
class AlignedRows:
    """A party's result. rows: own rows in the result, int64; the same subjects in the same order at all parties
    where the result is what all share. size: their number; with `size_only` there are no rows, and it is rounded.

    subject_refs: (rows, 16) uint8, this project's reference per subject; the same at all parties.
    """

    rows: Integers
    size: int
    subject_refs: References


def row_digest(key: bytes, subject_refs: References) -> bytes:
    """HMAC-SHA256 under the project's key of all references in order: equal rows at two parties, equal digests.

    subject_refs: (size, 16) uint8. Neither the key nor a reference is known to the coordinator.
    """
    return hmac.digest(key, _CHECK_LABEL + subject_refs.tobytes(), hashlib.sha256)


def checked_positions(positions: Array, length: int) -> Integers:
    """Places in a list of this length as int64. Raises `MessageInvalid` for anything else."""
    if positions.ndim != 1 or positions.dtype != np.uint32:
        raise MessageInvalid("align_positions_type")
    wide = positions.astype(np.int64)
    if len(wide) and int(wide.max()) >= length:
        raise MessageInvalid("align_positions_outside")
    return wide


def check_distinct(positions: Integers, length: int, *, rising: bool) -> None:
    """Raises `MessageInvalid` when a place is named twice, or, where they must rise, out of order."""
    if rising:
        # The list is in token order, so shared tokens come at rising places.
        repeats = bool((np.diff(positions) <= 0).any())
    else:
        repeats = bool((np.bincount(positions, minlength=length) > 1).any())
    if repeats:
        raise MessageInvalid("align_positions_order")
