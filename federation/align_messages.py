"""The messages of `align`, and what they disclose in each mode."""

from __future__ import annotations

import hashlib
from typing import Final

from federation.jobs import MatchMode, MatchPlan
from federation.messages import Array, Message
from federation.roles import Disclosure, Disclosures

DIGEST_BYTES: Final = hashlib.sha256().digest_size
BLINDING_ID_BYTES: Final = 16


class ListStamp(Message, frozen=True, tag="align.stamp/1"):
    """F -> L: random to L, and the same in a rerun only if F's list is: a changed list gets a new key."""

    stamp: bytes


class MatchingKey(Message, frozen=True, tag="align.key/2"):
    """L -> F: the project's key (32 bytes), and the kind of identifier it is for."""

    kind: str
    key: bytes

    def __repr__(self) -> str:
        return "MatchingKey(...)"  # the key must not reach a log or a traceback


class BlindingId(Message, frozen=True, tag="align.blinding/1"):
    """Party -> every other party (`ecdh`): a random name for its secret, and the length of its list.

    A rerun with the same secret sends the same name, which tells the others what is left of their earlier work.
    """

    name: bytes
    count: int


class Points(Message, frozen=True, tag="align.points/1"):
    """Party -> the next in the circle (`ecdh`): `owner`'s points so far, 32 bytes each, in `owner`'s secret order."""

    owner: str
    part: int
    points: bytes


class CircleList(Message, frozen=True, tag="align.circle_list/1"):
    """Party -> C (`ecdh`): the parts of its list as they will come out of the circle.

    sizes: (parts,) uint32, points per part. stamps: 32 bytes per part, which change when its rows or a party's
    secret do: what C holds under an equal stamp need not go round again.
    """

    sizes: Array
    stamps: bytes


class CirclePart(Message, frozen=True, tag="align.circle_part/1"):
    """Last party of the circle -> C (`ecdh`): a token per point of `owner`'s part, `TOKEN_BYTES` each."""

    owner: str
    part: int
    tokens: bytes


class TokenList(Message, frozen=True, tag="align.list/1"):
    """Party -> C (`keyed`): how many tokens it has, and the SHA-256 of all, sorted."""

    count: int
    digest: bytes


class PartWanted(Message, frozen=True, tag="align.part_wanted/1"):
    """C -> party: send part `part` of your list. `keyed`: cut it by the tokens' leading bits into `parts` (a power
    of two); `ecdh`: `parts` as the party has cut it."""

    parts: int
    part: int


class TokenPart(Message, frozen=True, tag="align.tokens/2"):
    """Party -> C (`keyed`): the tokens of one part, sorted, `TOKEN_BYTES` each."""

    part: int
    tokens: bytes


class Matched(Message, frozen=True, tag="align.matched/2"):
    """C -> party: which tokens of the party's own list are in the result, in `pieces` messages.

    positions: (n,) uint32, places in the party's list (`keyed`: sorted by token, `ecdh`: in its secret order), in the
    order of the tokens: where all parties share the result, the i-th of every party is the same subject.
    """

    pieces: int
    piece: int
    positions: Array


class OverlapSize(Message, frozen=True, tag="align.size/1"):
    """C -> party (`size_only`): the size of the result, rounded down to a multiple of k_min."""

    size: int


class RowCheck(Message, frozen=True, tag="align.check/1"):
    """F -> L: `align.row_digest` of the sender's aligned rows, `DIGEST_BYTES` long."""

    digest: bytes


MESSAGES: Final = (
    ListStamp,
    MatchingKey,
    BlindingId,
    Points,
    CircleList,
    CirclePart,
    TokenList,
    PartWanted,
    TokenPart,
    Matched,
    OverlapSize,
    RowCheck,
)


def disclosures_of(plan: MatchPlan) -> Disclosures:
    """What a matching by this plan discloses (`align`; `oprf` has a list of its own)."""
    everyone: tuple[Disclosure, ...]
    if plan.mode is MatchMode.ECDH:
        sizes = Disclosure("list_sizes", ("align.blinding/1", "align.points/1"), per_row=True)
        everyone = (sizes, Disclosure("pace", ("align.part_wanted/1",)))
        key, seen = "reference_key", ("align.circle_list/1", "align.circle_part/1")
    else:
        everyone = (Disclosure("longest_list", ("align.part_wanted/1",)),)
        key, seen = "project_key", ("align.list/1", "align.tokens/2")
    if plan.size_only:
        everyone += (Disclosure("rounded_size", ("align.size/1",)),)
    else:
        everyone += (Disclosure("own_matches", ("align.matched/2",), per_row=True),)
    aligned = () if plan.size_only or plan.members else (Disclosure("rows_agree", ("align.check/1",)),)
    unchanged = Disclosure("lists_unchanged", ("align.stamp/1",))
    return Disclosures(
        "align",
        label_holder=(*everyone, unchanged, *aligned),
        feature_holder=(*everyone, Disclosure(key, ("align.key/2",))),
        coordinator=(Disclosure("sizes_and_overlap", seen, per_row=True),),
    )
