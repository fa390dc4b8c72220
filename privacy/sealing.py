"""Party-to-party channels: sealing (HPKE, RFC 9180) and signatures (Ed25519, RFC 8032).

Every frame between parties is sealed to its recipient and signed by its sender, so that the coordinator, which
relays it, sees sizes and routing only. Suite: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. The caller
binds a frame to its place in a session through `context` (HPKE's `info`): a frame that is moved, replayed under
another number or taken from another session does not open.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from privacy.errors import SealBroken, SignatureInvalid

_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_SIGNATURE_DOMAIN: Final = b"silhouette frame v1\x00"
_STATEMENT_DOMAIN: Final = b"silhouette statement v1\x00"
SIGNATURE_BYTES: Final = 64
KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class PublicIdentity:
    """What others pin of a party: its Ed25519 verification key and its X25519 sealing key, 32 bytes each."""

    verify_key: bytes
    seal_key: bytes

    def to_text(self) -> str:
        """Base64 of both keys, for rosters and enrolment files."""
        return base64.b64encode(self.verify_key + self.seal_key).decode()

    @classmethod
    def from_text(cls, text: str) -> PublicIdentity:
        """Inverse of `to_text`. Raises `ValueError` when the text is not two usable 32-byte keys in base64."""
        data = base64.b64decode(text, validate=True)
        if len(data) != 2 * KEY_BYTES:
            raise ValueError(len(data))
        identity = cls(data[:KEY_BYTES], data[KEY_BYTES:])
        identity.seal(b"", b"")  # raises ValueError for a point of small order (RFC 7748, section 6.1)
        return identity

    @property
    def fingerprint(self) -> str:
        """First 16 hex digits of the SHA-256 of both keys, for people to compare by voice."""
        return hashlib.sha256(self.verify_key + self.seal_key).hexdigest()[:16]

    def seal(self, plaintext: bytes, context: bytes) -> bytes:
        """Encrypt to this party; only the same `context` opens it again."""
        return _SUITE.encrypt(plaintext, X25519PublicKey.from_public_bytes(self.seal_key), info=context)

    def verify(self, signature: bytes, context: bytes, sealed: bytes) -> None:
        """Check that this party signed `sealed` in `context`. Raises `SignatureInvalid`."""
        if not self._signed(signature, _to_be_signed(context, sealed)):
            raise SignatureInvalid("signature_invalid")

    def verify_statement(self, signature: bytes, domain: str, statement: bytes) -> None:
        """Check that this party signed `statement` for the use `domain`. Raises `SignatureInvalid`."""
        if not self._signed(signature, statement_bytes(domain, statement)):
            raise SignatureInvalid("statement_signature_invalid")

    def _signed(self, signature: bytes, data: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.verify_key).verify(signature, data)
        except InvalidSignature:
            return False
        return True


class Identity:
    """A party's own signing and sealing keys. Its `repr` shows the public fingerprint only."""

    def __init__(self, sign_key: Ed25519PrivateKey, open_key: X25519PrivateKey) -> None:
        self._sign_key = sign_key
        self._open_key = open_key
        self.public = PublicIdentity(
            sign_key.public_key().public_bytes_raw(), open_key.public_key().public_bytes_raw()
        )

    def __repr__(self) -> str:
        return f"Identity({self.public.fingerprint})"

    @classmethod
    def generate(cls) -> Identity:
        """Fresh keys from the operating system's random source."""
        return cls(Ed25519PrivateKey.generate(), X25519PrivateKey.generate())

    @classmethod
    def from_bytes(cls, data: bytes) -> Identity:
        """Inverse of `to_bytes`."""
        return cls(
            Ed25519PrivateKey.from_private_bytes(data[:KEY_BYTES]),
            X25519PrivateKey.from_private_bytes(data[KEY_BYTES:]),
        )

    def to_bytes(self) -> bytes:
        """The secret keys, 64 bytes: for sealed storage only."""
        return self._sign_key.private_bytes_raw() + self._open_key.private_bytes_raw()

    def sign(self, context: bytes, sealed: bytes) -> bytes:
        """Ed25519 signature, 64 bytes, over `context` and the SHA-256 of `sealed`."""
        return self._sign_key.sign(_to_be_signed(context, sealed))

    def sign_statement(self, domain: str, statement: bytes) -> bytes:
        """Ed25519 signature, 64 bytes, over a document of the kind that `domain` names: it is good for no other."""
        return self._sign_key.sign(statement_bytes(domain, statement))

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Decrypt what was sealed to this party in `context`. Raises `SealBroken`."""
        try:
            return _SUITE.decrypt(sealed, self._open_key, info=context)
        except (InvalidTag, ValueError):
            raise SealBroken("seal_broken") from None


def _to_be_signed(context: bytes, sealed: bytes) -> bytes:
    # Hashing first keeps one pass over frames of many megabytes (Ed25519 itself makes two).
    return _SIGNATURE_DOMAIN + len(context).to_bytes(4, "big") + context + hashlib.sha256(sealed).digest()


def statement_bytes(domain: str, statement: bytes) -> bytes:
    """What is signed for a statement: no frame and no statement of another `domain` begins like it."""
    return _STATEMENT_DOMAIN + len(domain.encode()).to_bytes(4, "big") + domain.encode() + statement
