"""The wire: every message of the table survives it, nothing else does, and no error quotes what came."""

import re
import traceback
import typing
from enum import Enum
from types import NoneType, UnionType

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from msgspec import Meta

from federation import wire
from federation.align import Matched, MatchingKey, TokenPart
from federation.boosting_messages import Level
from federation.messages import ARRAY_TYPES, Message
from federation.session import MatchRelease, StageFailed
from privacy.errors import MessageInvalid
from privacy.texts import LANGUAGES

ARRAYS = st.sampled_from(sorted(ARRAY_TYPES)).flatmap(
    lambda dtype: hnp.arrays(
        np.dtype(dtype), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5)
    )
)
SIMPLE = {
    str: st.text(max_size=20),
    int: st.integers(-(2**63), 2**64 - 1),
    float: st.floats(allow_nan=False),
    bool: st.booleans(),
    bytes: st.binary(max_size=50),
    NoneType: st.none(),
}


def limited(hint, meta):
    """Values of a hint that its declared limits let through."""
    if meta.pattern is not None:
        return st.from_regex(meta.pattern)
    if hint is int:
        return st.integers(meta.ge, meta.le if meta.lt is None else meta.lt - 1)
    shortest, longest = meta.min_length or 0, meta.max_length
    if hint is bytes:
        return st.binary(min_size=shortest, max_size=longest)
    if hint is str:
        return st.text(min_size=shortest, max_size=min(longest, shortest + 20))
    return st.lists(values_of(typing.get_args(hint)[0]), min_size=shortest, max_size=3).map(tuple)


def values_of(hint):
    """Hypothesis values for one type hint of a message."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return limited(arguments[0], hint.__metadata__[0])
    if hint in SIMPLE or origin is np.ndarray:
        return SIMPLE.get(hint, ARRAYS)
    if origin is dict:
        return st.dictionaries(*map(values_of, arguments), max_size=3)
    if origin is tuple:
        endless = arguments[-1] is Ellipsis
        return limited(hint, Meta(max_length=3)) if endless else st.tuples(*map(values_of, arguments))
    if origin in (typing.Union, UnionType):
        return st.one_of(*map(values_of, arguments))
    assert isinstance(hint, type), hint
    return st.sampled_from(hint) if issubclass(hint, Enum) else messages_of(hint)


def messages_of(kind):
    hints = typing.get_type_hints(kind, include_extras=True)
    return st.builds(kind, **{name: values_of(hints[name]) for name in kind.__struct_fields__})


def same(one, other):
    """Equality with array dtypes and shapes, and with the types of numbers."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        equal = np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
        return one.dtype == other.dtype and one.shape == other.shape and equal
    if isinstance(one, msgspec.Struct):
        return all(same(getattr(one, name), getattr(other, name)) for name in one.__struct_fields__)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return one == other


def refuses(data, key="message_undecodable", hidden=()):
    with pytest.raises(MessageInvalid) as caught:
        wire.decode(data)
    assert caught.value.key == key
    told = [caught.value.render(language) for language in LANGUAGES]
    told += [repr(caught.value), "".join(traceback.format_exception(caught.value, limit=0))]
    assert not [text for text in told for secret in hidden if secret in text]


def packed(tag, **fields):
    return msgspec.msgpack.encode({"type": tag, **fields})


def matched(dtype, shape, data):
    return packed("align.matched/2", pieces=1, piece=0, positions=(dtype, shape, data))


# --- what the table holds


@pytest.mark.parametrize("kind", wire.TABLE, ids=lambda kind: kind.__struct_config__.tag)
@settings(max_examples=25)
@given(data=st.data())
def test_every_message_survives(kind, data):
    message = data.draw(messages_of(kind))
    assert same(wire.decode(wire.encode(message)), message)


def test_tags_are_unique_and_versioned():
    tags = [kind.__struct_config__.tag for kind in wire.TABLE]
    assert len(set(tags)) == len(tags)
    assert not [tag for tag in tags if not re.fullmatch(r"[a-z_]+\.[a-z_]+/[1-9][0-9]*", tag)]


def test_every_message_that_is_defined_is_in_the_table():
    ours = {kind for kind in Message.__subclasses__() if kind.__module__.startswith("federation.")}
    assert ours == set(wire.TABLE)
    assert not [kind for kind in wire.TABLE if kind.__subclasses__()]


def test_all_messages_are_closed_and_frozen():
    for kind in wire.TABLE:
        config = kind.__struct_config__
        assert config.frozen, kind
        assert config.forbid_unknown_fields, kind
        assert config.tag_field == "type", kind


