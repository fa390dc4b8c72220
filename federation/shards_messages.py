"""What opens a training in shards, and what it tells each role; `shards` describes the protocol."""

from __future__ import annotations

from typing import Final

from federation.messages import Message
from federation.roles import Disclosure, Disclosures


class Shards(Message, frozen=True, tag="shards.begin/1"):
    """L to F: which shards are taken over from an earlier training, one entry per shard.

    kept: the number of the shard's model, empty where it is trained now. rows: one bit per aligned row, those of a
    shard that is taken over; empty where it is trained.
    """

    kept: tuple[bytes, ...]
    rows: tuple[bytes, ...]


MESSAGES: Final[tuple[type[Message], ...]] = (Shards,)

DISCLOSES: Final = Disclosures(
    protocol="shards",
    feature_holder=(
        Disclosure("shard_rows", ("shards.begin/1",), per_row=True),
        Disclosure("kept_shards", ("shards.begin/1",)),
    ),
    coordinator=(Disclosure("sizes", ("shards.begin/1",)),),
)
