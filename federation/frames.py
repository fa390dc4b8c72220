"""Frames: how one message travels between two parties through the coordinator's relay.

A frame is a header, a sealed piece of the message and a signature. The header names the session, the job's
digest, sender, recipient, the pair's running number and the stage; it is HPKE's context and is signed, so a frame
that was tampered with, replayed, reordered, redirected or belongs to another job or session is refused. Large
messages travel in several pieces. Sans-I/O: an `Endpoint` turns messages into frames and frames into messages.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import msgspec

from federation import wire
from federation.messages import Message
from federation.session import Attestation
from privacy.errors import MessageInvalid, SignatureInvalid, StaleSnapshot, UnexpectedMessage
from privacy.sealing import SIGNATURE_BYTES, Identity, PublicIdentity

FRAME_VERSION: Final = 2
MAX_PIECE_BYTES: Final = 8 << 20
"""A message is cut into sealed pieces of at most 8 MiB."""
MAX_FRAME_BYTES: Final = MAX_PIECE_BYTES + 4096


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    """What the relay and the recipient can read of a frame.

    binding: digest of the sender's attestation (`session.Attestation`): policy, columns and consents that it worked on.
    """

    version: int
    session: str
    job_digest: str
    sender: str
    recipient: str
    number: int
    stage: int
    piece: int
    pieces: int
    binding: bytes


class Frame(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    """One frame: encoded header, sealed piece, signature."""

    header: bytes
    sealed: bytes
    signature: bytes


class Received(msgspec.Struct, frozen=True):
    """A message as it arrived: who sent it and for which stage of the job."""

    sender: str
    stage: int
    message: Message


@dataclass(slots=True)
class Traffic:
    """What one endpoint has sent and received: bytes by peer, messages by tag."""

    bytes_sent: Counter[str] = field(default_factory=Counter)
    bytes_received: Counter[str] = field(default_factory=Counter)
    received: Counter[str] = field(default_factory=Counter)

    def copy(self) -> Traffic:
        """The counters as they stand now."""
        return Traffic(self.bytes_sent.copy(), self.bytes_received.copy(), self.received.copy())

    def since(self, earlier: Traffic) -> Traffic:
        """What has been counted since `earlier`."""
        return Traffic(
            self.bytes_sent - earlier.bytes_sent,
            self.bytes_received - earlier.bytes_received,
            self.received - earlier.received,
        )


@dataclass(slots=True)
class _Incoming:
    number: int = 0
    stage: int = 0
    expected: int = 0
    pieces: list[bytes] = field(default_factory=list)

    def admits(self, header: Header) -> bool:
        """Whether this frame comes next: the pair's next number, and the next piece of the same message."""
        if not self.pieces:
            in_message = header.piece == 0 and header.pieces >= 1
        else:
            same = (header.stage, header.pieces) == (self.stage, self.expected)
            in_message = same and header.piece == len(self.pieces)
        return in_message and header.number == self.number + 1


