"""Checkpoints: what a log's owner signs, and others cosign, so that it cannot show different logs to different people.

A checkpoint says that the log of `origin` had `size` events and this tree root. Its signed text has the lines of a
C2SP tlog-checkpoint (origin, size, root in base64), and two more: the time and the signing key's fingerprint. A
witness who has seen that the log only grew signs the same text under its own name. Signatures are Ed25519 (RFC 8032)
of `privacy.sealing.statement_bytes`.
What it does not promise. A root that is kept by its own host alone proves nothing against that host.
"""

from __future__ import annotations

import base64
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from privacy.audit import MAX_NUMBER, is_time
from privacy.errors import AuditBroken, SignatureInvalid
from privacy.merkle import HASH_BYTES
from privacy.sealing import SIGNATURE_BYTES, Identity, PublicIdentity

CHECKPOINT_DOMAIN: Final = "silhouette checkpoint v1"
COSIGNATURE_DOMAIN: Final = "silhouette cosignature v1"
MAX_SIZE: Final = MAX_NUMBER
MAX_PROOF: Final = 64
"""Hashes in a proof: a consistency proof has at most one more than the tree is high, and that is at most 30."""

LogName = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,31}\Z")]
LogSize = Annotated[int, Meta(ge=0, le=MAX_SIZE)]
Digest = Annotated[bytes, Meta(min_length=HASH_BYTES, max_length=HASH_BYTES)]
Signature = Annotated[bytes, Meta(min_length=SIGNATURE_BYTES, max_length=SIGNATURE_BYTES)]
Time = Annotated[str, Meta(min_length=24, max_length=24)]
Fingerprint = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z")]
Proof = Annotated[tuple[Digest, ...], Meta(max_length=MAX_PROOF)]


class Checkpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The signed state of a log. key: fingerprint of the signing identity; time: as in events."""

    origin: LogName
    size: LogSize
    root: Digest
    time: Time
    key: Fingerprint
    signature: Signature

    @classmethod
    def sign(cls, identity: Identity, origin: str, size: int, root: bytes, time: str) -> Checkpoint:
        """The checkpoint of one's own log."""
        key = identity.public.fingerprint
        text = _body(origin, size, root, time, key)
        return cls(origin, size, root, time, key, identity.sign_statement(CHECKPOINT_DOMAIN, text))

    def body(self) -> bytes:
        """The text that is signed: five lines, each with its end."""
        return _body(self.origin, self.size, self.root, self.time, self.key)

    def verify(self, key: PublicIdentity) -> None:
        """Check that the log's owner signed it. Raises `SignatureInvalid` or, for another key, `AuditBroken`."""
        if self.key != key.fingerprint or not is_time(self.time):
            raise AuditBroken("audit_log_foreign", party=self.origin)
        key.verify_statement(self.signature, CHECKPOINT_DOMAIN, self.body())


class Cosignature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A witness's signature over another's checkpoint, its own name and time."""

    witness: LogName
    time: Time
    signature: Signature

    @classmethod
    def sign(cls, identity: Identity, witness: str, time: str, checkpoint: Checkpoint) -> Cosignature:
        """Cosign a checkpoint that one has checked (`AuditLog.witness` does)."""
        signature = identity.sign_statement(COSIGNATURE_DOMAIN, _cosigned(witness, time, checkpoint))
        return cls(witness, time, signature)

    def verify(self, key: PublicIdentity, checkpoint: Checkpoint) -> None:
        """Check that the witness signed this checkpoint. Raises `SignatureInvalid`."""
        if not is_time(self.time):
            raise SignatureInvalid("statement_signature_invalid")
        key.verify_statement(
            self.signature, COSIGNATURE_DOMAIN, _cosigned(self.witness, self.time, checkpoint)
        )


def _body(origin: str, size: int, root: bytes, time: str, key: str) -> bytes:
    return f"{origin}\n{size}\n{base64.b64encode(root).decode()}\ntime {time}\nkey {key}\n".encode()


def _cosigned(witness: str, time: str, checkpoint: Checkpoint) -> bytes:
    return f"witness {witness}\ntime {time}\n".encode() + checkpoint.body()
