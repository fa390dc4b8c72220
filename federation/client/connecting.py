"""The way to a coordinator: its address, its certificate, a token; and from there to everything that it has."""

from __future__ import annotations

import ssl
from pathlib import Path
from types import TracebackType
from typing import Final

import httpx

from federation.client.calls import Calls
from federation.client.credentials import Credentials, stored
from federation.client.jobs import Jobs
from federation.client.nouns import (
    Audit,
    Datasets,
    Models,
    Parties,
    Personas,
    Purposes,
    Requests,
    Tokens,
)
from federation.client.records import Federation, Me
from privacy.errors import ConfigInvalid
from privacy.texts import current_language

TIMEOUT: Final = httpx.Timeout(60.0, connect=10.0)
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Console:
    """A coordinator, by what there is at it. Made by `connect`."""

    def __init__(self, calls: Calls) -> None:
        self.calls = calls
        self.parties = Parties(calls)
        self.datasets = Datasets(calls)
        self.purposes = Purposes(calls)
        self.jobs = Jobs(calls)
        self.models = Models(calls)
        self.personas = Personas(calls)
        self.requests = Requests(calls)
        self.audit = Audit(calls)
        self.tokens = Tokens(calls)

    def me(self) -> Me:
        """Who one is here, and what one may."""
        return self.calls.get("/me", Me)

    def federation(self) -> Federation:
        """The coordinator itself, and how much there is."""
        return self.calls.get("/federation", Federation)

    def close(self) -> None:
        """Release the connections."""
        self.calls.http.close()

    def __enter__(self) -> Console:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Console({str(self.calls.http.base_url)!r})"


def connect(
    url: str = "",
    token: str = "",
    *,
    certificate: str | Path = "",
    language: str = "",
    http: httpx.Client | None = None,
) -> Console:
    """A coordinator's console. Without an address: what `silhouette login` or the environment has left.

    certificate: the coordinator's own (PEM), the only one that is then trusted; by default those that this machine
    trusts. http: another client, for tests.
    Raises `ConfigInvalid` for a file that is none, and for an address over which a token would be read by others.
    """
    found = Credentials(url, token, str(certificate)) if url else stored()
    opened = http if http is not None else open_http(found.url, found.certificate)
    return Console(Calls(opened, found.token, language or current_language()))


def open_http(url: str, certificate: str = "") -> httpx.Client:
    """Connections to a coordinator; no proxy and no setting of the environment is used."""
    address = _address_of(url)
    trusted: ssl.SSLContext | bool = True
    if certificate:
        try:
            trusted = ssl.create_default_context(cafile=certificate)
        except FileNotFoundError:
            raise ConfigInvalid("file_missing", file=certificate) from None
        except (ssl.SSLError, OSError):
            raise ConfigInvalid("client_certificate", file=certificate) from None
    return httpx.Client(base_url=address, verify=trusted, timeout=TIMEOUT, trust_env=False)


def _address_of(url: str) -> httpx.URL:
    """An address without path. Raises `ConfigInvalid` for none, and for plain http to another machine."""
    try:
        address = httpx.URL(url)
    except (httpx.InvalidURL, TypeError):
        raise ConfigInvalid("client_url") from None
    if address.scheme not in {"http", "https"} or not address.host or address.userinfo:
        raise ConfigInvalid("client_url")
    if address.scheme == "http" and address.host not in _LOOPBACK:
        raise ConfigInvalid("client_plain", name=address.host)
    return address.copy_with(path="/", query=None, fragment=None)
