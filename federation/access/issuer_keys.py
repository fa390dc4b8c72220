"""An issuer's public keys (RFC 7517): from a file, or from its address, kept and asked for anew when one is unknown."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import httpx
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import Key, KeySet

from privacy.errors import ConfigInvalid, NotAuthenticated

REFRESH_SECONDS: Final = 60.0
"""At most so often the issuer is asked: tokens with invented key names do not make us ask for each."""
TRUST_SECONDS: Final = 86_400.0
"""Keys that have not been confirmed for a day are not used: a key that was taken back ends here at the latest."""
ANSWER_SECONDS: Final = 5.0
"""For all of it, from the first connection to the last byte."""
MAX_BYTES: Final = 262_144


class _Confirmed(NamedTuple):
    """The issuer's keys, and when it gave them."""

    keys: KeySet
    moment: float


class IssuerKeys:
    """The keys by their names. fetch: gives the JSON; `clock`: seconds that only grow.

    A key that is known is given without waiting, whatever the issuer does meanwhile. One thread at a time asks; others
    wait for it only where no key is known at all.
    """

    def __init__(self, fetch: Callable[[], bytes], clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch, self._clock = fetch, clock
        self._confirmed: _Confirmed | None = None
        self._asked = -TRUST_SECONDS
        self._asking = threading.Lock()

    def find(self, name: str) -> Key:
        """The key of that name (`kid`). Raises `NotAuthenticated` when the issuer has none, or cannot be reached."""
        key = self._known(name) or self._ask_for(name)
        if key is None:
            raise NotAuthenticated("access_bearer_key")
        return key

    def _ask_for(self, name: str) -> Key | None:
        if not self._asking.acquire(blocking=self._trusted() is None):
            return None
        try:
            key = self._known(name)
            if key is None and self._clock() - self._asked >= REFRESH_SECONDS:
                self._refresh()
                key = self._known(name)
            return key
        finally:
            self._asking.release()

    def _known(self, name: str) -> Key | None:
        keys = self._trusted()
        try:
            return None if keys is None else keys.get_by_kid(name)
        except InvalidKeyIdError:
            return None

    def _trusted(self) -> KeySet | None:
        found = self._confirmed
        is_fresh = found is not None and self._clock() - found.moment < TRUST_SECONDS
        return found.keys if found is not None and is_fresh else None

    def _refresh(self) -> None:
        self._asked = self._clock()
        try:
            keys = KeySet.import_key_set(json.loads(self._fetch()))
        except (OSError, httpx.HTTPError, JoseError, ValueError, TypeError, KeyError):
            raise NotAuthenticated("access_issuer_keys") from None
        self._confirmed = _Confirmed(keys, self._asked)


def keys_at(place: str, folder: Path) -> IssuerKeys:
    """Keys at an https address, or in a file (relative: in `folder`). Raises `ConfigInvalid` for plain http.

    Plain http is taken on this machine alone: whoever changes the keys on their way decides who comes in.
    """
    if "://" not in place:
        file = folder / place
        if not file.exists():
            raise ConfigInvalid("file_missing", file=file)
        return IssuerKeys(file.read_bytes)
    address = urlsplit(place)
    if address.scheme != "https" and not (address.scheme == "http" and _is_loopback(address.hostname or "")):
        raise ConfigInvalid("access_issuer_address")
    return IssuerKeys(lambda: _get(place))


def _get(url: str) -> bytes:
    return asyncio.run(_within_time(url))


async def _within_time(url: str) -> bytes:
    """The whole answer. An issuer that sends a byte now and then is as good as none (`TimeoutError`, an `OSError`)."""
    async with (
        asyncio.timeout(ANSWER_SECONDS),
        httpx.AsyncClient(timeout=ANSWER_SECONDS, follow_redirects=False) as client,
        client.stream("GET", url) as answer,
    ):
        answer.raise_for_status()
        data = b""
        async for part in answer.aiter_bytes():
            data += part
            if len(data) > MAX_BYTES:
                raise ValueError("too long")
        return data


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
