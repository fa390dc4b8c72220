"""How frames reach the relay: with `post_client` the one place in `federation` that talks to the network.

Both edges (a node's session, the coordinator's driver) use it; everything else here is sans-I/O. Delivery is in
order and at most once: a retried send carries its number, and a frame stays in the mailbox until the next receive
confirms it.
"""

from __future__ import annotations

import ssl
import time
from typing import Final, Protocol

import httpx

from privacy.errors import PeerDropped, StaleSnapshot

POLL_SECONDS: Final = 10.0
"""One long poll; a party that lives polls at least this often."""
RETRY_SECONDS: Final = 20.0
"""A relay that cannot be reached for this long has gone."""


class Transport(Protocol):
    """A mailbox at the relay."""

    def send(self, recipient: str, frame: bytes) -> None:
        """Raises `StaleSnapshot` for the first frame of a message that is not bound to what was attested last."""
        ...

    def attest(self, binding: bytes) -> None:
        """From now on the relay takes only messages with this binding from this party."""
        ...

    def receive(self, state: str, wait_seconds: float = POLL_SECONDS) -> bytes | None:
        """The next frame, or None after `wait_seconds`. `state` tells the coordinator what this party is doing."""
        ...

    def close(self) -> None: ...


class SessionClosed(Exception):
    """The relay no longer knows this session."""


class HttpTransport:
    """A mailbox over the coordinator's public HTTPS port.

    relay: base URL; certificate: the pinned CA (PEM); token: this party's bearer token for this session.
    Several threads may use one instance: one that sends, one that receives, any that attest.
    """

    def __init__(self, relay: str, certificate: str, session: str, own: str, token: str) -> None:
        self._http = httpx.Client(
            base_url=relay,
            verify=ssl.create_default_context(cadata=certificate),
            timeout=httpx.Timeout(60.0, connect=10.0),
            headers={"authorization": f"Bearer {token}", "x-party": own},
            trust_env=False,
        )
        self._path = f"/relay/{session}"
        self._sent = 0
        self._confirmed = 0

    def send(self, recipient: str, frame: bytes) -> None:
        """Raises `StaleSnapshot`, `SessionClosed` or, when the relay stays unreachable, `PeerDropped`."""
        self._sent += 1
        self._request("POST", f"{self._path}/{recipient}", {"x-number": str(self._sent)}, frame)

    def attest(self, binding: bytes) -> None:
        self._request("PUT", f"{self._path}/snapshot", {}, binding)

    def receive(self, state: str, wait_seconds: float = POLL_SECONDS) -> bytes | None:
        headers = {"x-confirm": str(self._confirmed), "x-state": state, "x-wait": f"{wait_seconds:.2f}"}
        response = self._request("GET", self._path, headers)
        if response.status_code == httpx.codes.NO_CONTENT:
            return None
        self._confirmed = int(response.headers["x-number"])
        return response.content

    def close(self) -> None:
        self._http.close()

    def _request(
        self, method: str, path: str, headers: dict[str, str], content: bytes | None = None
    ) -> httpx.Response:
        give_up = time.monotonic() + RETRY_SECONDS
        while True:
            try:
                response = self._http.request(method, path, headers=headers, content=content)
            except httpx.TransportError:
                if time.monotonic() > give_up:
                    raise PeerDropped("relay_unreachable") from None
                time.sleep(0.5)
                continue
            if response.status_code in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
                raise SessionClosed
            if response.status_code == httpx.codes.CONFLICT:
                raise StaleSnapshot("snapshot_stale_here")
            if not response.is_success:
                raise PeerDropped("relay_refused", status=response.status_code)
            return response
