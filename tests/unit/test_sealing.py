"""Sealing and signatures: what is changed, moved or addressed to somebody else does not open."""

import base64
import hashlib
import hmac

import pytest
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from hypothesis import example, given
from hypothesis import strategies as st

from privacy.errors import SealBroken, SignatureInvalid
from privacy.sealing import KEY_BYTES, SIGNATURE_BYTES, Identity, PublicIdentity

OWN = Identity.generate()
OTHER = Identity.generate()
CONTEXT = b"session 1, frame 7"
PLAIN = b"the quick brown fox"
SEALED = OWN.public.seal(PLAIN, CONTEXT)
SIGNATURE = OWN.sign(CONTEXT, SEALED)


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@given(plain=st.binary(max_size=300), context=st.binary(max_size=100))
def test_what_is_sealed_opens_in_its_context(plain, context):
    sealed = OWN.public.seal(plain, context)
    assert OWN.open(sealed, context) == plain
    OWN.public.verify(OWN.sign(context, sealed), context, sealed)


def test_sealing_is_randomised():
    assert OWN.public.seal(PLAIN, CONTEXT) != OWN.public.seal(PLAIN, CONTEXT)
    assert PLAIN not in SEALED


@given(bit=st.integers(0, 8 * len(SEALED) - 1))
@example(bit=255)  # X25519 ignores this bit of the sender's point; the key schedule does not
def test_a_flipped_bit_of_the_sealed_data_refuses(bit):
    with pytest.raises(SealBroken):
        OWN.open(flipped(SEALED, bit), CONTEXT)


@given(length=st.integers(0, len(SEALED) - 1))
def test_truncated_sealed_data_refuses(length):
    with pytest.raises(SealBroken):
        OWN.open(SEALED[:length], CONTEXT)


@pytest.mark.parametrize(
    "sealed",
    [bytes(48), bytes(64), b"\xff" * 64, SEALED + b"\x00"],
    ids=["too short", "zeros", "ones", "one byte more"],
)
def test_degenerate_sealed_data_refuses(sealed):
    with pytest.raises(SealBroken):
        OWN.open(sealed, CONTEXT)


@given(context=st.binary(max_size=40).filter(lambda context: context != CONTEXT))
def test_another_context_refuses(context):
    with pytest.raises(SealBroken):
        OWN.open(SEALED, context)
    with pytest.raises(SignatureInvalid):
        OWN.public.verify(SIGNATURE, context, SEALED)


def test_another_key_refuses():
    with pytest.raises(SealBroken):
        OTHER.open(SEALED, CONTEXT)
    with pytest.raises(SignatureInvalid):
        OTHER.public.verify(SIGNATURE, CONTEXT, SEALED)


@given(bit=st.integers(0, 8 * SIGNATURE_BYTES - 1))
def test_a_flipped_bit_of_the_signature_refuses(bit):
    with pytest.raises(SignatureInvalid):
        OWN.public.verify(flipped(SIGNATURE, bit), CONTEXT, SEALED)


@given(bit=st.integers(0, 8 * len(SEALED) - 1))
def test_a_signature_is_bound_to_its_payload(bit):
    with pytest.raises(SignatureInvalid):
        OWN.public.verify(SIGNATURE, CONTEXT, flipped(SEALED, bit))


def test_the_boundary_between_context_and_payload_is_signed():
    signature = OWN.sign(b"ab", b"c")
    for context, sealed in ((b"a", b"bc"), (b"abc", b""), (b"", b"abc")):
        with pytest.raises(SignatureInvalid):
            OWN.public.verify(signature, context, sealed)


@pytest.mark.parametrize(
    "signature",
    [b"", bytes(SIGNATURE_BYTES), SIGNATURE[:-1], SIGNATURE + b"\x00"],
    ids=["none", "zeros", "one byte less", "one byte more"],
)
def test_a_signature_of_the_wrong_size_or_of_zeros_refuses(signature):
    with pytest.raises(SignatureInvalid):
        OWN.public.verify(signature, CONTEXT, SEALED)


def test_a_signature_is_not_valid_for_the_bare_bytes():
    """The signed text has a domain of its own: a frame's signature is worth nothing elsewhere."""
    key = Ed25519PublicKey.from_public_bytes(OWN.public.verify_key)
    for text in (CONTEXT + SEALED, SEALED, CONTEXT + hashlib.sha256(SEALED).digest()):
        with pytest.raises(InvalidSignature):
            key.verify(SIGNATURE, text)
    signed = b"silhouette frame v1\x00" + len(CONTEXT).to_bytes(4, "big") + CONTEXT
    key.verify(SIGNATURE, signed + hashlib.sha256(SEALED).digest())