class Endpoint:
    """One party's end of all its channels in one session.

    own: this party's name; identity: its keys; peers: everyone else's pinned public identity, by name;
    session: the session's random name; job_digest: SHA-256 of the job all parties agreed to.
    """

    def __init__(
        self, own: str, identity: Identity, peers: dict[str, PublicIdentity], session: str, job_digest: str
    ) -> None:
        self.own = own
        self.session = session
        self.job_digest = job_digest
        self.traffic = Traffic()
        self._identity = identity
        self._peers = peers
        self.binding = b""
        """What this party works on from now on; the coordinator, which holds no rows, has none."""
        self._bindings: dict[str, bytes] = dict.fromkeys(peers, b"")
        self._sent: Counter[str] = Counter()
        self._incoming: dict[str, _Incoming] = {name: _Incoming() for name in peers}

    def seal(self, recipient: str, stage: int, message: Message) -> list[bytes]:
        """The frames that carry `message` to `recipient`. Raises `MessageInvalid` when it is too large for any."""
        plain = wire.encode(message)
        starts = range(0, max(len(plain), 1), MAX_PIECE_BYTES)
        frames = []
        for piece, start in enumerate(starts):
            self._sent[recipient] += 1
            header = msgspec.msgpack.encode(
                Header(
                    FRAME_VERSION,
                    self.session,
                    self.job_digest,
                    self.own,
                    recipient,
                    self._sent[recipient],
                    stage,
                    piece,
                    len(starts),
                    self.binding,
                )
            )
            sealed = self._peers[recipient].seal(plain[start : start + MAX_PIECE_BYTES], header)
            frame = msgspec.msgpack.encode(Frame(header, sealed, self._identity.sign(header, sealed)))
            self.traffic.bytes_sent[recipient] += len(frame)
            frames.append(frame)
        return frames

    def take_back(self, recipient: str, frames: list[bytes]) -> None:
        """These frames, the last that were sealed for this recipient, were not sent after all."""
        self._sent[recipient] -= len(frames)
        self.traffic.bytes_sent[recipient] -= sum(map(len, frames))

    def has_attested(self, sender: str) -> bool:
        """Whether this peer has said what it works on."""
        return bool(self._bindings[sender])

    def open(self, data: bytes) -> Received | None:
        """The message that this frame completes, or None when pieces are still missing.

        Raises `MessageInvalid`, `UnexpectedMessage`, `SignatureInvalid`, `SealBroken`, or `StaleSnapshot` for a message
        that is bound to anything but what its sender attested last.
        """
        frame, header = self._parse(data)
        incoming = self._incoming[header.sender]
        self._peers[header.sender].verify(frame.signature, frame.header, frame.sealed)
        if not incoming.admits(header):
            raise UnexpectedMessage("frame_out_of_order", sender=header.sender)
        plain = self._identity.open(frame.sealed, frame.header)
        incoming.number, incoming.stage, incoming.expected = header.number, header.stage, header.pieces
        incoming.pieces.append(plain)
        self.traffic.bytes_received[header.sender] += len(data)
        if sum(map(len, incoming.pieces)) > wire.MAX_MESSAGE_BYTES:
            raise MessageInvalid("message_oversized", limit=wire.MAX_MESSAGE_BYTES)
        if header.piece + 1 < header.pieces:
            return None
        whole, incoming.pieces = b"".join(incoming.pieces), []
        message = wire.decode(whole)
        if isinstance(message, Attestation):
            self._bindings[header.sender] = message.binding
        if header.binding != self._bindings[header.sender]:
            raise StaleSnapshot("snapshot_stale", sender=header.sender)
        self.traffic.received[wire.tag_of(message)] += 1
        return Received(header.sender, header.stage, message)

    def _parse(self, data: bytes) -> tuple[Frame, Header]:
        if len(data) > MAX_FRAME_BYTES:
            raise MessageInvalid("message_oversized", limit=MAX_FRAME_BYTES)
        try:
            frame = msgspec.msgpack.decode(data, type=Frame)
            header = msgspec.msgpack.decode(frame.header, type=Header)
        except (msgspec.MsgspecError, ValueError):  # a name that is no UTF-8 is a plain ValueError
            raise MessageInvalid("message_undecodable") from None
        if len(frame.signature) != SIGNATURE_BYTES or header.sender not in self._peers:
            raise SignatureInvalid("signature_invalid")
        expected = (FRAME_VERSION, self.session, self.job_digest, self.own)
        if (header.version, header.session, header.job_digest, header.recipient) != expected:
            raise UnexpectedMessage("frame_foreign", sender=header.sender)
        return frame, header


def binding_of(data: bytes) -> tuple[bytes, bool]:
    """(binding, whether a message begins here) of a frame that the relay passes on. Raises `MessageInvalid`.

    A message is refused as a whole or not at all: its later pieces belong to what was accepted with the first.
    """
    try:
        frame = msgspec.msgpack.decode(data, type=_Envelope)
        header = msgspec.msgpack.decode(frame.header, type=Header)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise MessageInvalid("message_undecodable") from None
    return header.binding, header.piece == 0


class _Envelope(msgspec.Struct, frozen=True, array_like=True):
    """A frame of which only the header is of interest: the piece is not copied."""

    header: memoryview
    sealed: memoryview
    signature: memoryview
