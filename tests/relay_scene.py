"""Frames as the relay sees them, for tests: a header that it reads and content that it does not."""

import msgspec

from federation.frames import FRAME_VERSION, Frame, Header


def framed(content, *, binding=b"", piece=0, pieces=1):
    """A frame with this content, which nobody has sealed or signed."""
    header = Header(FRAME_VERSION, "s1", "d" * 64, "bank", "shop", 1, 1, piece, pieces, binding)
    return msgspec.msgpack.encode(Frame(msgspec.msgpack.encode(header), content, b""))


def content_of(frame):
    """Inverse of `framed`."""
    return msgspec.msgpack.decode(frame, type=Frame).sealed
