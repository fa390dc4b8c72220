"""Messages <-> bytes: one closed, versioned table. Never pickle.

Encoding is MessagePack of the message's fields with its tag. Decoding accepts only the messages in `TABLE`, with
their exact fields and types, and arrays of the types in `ARRAY_TYPES`; everything else is `MessageInvalid`.
"""

from __future__ import annotations

import math
from typing import Any, Final, Union

import msgspec
import numpy as np

from federation import (
    align,
    align_oprf,
    audit_messages,
    boosting,
    collinearity,
    insight,
    kmeans,
    points,
    recall_messages,
    scorecard,
    scoring,
    session,
    shards_messages,
    woe_binning,
)
from federation.enterprise import exchange_messages as enterprise
from federation.messages import ARRAY_TYPES, Message
from privacy.errors import MessageInvalid

TABLE: Final[tuple[type[Message], ...]] = (
    *session.MESSAGES,
    *audit_messages.MESSAGES,
    *align.MESSAGES,
    *align_oprf.MESSAGES,
    *recall_messages.MESSAGES,
    *kmeans.MESSAGES,
    *insight.MESSAGES,
    *boosting.MESSAGES,
    *shards_messages.MESSAGES,
    *scoring.MESSAGES,
    *scorecard.MESSAGES,
    *points.MESSAGES,
    *woe_binning.MESSAGES,
    *collinearity.MESSAGES,
    *enterprise.MESSAGES,
)
MAX_MESSAGE_BYTES: Final = 1 << 30
"""A message over one gibibyte is refused before it is decoded."""
MOST_DIMENSIONS: Final = 8
"""The product of a shape with a hundred thousand of them would take minutes; no message has more than three."""


def _encode_array(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        if value.dtype.str not in ARRAY_TYPES:
            raise TypeError(value.dtype.str)
        return (value.dtype.str, value.shape, np.ascontiguousarray(value).tobytes())
    raise TypeError(type(value).__name__)


def _decode_array(_type: Any, value: Any) -> np.ndarray[Any, Any]:
    dtype, shape, data = value
    if dtype not in ARRAY_TYPES:
        raise ValueError("dtype")
    if len(shape) > MOST_DIMENSIONS or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise ValueError("shape")
    if math.prod(shape) * np.dtype(dtype).itemsize != len(data):
        raise ValueError("size")
    if dtype == "|b1" and len(data) and max(data) > 1:
        raise ValueError("bool")
    return np.frombuffer(data, dtype).reshape(shape)


_ENCODER: Final = msgspec.msgpack.Encoder(enc_hook=_encode_array)
_DECODER: Final = msgspec.msgpack.Decoder(Union[TABLE], dec_hook=_decode_array)  # noqa: UP007


def encode(message: Message) -> bytes:
    """The bytes of one message. Raises `MessageInvalid` when no recipient would take so many."""
    data = _ENCODER.encode(message)
    if len(data) > MAX_MESSAGE_BYTES:
        raise MessageInvalid("message_oversized", limit=MAX_MESSAGE_BYTES)
    return data


def decode(data: bytes) -> Message:
    """One message from its bytes. Raises `MessageInvalid` for anything that is not in the table."""
    if len(data) > MAX_MESSAGE_BYTES:
        raise MessageInvalid("message_oversized", limit=MAX_MESSAGE_BYTES)
    try:
        message: Message = _DECODER.decode(data)
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError):
        # The cause may quote the content: it stays behind.
        raise MessageInvalid("message_undecodable") from None
    return message


def tag_of(message: Message) -> str:
    """The message's name and version, for example `align.tokens/1`."""
    return str(message.__struct_config__.tag)
