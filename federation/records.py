"""What a party stores of a protocol's result, and reads again: closed records as MessagePack, never pickle."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from privacy.errors import MessageInvalid

Record = TypeVar("Record", bound=msgspec.Struct)


def encode(record: msgspec.Struct) -> bytes:
    """The bytes of one record."""
    return msgspec.msgpack.encode(record)


def decode(kind: type[Record], data: bytes) -> Record:
    """Read what `encode` wrote of a record of this kind. Raises `MessageInvalid` when it is something else."""
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except msgspec.MsgspecError:
        # The cause may quote the content: it stays behind.
        raise MessageInvalid("record_unreadable", record=kind.__name__) from None
