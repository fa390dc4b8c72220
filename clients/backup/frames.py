"""The file of an archive: a header that anybody may read, then sealed frames, the last of which says that it is whole.

    magic, 8 bytes | length of the header, 4 | header | (length, 4 | frame) ...

A frame is AES-256-GCM (NIST SP 800-38D) under the archive's own key with its number as nonce, and the header's SHA-256
as associated data: a frame that is altered, moved, left out, repeated or of another archive does not open, and a file
that was cut off has no end. Inside, the first byte says what it is.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import IO, Annotated, Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Meta

from clients.vault import NONCE_BYTES
from federation.jobs import Name
from privacy.errors import ConfigInvalid, SealBroken

MAGIC: Final = b"SILHBK\x00\x01"
"""The last byte is the format's version."""
ARCHIVE_BYTES: Final = 16
MAX_HEADER_BYTES: Final = 4096
MAX_FRAME_BYTES: Final = 1 << 26
_LENGTH: Final = struct.Struct(">I")


class Kind(IntEnum):
    """What a frame holds: a description of the sections, something about nobody in particular, subjects, the end."""

    SECTIONS = 1
    GENERAL = 2
    SUBJECTS = 3
    END = 4


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """archive: random; node, fingerprint: whose it is; created: ISO 8601 in UTC."""

    archive: Annotated[bytes, Meta(min_length=ARCHIVE_BYTES, max_length=ARCHIVE_BYTES)]
    node: Name
    fingerprint: Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z")]
    created: Annotated[str, Meta(max_length=40)]


class FrameWriter:
    """Writes the header, then frames."""

    def __init__(self, stream: IO[bytes], header: Header, key: bytes) -> None:
        data = msgspec.msgpack.encode(header)
        self._stream, self._cipher, self._count = stream, AESGCM(key), 0
        self._bound = hashlib.sha256(MAGIC + data).digest()
        stream.write(MAGIC + _LENGTH.pack(len(data)) + data)

    def write(self, kind: Kind, content: bytes) -> None:
        """The next frame. Raises `ConfigInvalid` for one that no reader takes."""
        if len(content) >= MAX_FRAME_BYTES:
            raise ConfigInvalid("archive_record_large", limit=MAX_FRAME_BYTES)
        sealed = self._cipher.encrypt(_nonce(self._count), bytes([kind]) + content, self._bound)
        self._stream.write(_LENGTH.pack(len(sealed)) + sealed)
        self._count += 1

    def end(self) -> None:
        """The file is whole."""
        self.write(Kind.END, self._count.to_bytes(8, "big"))


class FrameReader:
    """Reads the header; `frames` raises `SealBroken` for what is not as it was written."""

    def __init__(self, stream: IO[bytes]) -> None:
        """Raises `ConfigInvalid` for a file that is no archive of this version."""
        self._stream = stream
        if stream.read(len(MAGIC)) != MAGIC:
            raise ConfigInvalid("archive_unknown")
        data = self._take(MAX_HEADER_BYTES)
        try:
            self.header = msgspec.msgpack.decode(data, type=Header)
        except (msgspec.MsgspecError, ValueError):
            raise SealBroken("archive_broken") from None
        self._bound = hashlib.sha256(MAGIC + data).digest()

    def frames(self, key: bytes) -> Iterator[tuple[Kind, bytes]]:
        """All frames but the last, which is checked."""
        cipher, count = AESGCM(key), 0
        while True:
            try:
                opened = cipher.decrypt(_nonce(count), self._take(MAX_FRAME_BYTES + 32), self._bound)
                kind = Kind(opened[0])
            except (InvalidTag, ValueError, IndexError):
                raise SealBroken("archive_broken") from None
            if kind is Kind.END:
                if opened[1:] != count.to_bytes(8, "big") or self._stream.read(1):
                    raise SealBroken("archive_broken")
                return
            yield kind, opened[1:]
            count += 1

    def _take(self, most: int) -> bytes:
        prefix = self._stream.read(_LENGTH.size)
        length = _LENGTH.unpack(prefix)[0] if len(prefix) == _LENGTH.size else most + 1
        data = self._stream.read(length) if length <= most else b""
        if not data or len(data) != length:
            raise SealBroken("archive_broken")
        return data


def _nonce(number: int) -> bytes:
    return number.to_bytes(NONCE_BYTES, "big")
