"""The curve against its standards' vectors and against libsodium's own Elligator."""

import hashlib

import numpy as np
import pytest
from curve_reference import PRIME, clamped, encoded, ladder, on_curve
from gmpy2 import mpz
from nacl.bindings import crypto_core_ed25519_from_uniform

from privacy import curve

# RFC 9380, appendix J.4.2: message, u[0], Q.x (before the cofactor is cleared), P.x.
DOMAIN = b"QUUX-V01-CS02-with-curve25519_XMD:SHA-512_ELL2_NU_"
HASHED = [
    (
        b"",
        "608d892b641f0328523802a6603427c26e55e6f27e71a91a478148d45b5093cd",
        "51125222da5e763d97f3c10fcc92ea6860b9ccbbd2eb1285728f566721c1e65b",
        "1bb913f0c9daefa0b3375378ffa534bda5526c97391952a7789eb976edfe4d08",
    ),
    (
        b"abc",
        "46f5b22494bfeaa7f232cc8d054be68561af50230234d7d1d63d1d9abeca8da5",
        "7d56d1e08cb0ccb92baf069c18c49bb5a0dcd927eff8dcf75ca921ef7f3e6eeb",
        "7c22950b7d900fa866334262fcaea47a441a578df43b894b4625c9b450f9a026",
    ),
    (
        b"abcdef0123456789",
        "235fe40c443766ce7e18111c33862d66c3b33267efa50d50f9e8e5d252a40aaa",
        "3fbe66b9c9883d79e8407150e7c2a1c8680bee496c62fabe4619a72b3cabe90f",
        "31ad08a8b0deeb2a4d8b0206ca25f567ab4e042746f792f4b7973f3ae2096c52",
    ),
    (
        b"q128_" + b"q" * 128,
        "001e92a544463bda9bd04ddbe3d6eed248f82de32f522669efc5ddce95f46f5b",
        "227e0bb89de700385d19ec40e857db6e6a3e634b1c32962f370d26f84ff19683",
        "027877759d155b1997d0d84683a313eb78bdb493271d935b622900459d52ceaa",
    ),
    (
        b"a512_" + b"a" * 512,
        "1a68a1af9f663592291af987203393f707305c7bac9c8d63d6a729bdc553dc19",
        "3bcd651ee54d5f7b6013898aab251ee8ecc0688166fce6e9548d38472f6bd196",
        "5fd892c0958d1a75f54c3182a18d286efab784e774d1e017ba2fb252998b5dc1",
    ),
]

# RFC 7748: scalar, u, product. The first vector of section 5.2, then both halves of section 6.1.
BASE = "09" + "00" * 31
ALICE = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"
ALICE_PUBLIC = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
BOB = "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"
BOB_PUBLIC = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
SHARED = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"
MULTIPLIED = [
    (
        "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
        "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
        "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
    ),
    (ALICE, BASE, ALICE_PUBLIC),
    (BOB, BASE, BOB_PUBLIC),
    (ALICE, BOB_PUBLIC, SHARED),
    (BOB, ALICE_PUBLIC, SHARED),
]


def point(text):
    return np.frombuffer(bytes.fromhex(text), np.uint8).reshape(1, 32)


@pytest.mark.parametrize(("message", "element", "mapped", "cleared"), HASHED)
def test_hashing_follows_rfc_9380(message, element, mapped, cleared):
    hashed = curve._field_hash(DOMAIN)(message)
    assert hashed == int(element, 16)
    assert curve._map_to_curve(hashed) == int(mapped, 16)
    assert ladder(8, int(mapped, 16)) == int(cleared, 16)


@pytest.mark.parametrize(("scalar", "u", "product"), MULTIPLIED)
def test_multiplication_is_x25519(scalar, u, product):
    secret = bytes.fromhex(scalar)
    assert curve.BlindingKey.from_bytes(secret).blind(point(u), party="shop").tobytes().hex() == product
    number = int.from_bytes(bytes.fromhex(u), "little")
    assert encoded(ladder(clamped(secret), number)).hex() == product  # the reference of the other tests


def test_the_map_is_the_one_of_libsodium():
    """libsodium returns 8 times the point in Edwards form; u = (1 + y) / (1 - y)."""
    for number in range(20):
        uniform = hashlib.sha256(number.to_bytes(4, "big")).digest()
        low_bits = 2**255 - 1
        y = int.from_bytes(crypto_core_ed25519_from_uniform(uniform), "little") & low_bits
        mapped = curve._map_to_curve(mpz(int.from_bytes(uniform, "little") & low_bits))
        assert on_curve(mapped)
        assert ladder(8, mapped) == (1 + y) * pow(1 - y, -1, PRIME) % PRIME
