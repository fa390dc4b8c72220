"""Users of an OpenID Connect issuer: a bearer JWT (RFC 7519) says who calls, a table of ours what they may do.

Checks, in this order: an algorithm of the list (so never "none", and no shared key), a named key of the issuer, its
signature, then issuer, audience and times with a minute's leeway (RFC 8725). Roles that the table does not name give
nothing. No session of ours is made: a token holds until the issuer says it ends.
"""

from __future__ import annotations

import datetime
import hashlib
import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from joserfc import jwt
from joserfc.errors import (
    ExpiredTokenError,
    InvalidClaimError,
    JoseError,
    MissingClaimError,
    SecurityWarning,
)
from joserfc.jwk import GuestProtocol, Key
from joserfc.jws import JWSRegistry

from federation.access.issuer_keys import IssuerKeys, keys_at
from federation.access.people import ISSUER_PREFIX
from federation.files import read_toml
from federation.pace import utc_now
from privacy.access import Caller, Means, Role
from privacy.audit import is_name
from privacy.errors import NotAuthenticated

ALGORITHMS: Final = ("RS256", "ES256", "EdDSA", "Ed25519")
"""Signatures alone. Ed25519 is the name that RFC 9864 gives to what most issuers still call EdDSA."""
LEEWAY_SECONDS: Final = 60
SETTINGS_FILE: Final = "issuer.toml"
MAX_TOKEN_BYTES: Final = 16_384
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}", re.ASCII)
_LETTERS: Final = str.maketrans("0123456789abcdef", "abcdefghijklmnop")
_SHORT_DIGEST: Final = 20

warnings.filterwarnings("ignore", message="EdDSA is deprecated", category=SecurityWarning)


class IssuerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`issuer.toml` of a home: whose tokens are taken. keys: an https address or a file of the home with its JWKS.

    name, roles_claim: the claims that name a user and their roles (a dotted path goes into objects); roles: what the
    issuer's roles are here.
    """

    issuer: str
    audience: str
    keys: str
    roles: dict[str, Role]
    roles_claim: str = "roles"
    name: str = "sub"


class Issuer:
    """Checks the tokens of one issuer."""

    def __init__(
        self, settings: IssuerSettings, keys: IssuerKeys, *, now: Callable[[], datetime.datetime] = utc_now
    ) -> None:
        self._settings, self._keys = settings, keys
        self._claims = jwt.JWTClaimsRegistry(
            now=lambda: int(now().timestamp()),
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": settings.issuer},
            aud={"essential": True, "value": settings.audience},
            exp={"essential": True},
            sub={"essential": True},
        )
        # Issuers put headers of their own into tokens, which a reader passes over (RFC 7515, section 4);
        # what a reader has to understand is in "crit", and that is checked all the same.
        self._registry = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)

    def lookup(self, bearer: str) -> Caller:
        """Who calls with a token. Raises `NotAuthenticated`, which names what is wrong with it."""
        if len(bearer) > MAX_TOKEN_BYTES:
            raise NotAuthenticated("access_bearer_invalid")
        try:
            token = jwt.decode(bearer, self._key_of, algorithms=ALGORITHMS, registry=self._registry)
            self._claims.validate(token.claims)
        except NotAuthenticated:
            raise
        except ExpiredTokenError:
            raise NotAuthenticated("access_bearer_expired") from None
        except (InvalidClaimError, MissingClaimError) as problem:
            raise _claim_error(problem.claim) from None
        except (JoseError, ValueError, TypeError, KeyError, AttributeError):  # of what is no token at all
            raise NotAuthenticated("access_bearer_invalid") from None
        name = token.claims.get(self._settings.name)
        if not isinstance(name, str) or not name:
            raise NotAuthenticated("access_bearer_name", name=self._settings.name)
        return Caller(user_name(name), self._roles_in(token.claims), Means.ISSUER)

    def _key_of(self, token: GuestProtocol) -> Key:
        name = token.headers().get("kid")
        if not isinstance(name, str):
            raise NotAuthenticated("access_bearer_key")
        return self._keys.find(name)

    def _roles_in(self, claims: Mapping[str, Any]) -> frozenset[Role]:
        held = claim_at(claims, self._settings.roles_claim)
        names = held.split() if isinstance(held, str) else held if isinstance(held, list) else []
        table = self._settings.roles
        return frozenset(table[name] for name in names if isinstance(name, str) and name in table)


def issuer_of(folder: Path) -> Issuer | None:
    """The issuer that a home's `issuer.toml` names; None without such a file. Raises `ConfigInvalid`."""
    file = folder / SETTINGS_FILE
    if not file.exists():
        return None
    settings = read_toml(file, IssuerSettings)
    return Issuer(settings, keys_at(settings.keys, folder))


def claim_at(claims: Mapping[str, Any], path: str) -> Any:
    """A claim by its name or, where there is none, by a dotted path into objects; None where nothing is."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def user_name(name: str) -> str:
    """What an issuer's user is called here: nobody's account, and a name that the audit log takes.

    A name that it does not take (an address, a long number) becomes letters of its SHA-256.
    """
    if _NAME.fullmatch(name) and is_name(name):
        return ISSUER_PREFIX + name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_SHORT_DIGEST]
    # The underscore keeps it apart from every name that is taken as it is.
    return f"{ISSUER_PREFIX}_{digest.translate(_LETTERS)}"


def _claim_error(claim: str) -> NotAuthenticated:
    if claim == "aud":
        return NotAuthenticated("access_bearer_audience")
    if claim == "iss":
        return NotAuthenticated("access_bearer_issuer")
    if claim == "nbf":
        return NotAuthenticated("access_bearer_early")
    return NotAuthenticated("access_bearer_invalid")
