"""Which passwords are taken, and how they are stored (NIST SP 800-63B 5.1.1.2; argon2id, RFC 9106)."""

from __future__ import annotations

import re
import threading
import unicodedata
from typing import Final

from argon2 import Parameters, PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import CHEAPEST, RFC_9106_LOW_MEMORY

from privacy.errors import AccountInvalid

PROFILE: Final = RFC_9106_LOW_MEMORY
"""RFC 9106, section 4, second choice: 64 MiB and three passes."""
TESTING_ONLY: Final = CHEAPEST
"""Breakable. Only tests pass it in, and one of them sees to that."""
MINIMUM: Final = 12
MAXIMUM: Final = 256
"""Sentences are welcome (the standard asks for at least 64); more is somebody's mistake or attack."""
AT_ONCE: Final = 4
"""Hashes that are computed at the same time: each takes the profile's memory."""
FEWEST_OWN: Final = 4
"""Characters that have to be left when what everybody uses is taken away."""
FEWEST_DIFFERENT: Final = 5
COMMON: Final = (
    # services and keyboards
    "silhouette", "password", "passwort", "passw0rd", "p@ssw0rd", "p@ssword", "administrator", "admin", "welcome",
    "letmein", "changeme", "default", "secret", "login", "master", "guest", "test", "demo", "root", "user",
    "qwertyuiop", "qwerty", "asdfghjkl", "asdfgh", "zxcvbnm", "zxcvbn", "qazwsxedc", "qazwsx", "1qaz2wsx",
    "abcdefghijklm", "abcdefgh", "abcdef", "abcd", "abc",
    # affections and seasons
    "iloveyou", "sunshine", "princess", "football", "baseball", "dragon", "monkey", "shadow", "superman", "batman",
    "spring", "summer", "autumn", "winter", "january", "monday", "friday",
    # pinyin
    "woaini", "wodemima", "mima", "nihao", "zhongguo", "beijing", "shanghai", "aini", "tianya", "guanliyuan", "kehu",
    # this line of work
    "company", "bank", "shop", "telecom", "customer", "privacy", "federation",
)  # fmt: skip
"""What common passwords are made of. The longest come first where one holds another."""

_OUTSIDE: Final = re.compile(r"[\W\d_]+")


def normal(password: str) -> str:
    """The same password from every keyboard (NFKC, as the standard asks)."""
    return unicodedata.normalize("NFKC", password[: MAXIMUM + 1])


def check_password(password: str, user: str) -> None:
    """Raises `AccountInvalid` for a password that is too short, too long, the user's name or a common one."""
    plain = normal(password).casefold()
    if len(plain) < MINIMUM:
        raise AccountInvalid("access_password_short", minimum=MINIMUM)
    if len(password) > MAXIMUM:
        raise AccountInvalid("access_password_long", maximum=MAXIMUM)
    without_name = plain.replace(user.casefold(), "")
    if len(_own_part(without_name)) < FEWEST_OWN <= len(_own_part(plain)):
        raise AccountInvalid("access_password_name")
    if len(_own_part(plain)) < FEWEST_OWN or len(set(plain)) < FEWEST_DIFFERENT:
        raise AccountInvalid("access_password_common")


def _own_part(plain: str) -> str:
    """What is left without common words, digits and punctuation."""
    for word in COMMON:
        plain = plain.replace(word, "")
    return _OUTSIDE.sub("", plain)


class Hashing:
    """Argon2id with one set of parameters, a few at a time."""

    def __init__(self, profile: Parameters = PROFILE) -> None:
        self._hasher = PasswordHasher.from_parameters(profile)
        self._free = threading.BoundedSemaphore(AT_ONCE)
        self._nobodys = ""

    def hash(self, password: str) -> str:
        """What to store: parameters, salt and hash."""
        with self._free:
            return self._hasher.hash(normal(password))

    def matches(self, stored: str, password: str) -> bool:
        """Whether it is the password. stored: "" for nobody's, which takes the same work and never matches."""
        against = stored or self._nobody()
        with self._free:
            try:
                self._hasher.verify(against, normal(password))
            except (VerificationError, InvalidHashError):
                return False
        return bool(stored)

    def is_old(self, stored: str) -> bool:
        """Whether it was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    def _nobody(self) -> str:
        if not self._nobodys:
            self._nobodys = self.hash("nobody")
        return self._nobodys