def test_tag_of_names_the_message():
    assert wire.tag_of(TokenPart(part=0, tokens=b"")) == "align.tokens/2"


def test_decoded_arrays_cannot_be_written():
    message = wire.decode(wire.encode(Matched(pieces=1, piece=0, positions=np.arange(3, dtype="<u4"))))
    assert not message.positions.flags.writeable


@pytest.mark.parametrize(
    "array",
    [np.arange(12, dtype="<i4").reshape(3, 4).T, np.arange(10, dtype="<i4")[::-2], np.array(5, "<i4")],
)
def test_arrays_of_any_memory_layout_survive(array):
    message = wire.decode(wire.encode(Matched(pieces=1, piece=0, positions=array)))
    assert same(message.positions, array)


@pytest.mark.parametrize(
    "array",
    [
        np.array([object()]),
        np.array(["a"]),
        np.array([b"a"]),
        np.zeros(2, ">i4"),
        np.zeros(2, "<f4"),
        np.zeros(2, "<c16"),
        np.zeros(2, "M8[s]"),
        np.zeros(2, [("a", "<i4")]),
    ],
    ids=lambda array: array.dtype.str,
)
def test_other_arrays_are_not_sent(array):
    with pytest.raises(TypeError):
        wire.encode(Matched(pieces=1, piece=0, positions=array))


def test_other_objects_are_not_sent():
    with pytest.raises(TypeError):
        wire.encode(StageFailed(code="x", texts={"en": object()}))


# --- what is refused


@pytest.mark.parametrize(
    "data",
    [
        packed("align.tokens/1", tokens=b"canary"),
        packed("canary", tokens=b""),
        packed(7, tokens=b"canary"),
        packed(None),
        msgspec.msgpack.encode({"tokens": b"canary"}),
        msgspec.msgpack.encode(["align.tokens/2", b"canary"]),
        msgspec.msgpack.encode("canary"),
        msgspec.msgpack.encode(None),
        b"",
    ],
)
def test_an_unknown_message_refuses(data):
    refuses(data, hidden=["canary"])


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"tokens": b"", "canary": 1},
        {"tokens": "canary"},
        {"tokens": 5},
        {"tokens": None},
        {"tokens": [1, 2]},
        {"token": b"canary"},
        {"tokens": b"canary", "part": "0"},
    ],
)
def test_missing_unknown_and_mistyped_fields_refuse(fields):
    refuses(packed("align.tokens/2", **({"part": 0} | fields)), hidden=["canary"])


ATTESTED = {
    "policy": "a" * 64,
    "schema": "b" * 64,
    "snapshot": "c" * 64,
    "agreements": ["provide-1"],
    "pipia": "pipia-1",
}


@pytest.mark.parametrize(
    "changes",
    [
        {"policy": ""},
        {"policy": "A" * 64},
        {"policy": "a" * 63},
        {"policy": "a" * 64 + "\n"},
        {"schema": "canary"},
        {"snapshot": "c" * 65},
        {"snapshot": "canary"},
        {"agreements": [f"a{number}" for number in range(65)]},
        {"agreements": ["canary of somebody"]},
        {"agreements": ["13900000007" * 6]},
        {"pipia": ""},
        {"pipia": "the canary assessment"},
    ],
)
def test_attestations_hold_digests_and_ids_and_nothing_else(changes):
    for snapshot in ("", "c" * 64):
        wire.decode(packed("session.attestation/1", **ATTESTED | {"snapshot": snapshot}))
    refuses(packed("session.attestation/1", **ATTESTED | changes), hidden=["canary", "139"])


def test_numbers_are_not_converted():
    good = {"rows": 1, "eligible": 1, "matched": 1, "funnel": [["a", None]]}
    assert wire.decode(packed("session.match_release/1", **good)).funnel == (("a", None),)
    for name, value in (
        ("rows", 1.5),
        ("rows", "1"),
        ("rows", True),
        ("funnel", [["a"]]),
        ("funnel", [[1, 1]]),
    ):
        refuses(packed("session.match_release/1", **{**good, name: value}))


@pytest.mark.parametrize(
    "dtype", ["|O", "O", "<f4", ">i4", "|S4", "<U1", "<M8[s]", "|V4", "i4", "canary", "", 4, None]
)
def test_an_array_of_another_type_refuses(dtype):
    refuses(matched(dtype, (1,), b"\x00" * 4), hidden=["canary"])


