"""Letters between nodes outside of jobs: requests of data subjects, and the answers to them. Sans-I/O.

Parties   A sender and a recipient, both in the federation's roster; the coordinator keeps a letter until it is fetched.
Rounds    None: a letter is put down when its sender can, and fetched when its recipient can, days later if need be.
What each party learns
          Recipient: the tasks and answers. A subject in a task is named by what both parties call it in a matching that
          both have taken part in (`privacy.rights.SharedRow`), and by nothing else.
          Coordinator: sender, recipient, size and times of each letter (`post_messages.DISCLOSES`). It can hold
          letters back, and say that one was not delivered; it can open, alter, move or make none.
Source    HPKE (RFC 9180) and Ed25519 (RFC 8032) as in `privacy.sealing`; PIPL 44 to 50: a request of a subject reaches
          whoever else holds its data.
Deviations
          None.
Equals    Handing the content over in person.
Cost      Some 0.3 ms per letter at either end; contents grow to multiples of 16 KiB (`STEP_BYTES`).

The seal and the signature hold only for one sender, one recipient and one id (`_context`): a letter that is moved, sent
again under another id, or altered does not open. The recipient keeps the ids that it has had (`clients.rights.outbox`).
What it does not promise. No forward secrecy: who gets a node's sealing key opens what was kept of its letters.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from federation.post_messages import (
    MAX_CONTENT_BYTES,
    MAX_ITEMS,
    MAX_LETTER_BYTES,
    Answered,
    Content,
    Delivered,
    Item,
)
from privacy.errors import MessageInvalid, UnexpectedMessage
from privacy.sealing import SIGNATURE_BYTES, Identity, PublicIdentity

_VERSION: Final = "silhouette letter v1"
LETTER_ID_BYTES: Final = 16
STEP_BYTES: Final = 16 << 10
"""Letters have sizes that are multiples of this, so that one task looks like dozens of them."""
LENGTH_BYTES: Final = 4
_CONTENT: Final = msgspec.msgpack.Decoder(Content)


def new_letter_id() -> str:
    """Random, 32 hexadecimal digits."""
    return secrets.token_hex(LETTER_ID_BYTES)


def seal_letter(
    items: Sequence[Item], letter: str, own: str, identity: Identity, recipient: str, peer: PublicIdentity
) -> bytes:
    """A letter with these items: signature, then sealed content. Raises `MessageInvalid` when they are too many."""
    plain = pad(msgspec.msgpack.encode(Content(tuple(items))))
    if not 0 < len(items) <= MAX_ITEMS or len(plain) > MAX_CONTENT_BYTES:
        raise MessageInvalid("post_too_large", limit=MAX_CONTENT_BYTES)
    context = _context(own, recipient, letter)
    sealed = peer.seal(plain, context)
    return identity.sign(context, sealed) + sealed


def open_letter(
    delivered: Delivered, own: str, identity: Identity, peers: Mapping[str, PublicIdentity]
) -> tuple[Item, ...]:
    """The items of a letter to `own`. The signatures of answers are for whoever keeps these (`Answered`).

    Raises `UnexpectedMessage` for a sender that is not in the roster or answers for another, `SignatureInvalid`,
    `SealBroken`, and `MessageInvalid` for what is no letter.
    """
    sender = delivered.sender
    peer = peers.get(sender)
    if peer is None:
        raise UnexpectedMessage("post_unknown_sender", sender=sender)
    if len(delivered.data) > MAX_LETTER_BYTES:
        raise MessageInvalid("post_letter", sender=sender)
    signature, sealed = delivered.data[:SIGNATURE_BYTES], delivered.data[SIGNATURE_BYTES:]
    context = _context(sender, own, delivered.letter)
    peer.verify(signature, context, sealed)
    try:
        content = _CONTENT.decode(_unpadded(identity.open(sealed, context)))
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError):
        raise MessageInvalid("post_letter", sender=sender) from None
    for item in content.items:
        moment = item.answer.at if isinstance(item, Answered) else item.task.received
        if moment.tzinfo is None:  # no moment at all to whoever compares it with one
            raise MessageInvalid("post_letter", sender=sender)
        if isinstance(item, Answered) and item.answer.party != sender:
            raise UnexpectedMessage("post_other_party", sender=sender)
    return content.items


def pad(content: bytes) -> bytes:
    """The content's length, the content, and zeros up to a multiple of `STEP_BYTES`."""
    whole = len(content).to_bytes(LENGTH_BYTES, "big") + content
    return whole + bytes(-len(whole) % STEP_BYTES)


def _unpadded(plain: bytes) -> bytes:
    """Inverse of `pad`. Raises `ValueError`."""
    end = LENGTH_BYTES + int.from_bytes(plain[:LENGTH_BYTES], "big")
    content = plain[LENGTH_BYTES:end]
    if plain != pad(content):
        raise ValueError(end)
    return content


def _context(sender: str, recipient: str, letter: str) -> bytes:
    return msgspec.msgpack.encode((_VERSION, sender, recipient, letter))
