"""A record with its party's signature over it, as the coordinator keeps it and hands it to an auditor. Sans-I/O.

The signature (Ed25519, RFC 8032) is over the coordinator's keys and the record's own bytes, under the domain of its
kind: what was said to one coordinator, or as one kind of record, is nothing to another and no other kind.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta

from privacy.errors import MessageInvalid
from privacy.sealing import SIGNATURE_BYTES, Identity, PublicIdentity

FRAME_BYTES: Final = 256
"""More than the signature and the frame around a record take."""
_Record = TypeVar("_Record")


class Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="desk.signed/1"):
    """data: MessagePack of the record, kept as it was signed."""

    data: bytes
    signature: Annotated[bytes, Meta(min_length=SIGNATURE_BYTES, max_length=SIGNATURE_BYTES)]


_SIGNED: Final = msgspec.msgpack.Decoder(Signed)


def sign_record(
    record: msgspec.Struct, identity: Identity, domain: str, coordinator: str, limit: int
) -> bytes:
    """The record with its signature. coordinator: its public keys as the roster has them; limit: bytes of the record.

    Raises `MessageInvalid` for one that is larger.
    """
    data = msgspec.msgpack.encode(record)
    if len(data) > limit:
        raise MessageInvalid("desk_record_large", limit=limit)
    signature = identity.sign_statement(domain, _statement(coordinator, data))
    return msgspec.msgpack.encode(Signed(data, signature))


def open_record(
    signed: bytes,
    decoder: msgspec.msgpack.Decoder[_Record],
    identity: PublicIdentity,
    domain: str,
    coordinator: str,
    limit: int,
) -> _Record:
    """The record that this party has signed. Raises `MessageInvalid`, `SignatureInvalid`."""
    if len(signed) > limit + FRAME_BYTES:
        raise MessageInvalid("desk_record_large", limit=limit)
    frame = parts_of(signed)
    identity.verify_statement(frame.signature, domain, _statement(coordinator, frame.data))
    try:
        return decoder.decode(frame.data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise MessageInvalid("desk_record") from None


def parts_of(signed: bytes) -> Signed:
    """The record's bytes and the signature over them, unchecked. Raises `MessageInvalid`."""
    try:
        return _SIGNED.decode(signed)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise MessageInvalid("desk_record") from None


def _statement(coordinator: str, data: bytes) -> bytes:
    return msgspec.msgpack.encode((coordinator, data))
