"""The messages of `align_oprf`, and what they disclose."""

from __future__ import annotations

from typing import Final

from federation.messages import Array, Message
from federation.roles import Disclosure, Disclosures


class Begin(Message, frozen=True, tag="align_oprf.begin/1"):
    """L -> F: what is matched, how many L has, and the key under which shared subjects are named (32 bytes)."""

    kind: str
    count: int
    key: bytes

    def __repr__(self) -> str:
        return "Begin(...)"  # the key must not reach a log or a traceback


class Join(Message, frozen=True, tag="align_oprf.join/1"):
    """F -> L: how many identifiers F has."""

    count: int


class Offer(Message, frozen=True, tag="align_oprf.offer/1"):
    """L -> F: the base transfers' element and the salt (`oprf.OFFER_BYTES`)."""

    data: bytes


class Choices(Message, frozen=True, tag="align_oprf.choices/1"):
    """F -> L: one group element per column of the matrix."""

    data: bytes


class FunctionKey(Message, frozen=True, tag="align_oprf.function_key/1"):
    """L -> F: the key of the function that spreads items over columns, sent once F has chosen."""

    data: bytes

    def __repr__(self) -> str:
        return "FunctionKey(...)"


class BucketWanted(Message, frozen=True, tag="align_oprf.bucket_wanted/1"):
    """F -> L: send the correction of this bucket."""

    bucket: int


class Correction(Message, frozen=True, tag="align_oprf.correction/1"):
    """L -> F: the correction matrix of one bucket."""

    bucket: int
    data: bytes


class Values(Message, frozen=True, tag="align_oprf.values/1"):
    """F -> L: the values of one part of F's list, sorted, `TOKEN_BYTES` each."""

    parts: int
    part: int
    tokens: bytes


class Shared(Message, frozen=True, tag="align_oprf.shared/1"):
    """L -> F: (shared,) uint32, rising places in F's sorted values of what both share."""

    positions: Array


MESSAGES: Final = (
    Begin, Join, Offer, Choices, FunctionKey, BucketWanted, Correction, Values, Shared,
)  # fmt: skip

DISCLOSES: Final = Disclosures(
    protocol="align_oprf",
    label_holder=(
        Disclosure("list_size", ("align_oprf.join/1",)),
        Disclosure("own_matches", ("align_oprf.values/1",), per_row=True),
        Disclosure("nothing_more", ("align_oprf.choices/1", "align_oprf.bucket_wanted/1"), per_row=True),
        Disclosure("rows_agree", ("align.check/1",)),
    ),
    feature_holder=(
        Disclosure("list_size", ("align_oprf.begin/1",)),
        Disclosure("reference_key", ("align_oprf.begin/1",)),
        Disclosure("own_matches", ("align_oprf.shared/1",), per_row=True),
        Disclosure(
            "nothing_more",
            ("align_oprf.offer/1", "align_oprf.function_key/1", "align_oprf.correction/1"),
            per_row=True,
        ),
    ),
)
