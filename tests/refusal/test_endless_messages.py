"""Small messages that would take endless work to refuse are refused at once."""

import time

import msgspec
import pytest

from federation import wire
from federation.frames import binding_of
from privacy.errors import MessageInvalid

MOST_SECONDS = 2.0
"""Of computing; the shape below took three quarters of a minute before its length was looked at."""


def withdrawn(shape, data=b""):
    """`RowsWithdrawn` with an array of this shape."""
    return msgspec.msgpack.encode(
        {"type": "session.rows_withdrawn/1", "positions": ["<u4", shape, data], "rematch": False}
    )


@pytest.mark.parametrize("last", [0, 1, 2**63])
def test_a_shape_of_a_hundred_thousand_dimensions(last):
    started = time.process_time()
    with pytest.raises(MessageInvalid):
        wire.decode(withdrawn([2**63] * 100_000 + [last]))
    assert time.process_time() - started < MOST_SECONDS


def test_the_most_dimensions_are_still_an_array():
    assert wire.decode(withdrawn([1] * wire.MOST_DIMENSIONS, bytes(4))).positions.ndim == wire.MOST_DIMENSIONS
    with pytest.raises(MessageInvalid):
        wire.decode(withdrawn([1] * (wire.MOST_DIMENSIONS + 1), bytes(4)))


def test_a_frame_nested_without_end_is_no_frame_at_the_relay():
    nested = b"\x94" + b"\xc4\x00" * 3 + b"\x91" * 200_000 + b"\x90"
    with pytest.raises(MessageInvalid) as caught:
        binding_of(nested)
    assert caught.value.key == "message_undecodable"
