"""Batched AES-256-CMAC against the standard's examples and against the library's one-message CMAC."""

import pickle
import re

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.cmac import CMAC
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy import cmac
from privacy.cmac import BatchCmac
from privacy.errors import CryptoError

# NIST SP 800-38B, appendix D.3 (AES-256), and the same key's examples 10 to 12.
KEY = bytes.fromhex("603deb1015ca71be2b73aef0857d7781 1f352c073b6108d72d9810a30914dff4")
MESSAGE = bytes.fromhex(
    "6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52ef f69f2445df4f9b17ad2b417be66c3710"
)
EXAMPLES = {
    0: "028962f61b7bf89efc6b551f4667d983",
    16: "28a7023f452e8f82bd4bf28d8c37c35c",
    40: "aaf3d8f1de5640c232f5b169b9c911e6",
    64: "e1992190549f6ed5696a2c056c315410",
}


def one_by_one(key, messages, prefix=b""):
    digests = []
    for message in messages:
        single = CMAC(algorithms.AES(key))
        single.update(prefix + message)
        digests.append(single.finalize())
    return digests


def as_bytes(digests):
    return [row.tobytes() for row in digests]


@pytest.mark.parametrize("length", EXAMPLES)
def test_the_examples_of_the_standard(length):
    rows = np.frombuffer(MESSAGE[:length], np.uint8).reshape(1, length)
    assert BatchCmac(KEY).digest_rows(rows).tobytes().hex() == EXAMPLES[length]
    assert BatchCmac(KEY).digest(np.array([b""], "S1"), MESSAGE[:length]).tobytes().hex() == EXAMPLES[length]
    if length:
        padded = np.array([MESSAGE[:length]], "S80")
        assert BatchCmac(KEY).digest(padded).tobytes().hex() == EXAMPLES[length]


messages_ = st.lists(st.binary(max_size=70).map(lambda data: data.replace(b"\x00", b"\x01")), max_size=12)


@settings(deadline=None)
@given(st.binary(min_size=32, max_size=32), messages_, st.binary(max_size=40), st.integers(1, 4))
def test_equals_the_library_at_every_length(key, messages, prefix, rows_at_once):
    width = max([1, *map(len, messages)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cmac, "_ROWS_AT_ONCE", rows_at_once)
        digests = BatchCmac(key).digest(np.array(messages, f"S{width}"), prefix)
    assert digests.shape == (len(messages), 16)
    assert as_bytes(digests) == one_by_one(key, messages, prefix)


@given(st.lists(st.binary(min_size=5, max_size=5), min_size=1, max_size=8))
def test_rows_keep_their_zero_bytes(rows):
    array = np.frombuffer(b"".join(rows), np.uint8).reshape(-1, 5)
    assert as_bytes(BatchCmac(KEY).digest_rows(array)) == one_by_one(KEY, rows)


def test_a_strided_column_and_an_empty_one():
    column = np.array([b"13800000001", b"x", b"13800000002", b"y"], "S11")
    assert as_bytes(BatchCmac(KEY).digest(column[::2])) == one_by_one(KEY, column[::2].tolist())
    assert BatchCmac(KEY).digest(column[:0], b"p").shape == (0, 16)


def test_a_key_of_another_length_is_refused_and_none_is_shown_or_pickled():
    with pytest.raises(CryptoError) as caught:
        BatchCmac(KEY[:16])
    assert caught.value.key == "align_key_length"
    function = BatchCmac(KEY)
    assert re.fullmatch(r"\w+\(\.\.\.\)", repr(function))
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(function)