def test_nothing_that_is_shown_holds_a_secret():
    secret = OWN.to_bytes()
    halves = (secret[:KEY_BYTES], secret[KEY_BYTES:], secret)
    forms = [
        form
        for half in halves
        for form in (
            half.hex(),
            repr(half),
            base64.b64encode(half).decode(),
            str(int.from_bytes(half, "big")),
        )
    ]
    shown = f"{OWN} {OWN!r} {[OWN]} {OWN.public} {OWN.public.to_text()} {OWN.public.fingerprint}"
    assert not [form for form in forms if form in shown]
    assert repr(OWN) == f"Identity({OWN.public.fingerprint})"


def test_errors_hold_no_content():
    with pytest.raises(SealBroken) as caught:
        OWN.open(flipped(SEALED, 300), CONTEXT)
    assert caught.value.values == {}
    assert caught.value.__cause__ is None


def test_identity_survives_storage():
    again = Identity.from_bytes(OWN.to_bytes())
    assert again.public == OWN.public
    assert again.open(SEALED, CONTEXT) == PLAIN


@pytest.mark.parametrize("length", [0, 31, 32, 63, 65, 96])
def test_stored_keys_of_another_length_are_refused(length):
    with pytest.raises(ValueError):  # noqa: PT011 (the text is the library's)
        Identity.from_bytes(bytes(range(length)))


def test_public_identity_survives_a_roster():
    assert PublicIdentity.from_text(OWN.public.to_text()) == OWN.public


def test_a_sealing_key_of_small_order_is_refused():
    weak = PublicIdentity(OWN.public.verify_key, bytes(32))
    with pytest.raises(ValueError, match="key"):
        PublicIdentity.from_text(weak.to_text())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "AAAA",
        "not base64!",
        base64.b64encode(bytes(63)).decode(),
        base64.b64encode(bytes(65)).decode(),
        "é",
    ],
)
def test_a_public_identity_of_another_size_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 (the text is the library's)
        PublicIdentity.from_text(text)


def test_fingerprints_differ_with_either_key():
    mixed = PublicIdentity(OWN.public.verify_key, OTHER.public.seal_key)
    assert len({OWN.public.fingerprint, OTHER.public.fingerprint, mixed.fingerprint}) == 3
    assert len(OWN.public.fingerprint) == 16


# --- RFC 9180: other implementations open what we seal


def x25519_key() -> tuple[X25519PrivateKey, PublicIdentity]:
    key = X25519PrivateKey.generate()
    signing = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    return key, PublicIdentity(signing, key.public_key().public_bytes_raw())


def test_the_suite_of_cryptography_opens_it():
    key, public = x25519_key()
    suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    assert suite.decrypt(public.seal(PLAIN, CONTEXT), key, info=CONTEXT) == PLAIN


@pytest.mark.parametrize("aead", [AEAD.AES_128_GCM, AEAD.CHACHA20_POLY1305])
def test_another_suite_does_not_open_it(aead):
    key, public = x25519_key()
    with pytest.raises(InvalidTag):
        Suite(KEM.X25519, KDF.HKDF_SHA256, aead).decrypt(public.seal(PLAIN, CONTEXT), key, info=CONTEXT)


def _extract(salt: bytes, suite: bytes, label: bytes, ikm: bytes) -> bytes:
    """LabeledExtract of RFC 9180, section 4."""
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + ikm, "sha256")


def _expand(secret: bytes, suite: bytes, label: bytes, info: bytes, length: int) -> bytes:
    """LabeledExpand of RFC 9180, section 4; one block of HKDF-Expand is enough."""
    labeled = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    return hmac.digest(secret, labeled + b"\x01", "sha256")[:length]


def open_by_hand(sealed: bytes, key: X25519PrivateKey, info: bytes) -> bytes:
    """RFC 9180 base mode, sections 4.1 and 5.1, for DHKEM(X25519), HKDF-SHA256, AES-256-GCM."""
    kem = b"KEM" + (0x0020).to_bytes(2, "big")
    suite = b"HPKE" + b"".join(number.to_bytes(2, "big") for number in (0x0020, 0x0001, 0x0002))
    enc, ciphertext = sealed[:KEY_BYTES], sealed[KEY_BYTES:]
    dh = key.exchange(X25519PublicKey.from_public_bytes(enc))
    kem_context = enc + key.public_key().public_bytes_raw()
    shared = _expand(_extract(b"", kem, b"eae_prk", dh), kem, b"shared_secret", kem_context, 32)
    context = b"\x00" + _extract(b"", suite, b"psk_id_hash", b"") + _extract(b"", suite, b"info_hash", info)
    secret = _extract(shared, suite, b"secret", b"")
    nonce = _expand(secret, suite, b"base_nonce", context, 12)
    return AESGCM(_expand(secret, suite, b"key", context, 32)).decrypt(nonce, ciphertext, b"")


@given(plain=st.binary(max_size=100), info=st.binary(max_size=50))
def test_a_plain_reading_of_the_rfc_opens_it(plain, info):
    key, public = x25519_key()
    assert open_by_hand(public.seal(plain, info), key, info) == plain
