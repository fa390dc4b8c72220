"""What letters between nodes hold, and what the coordinator hands out of its post office and its shelf of ledgers.

A letter's content is a closed union: tasks, and signed answers to tasks. It is MessagePack, at most `MAX_ITEMS` of them
and `MAX_CONTENT_BYTES`; everything else is refused when it is opened.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from federation.jobs import Name
from federation.roles import Disclosure, Disclosures
from privacy.errors import MessageInvalid
from privacy.rights import Task, TaskAnswer
from privacy.sealing import SIGNATURE_BYTES

MAX_ITEMS: Final = 500
MAX_CONTENT_BYTES: Final = 1 << 20
"""Of the content before it is sealed."""
MAX_LETTER_BYTES: Final = MAX_CONTENT_BYTES + 4096
"""Of a letter as the coordinator gets it: the seal, the signature and their frame take less than the difference."""
MAX_ENTRY_BYTES: Final = 64 << 10
"""Of one entry of a party's ledger, sealed."""
MAX_ANSWER_BYTES: Final = 8 << 20
"""What the coordinator hands out in one answer."""
MOST_LETTERS: Final = 64
"""In one answer."""
MAX_WAIT_SECONDS: Final = 20
"""One long poll."""
KEPT_DAYS: Final = 60
"""How long a letter waits for its recipient before it goes back (our choice)."""
SKEW_SECONDS: Final = 300
"""How far a caller's clock may be off."""

LetterId = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
Signature = Annotated[bytes, Meta(min_length=SIGNATURE_BYTES, max_length=SIGNATURE_BYTES)]
Digest = Annotated[bytes, Meta(min_length=32, max_length=32)]


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="post.task/1"):
    """Node -> another: a task for a case."""

    task: Task


class Answered(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="post.answer/1"
):
    """Node -> who asked: what has been done. signature: over the answer alone, so that it can stand in a receipt."""

    answer: TaskAnswer
    signature: Signature


Item = Asked | Answered


class Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that a letter holds."""

    items: Annotated[tuple[Item, ...], Meta(min_length=1, max_length=MAX_ITEMS)]


class Delivered(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A letter as the coordinator hands it out. sender: as the coordinator says, which opening it checks."""

    letter: LetterId
    sender: Name
    data: Annotated[bytes, Meta(max_length=MAX_LETTER_BYTES)]


class Returned(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Word to its sender of a letter that nobody fetched within `KEPT_DAYS`, or that its recipient cannot open."""

    letter: LetterId
    recipient: Name


class Mail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The coordinator's answer to "what is there for me"."""

    letters: tuple[Delivered, ...] = ()
    returned: tuple[Returned, ...] = ()


class LedgerHead(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long a party's ledger is, and the hash chain over its entries (`next_head`)."""

    count: Annotated[int, Meta(ge=0)] = 0
    chain: Digest = bytes(32)


class LedgerEntries(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Entries of a ledger in their order, the first of them the one that was asked for."""

    entries: tuple[Annotated[bytes, Meta(max_length=MAX_ENTRY_BYTES)], ...] = ()


DISCLOSES: Final = Disclosures(
    "post",
    feature_holder=(Disclosure("requests", ("post.task/1", "post.answer/1")),),
    label_holder=(Disclosure("requests", ("post.task/1", "post.answer/1")),),
    coordinator=(Disclosure("envelopes", ("post.task/1", "post.answer/1")), Disclosure("ledger_sizes", ())),
)
"""The parties of a letter have no other roles than sender and recipient; either may be a label holder elsewhere."""

_CHAIN_DOMAIN: Final = b"silhouette ledger v1\x00"


def next_head(head: LedgerHead, entry: bytes) -> LedgerHead:
    """The head after one more entry: SHA-256 over a domain, the chain so far, and the entry's SHA-256."""
    digest = hashlib.sha256(_CHAIN_DOMAIN + head.chain + hashlib.sha256(entry).digest()).digest()
    return LedgerHead(head.count + 1, digest)


def encode_item(item: Item) -> bytes:
    """One task or answer by itself. Raises `MessageInvalid` when no letter has room for it."""
    data = msgspec.msgpack.encode(item)
    if len(data) > MAX_CONTENT_BYTES - _FRAME_BYTES:
        raise MessageInvalid("post_too_large", limit=MAX_CONTENT_BYTES)
    return data


def decode_item(data: bytes) -> Item:
    """Inverse of `encode_item`. Raises `msgspec.MsgspecError`."""
    return _ITEM.decode(data)


_FRAME_BYTES: Final = 64
"""More than `Content` and the length before it take around the items."""
_ITEM: Final[msgspec.msgpack.Decoder[Item]] = msgspec.msgpack.Decoder(Item)


def in_letters(sizes: Iterable[int]) -> Iterator[int]:
    """How many of the items of these sizes (bytes), in their order, go into each letter; none is split."""
    items, size = 0, _FRAME_BYTES
    for one in sizes:
        if items == MAX_ITEMS or (items and size + one > MAX_CONTENT_BYTES):
            yield items
            items, size = 0, _FRAME_BYTES
        items, size = items + 1, size + one
    if items:
        yield items
