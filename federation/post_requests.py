"""How a party proves at the coordinator's post office who it is: an Ed25519 signature over each request. Sans-I/O.

Signed are the coordinator's keys, the method, the path with its query, the SHA-256 of the body, the time and a nonce.
The headers hold all that the request line does not, so that a request is checked before its body is read.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from federation.jobs import Name
from privacy.errors import SignatureInvalid
from privacy.sealing import Identity, PublicIdentity

DOMAIN: Final = "silhouette post request v1"
PREFIX: Final = "x-post-"
"""Of the headers' names."""
NONCE_BYTES: Final = 16
_NONCE: Final = Meta(pattern=r"^[0-9a-f]{32}\Z")
_DIGEST: Final = Meta(pattern=r"^[0-9a-f]{64}\Z")
_TIME: Final = Meta(pattern=r"^[1-9][0-9]{0,15}\Z")
_SIGNATURE: Final = Meta(pattern=r"^[A-Za-z0-9+/]{86}==\Z")


class Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The headers of a request. time: milliseconds since 1970 in UTC; body: SHA-256 in hexadecimal digits."""

    party: Name
    time: Annotated[str, _TIME]
    nonce: Annotated[str, _NONCE]
    body: Annotated[str, _DIGEST]
    signature: Annotated[str, _SIGNATURE]

    @property
    def seconds(self) -> float:
        """When the request was made, by the caller's clock."""
        return int(self.time) / 1000

    def check(self, identity: PublicIdentity, coordinator: str, method: str, path: str) -> None:
        """That this party signed this request. Raises `SignatureInvalid`."""
        statement = _statement(coordinator, method, path, self.body, self.time, self.nonce)
        identity.verify_statement(base64.b64decode(self.signature), DOMAIN, statement)

    def is_of(self, body: bytes) -> bool:
        """Whether this is the body that was signed."""
        return digest_of(body) == self.body


def claim_of(headers: Mapping[str, str]) -> Claim:
    """The claim in a request's headers. Raises `SignatureInvalid` when there is none, or it is malformed."""
    found = {name: headers.get(PREFIX + name, "") for name in Claim.__struct_fields__}
    try:
        return msgspec.convert(found, Claim)
    except msgspec.ValidationError:
        raise SignatureInvalid("statement_signature_invalid") from None


def signed_headers(
    own: str, identity: Identity, coordinator: str, method: str, path: str, body: bytes, seconds: float
) -> dict[str, str]:
    """Headers for one request, good once. coordinator: its public keys as the roster has them; path: with its query."""
    time, nonce, digest = str(int(seconds * 1000)), secrets.token_hex(NONCE_BYTES), digest_of(body)
    signature = identity.sign_statement(DOMAIN, _statement(coordinator, method, path, digest, time, nonce))
    values = (own, time, nonce, digest, base64.b64encode(signature).decode())
    return {PREFIX + name: value for name, value in zip(Claim.__struct_fields__, values, strict=True)}


def digest_of(body: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(body).hexdigest()


def _statement(coordinator: str, method: str, path: str, digest: str, time: str, nonce: str) -> bytes:
    return msgspec.msgpack.encode((coordinator, method, path, digest, time, nonce))
