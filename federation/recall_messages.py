"""Messages and disclosures of a recall (the protocol itself: `federation.recall`)."""

from __future__ import annotations

import hashlib
from typing import Annotated, Final

import numpy as np
from msgspec import Meta

from federation.align_lists import References
from federation.messages import Array, Message
from federation.roles import Disclosure, Disclosures
from privacy.errors import MessageInvalid
from privacy.rights import REF_BYTES

MINIMUM_CHANGES: Final = 10
"""Fewest rows by which two versions of a model differ. The law names no number; a node may ask for another
(`release_after_changes`)."""
DIGEST_BYTES: Final = 32
_LABEL: Final = b"\x00silhouette recall v1\x00"

Digest = Annotated[bytes, Meta(min_length=DIGEST_BYTES, max_length=DIGEST_BYTES)]
Count = Annotated[int, Meta(ge=0, lt=1 << 32)]

DISCLOSES: Final = Disclosures(
    protocol="recall",
    label_holder=(
        Disclosure("rows_agree", ("recall.held/1",)),
        Disclosure("rows_left", ("recall.references/1",), per_row=True),
    ),
    feature_holder=(
        Disclosure("rows_agree", ("recall.settled/1", "recall.wanted/1")),
        Disclosure("rows_stay", ("recall.staying/1",), per_row=True),
    ),
)


class Held(Message, frozen=True, tag="recall.held/1"):
    """F -> L: how many references F still has, and their digest (`digest_of`)."""

    size: Count
    digest: Digest


class Settled(Message, frozen=True, tag="recall.settled/1"):
    """L -> F: all have the same rows."""

    digest: Digest


class Wanted(Message, frozen=True, tag="recall.wanted/1"):
    """L -> F: they differ; send yours."""


class ReferenceList(Message, frozen=True, tag="recall.references/1"):
    """F -> L: uint8 (n, 16), in the order of the earlier matching."""

    references: Array


class Staying(Message, frozen=True, tag="recall.staying/1"):
    """L -> F: uint32, rising places in F's own list of the rows that all have; digest: of these rows' references."""

    positions: Array
    digest: Digest


MESSAGES: Final = (Held, Settled, Wanted, ReferenceList, Staying)


def digest_of(session: str, references: References) -> bytes:
    """SHA-256 of the earlier session and all references in order, 32 bytes."""
    return hashlib.sha256(_LABEL + session.encode() + references.tobytes()).digest()


def check_references(references: Array, most: int, party: str = "") -> None:
    """Raises `MessageInvalid` unless these are at most `most` different references, uint8 (n, 16)."""
    is_list = references.ndim == 2 and references.dtype == np.uint8 and references.shape[1] == REF_BYTES
    if not is_list or len(references) > most or len(np.unique(references, axis=0)) < len(references):
        raise MessageInvalid("recall_references", party=party or "?")
