"""Keyed tokens and references against the library's CMAC and an HKDF written out."""

import hashlib
import hmac

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.cmac import CMAC
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy import joining, matching
from privacy.errors import ConfigInvalid, CryptoError, IdentifierInvalid

KEY = bytes(range(32))
spellings = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=30)


def column(*items):
    encoded = [item.encode() for item in items]
    return np.array(encoded, f"S{max([1, *map(len, encoded)])}")


def subkey(key, info):
    # RFC 5869 with an empty salt: extract, then one block of expand.
    return hmac.digest(hmac.digest(bytes(32), key, hashlib.sha256), info + b"\x01", hashlib.sha256)


def cmac(key, message):
    single = CMAC(algorithms.AES(key))
    single.update(message)
    return single.finalize()


@settings(deadline=None)
@given(st.binary(min_size=32, max_size=32), st.lists(spellings, unique=True, max_size=20))
def test_tokens_are_sorted_cmacs_under_a_derived_key(key, identifiers):
    derived = subkey(key, b"silhouette matching token v2")
    expected = [cmac(derived, b"phone\x00" + one.encode()) for one in identifiers]
    tokens = matching.keyed_tokens(key, "phone", column(*identifiers))
    assert joining.dump(tokens) == b"".join(expected)
    blinded = matching.blind(key, "phone", column(*identifiers))
    assert joining.dump(blinded.tokens) == b"".join(sorted(expected))
    assert [expected[row] for row in blinded.rows] == sorted(expected)


def test_references_are_cmacs_of_the_tokens_under_another_derived_key():
    tokens = matching.blind(KEY, "phone", column("a", "b", "c")).tokens
    tokens[1, 1] &= np.uint64(0xFFFFFFFFFFFF0000)  # a token that ends in zero bytes is hashed whole
    derived = subkey(KEY, b"silhouette subject reference v2")
    data = joining.dump(tokens)
    expected = b"".join(cmac(derived, data[at : at + 16]) for at in (0, 16, 32))
    references = matching.subject_refs(KEY, tokens)
    assert references.shape == (3, matching.REFERENCE_BYTES)
    assert references.tobytes() == expected
    assert matching.subject_refs(KEY, tokens[:0]).shape == (0, matching.REFERENCE_BYTES)


def test_keys_and_kinds_are_separate_and_width_is_not():
    tokens = matching.keyed_tokens(KEY, "phone", column("13800000001"))
    wide = matching.keyed_tokens(KEY, "phone", column("13800000001").astype("S40"))
    assert (tokens == wide).all()
    others = [(KEY[::-1], "phone"), (KEY, "card"), (KEY, "phone1")]
    for key, kind in others:
        assert (matching.keyed_tokens(key, kind, column("13800000001")) != tokens).all()


def test_new_keys_differ():
    keys = {matching.new_key() for _ in range(8)}
    assert len(keys) == 8
    assert {len(key) for key in keys} == {matching.KEY_BYTES}


def test_bad_inputs_are_refused():
    with pytest.raises(IdentifierInvalid) as repeated:
        matching.blind(KEY, "phone", column("x", "y", "x", "x"))
    assert repeated.value.values == {"count": 2}
    for function in (matching.blind, matching.keyed_tokens):
        with pytest.raises(CryptoError) as short:
            function(KEY[:31], "phone", column("x"))
        assert short.value.key == "align_key_length"
        for kind in ("", "a\x00b"):
            with pytest.raises(ConfigInvalid) as unusable:
                function(KEY, kind, column("x"))
            assert unusable.value.key == "align_kind_invalid"
    with pytest.raises(CryptoError):
        matching.subject_refs(KEY[:31], np.zeros((1, 2), np.uint64))
