"""The offline verifier's own Ed25519 against RFC 8032's test vectors and against the library that signs."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from federation.audit_bundle import _holds
from federation.standalone.verify import ed25519_holds

# RFC 8032, section 7.1: TEST 1, 2, 3 and SHA(abc): secret key, public key, message, signature.
VECTORS = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
        "d25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
        "387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
        "4a7c15e9716ed28dc027beceea1ec40a",
    ),
    (
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd"
        "454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e030"
        "3dca179c138ac17ad9bef1177331a704",
    ),
]
ORDER = 2**252 + 27742317777372353535851937790883648493
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()


@pytest.mark.parametrize(("secret", "public", "message", "signature"), VECTORS)
def test_the_standards_vectors(secret, public, message, signature):
    key, signed, made = (bytes.fromhex(text) for text in (public, message, signature))
    assert Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret)).sign(signed) == made
    assert ed25519_holds(key, made, signed)
    assert not ed25519_holds(key, made, signed + b"\x00")
    for place in range(64):
        changed = bytearray(made)
        changed[place] ^= 1
        assert not ed25519_holds(key, bytes(changed), signed)


@given(message=st.binary(max_size=200), place=st.integers(0, 8 * 96 - 1))
def test_it_agrees_with_the_library(message, place):
    signature = KEY.sign(message)
    assert ed25519_holds(PUBLIC, signature, message)
    both = bytearray(PUBLIC + signature)
    both[place // 8] ^= 1 << place % 8
    key, changed = bytes(both[:32]), bytes(both[32:])
    assert not ed25519_holds(key, changed, message)
    assert not _holds(key, changed, message)


def test_a_scalar_beyond_the_order_is_refused():
    """RFC 8032, section 5.1.7: otherwise a second signature could be made of every one."""
    signature = KEY.sign(b"text")
    scalar = int.from_bytes(signature[32:], "little") + ORDER
    again = signature[:32] + scalar.to_bytes(32, "little")
    assert not ed25519_holds(PUBLIC, again, b"text")
    assert not _holds(PUBLIC, again, b"text")


@pytest.mark.parametrize(
    ("key", "signature"),
    [
        (PUBLIC[:-1], KEY.sign(b"")),
        (PUBLIC, KEY.sign(b"")[:-1]),
        (b"", b""),
        (b"\xff" * 32, KEY.sign(b"")),  # no coordinate
        (b"\x02" + bytes(31), KEY.sign(b"")),  # not on the curve
        (b"\x01" + bytes(30) + b"\x80", KEY.sign(b"")),  # x = 0 with a sign
    ],
)
def test_what_is_no_key_or_signature_is_refused(key, signature):
    assert not ed25519_holds(key, signature, b"")
    assert not _holds(key, signature, b"")