@pytest.mark.parametrize(
    "shape",
    [
        (2,),
        (0,),
        (1, 2),
        (-1,),
        (-1, -1),
        (1, -1),
        (1.0,),
        ("1",),
        (None,),
        1,
        "1",
        None,
        {1: 1},
        (2**63, 0),
        (2**64 - 1, 0),
        (2**62, 2**62, 0),
        (1,) * 70,
    ],
)
def test_an_array_whose_shape_does_not_fit_refuses(shape):
    refuses(matched("<i4", shape, b"\x00" * 4))


@pytest.mark.parametrize("shape", [(2**63, 0), (2**64 - 1, 0), (2**62, 2**62, 0), (0,) * 70])
def test_an_empty_array_of_impossible_shape_refuses(shape):
    refuses(matched("<i4", shape, b""))


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (0, 0)])
def test_an_honest_empty_array_survives(shape):
    assert wire.decode(matched("<i4", shape, b"")).positions.shape == shape


@pytest.mark.parametrize("data", ["canary!!", [0, 0, 0, 0], None, 5, {"canary": 1}])
def test_array_data_other_than_bytes_refuses(data):
    refuses(matched("<i4", (1,), data), hidden=["canary"])


@pytest.mark.parametrize("value", [None, [], ["<i4", [1]], ["<i4", [1], b"\x00" * 4, 0], "canary", {}, 3])
def test_anything_else_in_the_place_of_an_array_refuses(value):
    refuses(packed("align.matched/2", pieces=1, piece=0, positions=value), hidden=["canary"])


@pytest.mark.parametrize("byte", [2, 127, 128, 255])
def test_booleans_are_zero_or_one(byte):
    fields = {"tree": 0, "level": 0, "left": b"", "ask": ["|b1", [0], b""]}
    good = wire.decode(packed("boosting.level/1", **fields, split=["|b1", [2], b"\x00\x01"]))
    assert isinstance(good, Level)
    assert good.split.tolist() == [False, True]
    refuses(packed("boosting.level/1", **fields, split=["|b1", [2], bytes([1, byte])]))


def test_every_truncation_refuses():
    whole = wire.encode(
        MatchRelease(rows=900, eligible=800, matched=70, funnel=(("duplicate", 3), ("canary", None)))
    )
    for length in range(len(whole)):
        refuses(whole[:length], hidden=["canary"])
    refuses(whole + b"\x00", hidden=["canary"])


@settings(max_examples=300)
@given(data=st.binary(max_size=100))
def test_garbage_refuses(data):
    refuses(data)


@settings(max_examples=300)
@given(place=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_a_changed_byte_refuses_or_is_another_message(place, byte):
    whole = bytearray(wire.encode(Matched(pieces=1, piece=0, positions=np.arange(5, dtype="<u4"))))
    whole[place % len(whole)] = byte
    try:
        message = wire.decode(bytes(whole))
    except MessageInvalid:
        return
    assert isinstance(message, wire.TABLE)


POSITIONS = b"\x84\xa4type\xafalign.matched/2\xa6pieces\x01\xa5piece\x00\xa9positions"


@pytest.mark.parametrize(
    "content",
    [
        b"\x91" * 200_000,
        b"\x81\xa1a" * 200_000,
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xa2\xff\xfe",
        b"\xc7\x0c\xff" + b"\xff" * 12,
        b"\xd4\x05\x00",
        b"\x93\xa3<i4\x91\x01\xd4\x05\x00",
    ],
    ids=[
        "deep-list",
        "deep-map",
        "huge-list",
        "huge-map",
        "huge-bytes",
        "no-utf8",
        "no-time",
        "extension",
        "data",
    ],
)
def test_hostile_encodings_refuse(content):
    refuses(POSITIONS + content)


def test_text_that_is_no_utf8_refuses():
    refuses(b"\x83\xa4type\xabalign.key/2\xa4kind\xa2\xff\xfe\xa3key\xc4\x00")


def test_an_oversize_message_refuses_before_it_is_decoded(monkeypatch):
    data = wire.encode(TokenPart(part=0, tokens=bytes(100)))
    monkeypatch.setattr(wire, "MAX_MESSAGE_BYTES", len(data))
    assert wire.decode(data)
    monkeypatch.setattr(wire, "MAX_MESSAGE_BYTES", len(data) - 1)
    refuses(data, key="message_oversized")
    with pytest.raises(MessageInvalid):
        wire.encode(TokenPart(part=0, tokens=bytes(100)))


def test_a_key_is_not_shown():
    assert "\\x07" not in repr(MatchingKey(kind="phone", key=b"\x07" * 32))
