"""What an audit log keeps beside its events, a record a line: own checkpoints, cosignatures, others' checkpoints."""

from __future__ import annotations

from typing import Any

import msgspec
import rfc8785

from privacy.checkpoints import Checkpoint, Cosignature, LogSize


class Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="checkpoint"):
    """A checkpoint of one's own log."""

    checkpoint: Checkpoint


class Cosigned(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="cosignature"):
    """A witness's signature over one's own checkpoint of `size` events."""

    size: LogSize
    cosignature: Cosignature


class Witnessed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another's signed checkpoint, and this party's cosignature; None: refused, because it does not fit what was shown
    before. With the last one before it, a refused one is what proves a split view."""

    checkpoint: Checkpoint
    cosignature: Cosignature | None


OwnRecord = Signed | Cosigned


def canonical(record: Any) -> bytes:
    """A record, or plain data with records in it, in RFC 8785 canonical JSON; bytes are in base64."""
    return rfc8785.dumps(msgspec.to_builtins(record))


def from_line(line: bytes, kind: Any) -> Any:
    """Inverse of `canonical`. Raises `ValueError` for what is not a canonical record of this kind."""
    record = msgspec.json.decode(line, type=kind)
    if canonical(record) != line:
        raise ValueError("not canonical")
    return record
