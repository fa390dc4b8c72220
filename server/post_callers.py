"""Who calls the post office: a party of the roster that has signed the request, just now and only once."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from federation.messages import COORDINATOR
from federation.post_messages import SKEW_SECONDS
from federation.post_requests import Claim, claim_of
from federation.roster import Roster
from privacy.errors import SignatureInvalid
from privacy.sealing import PublicIdentity

MAX_NONCES: Final = 150_000
"""Of one party within the time in which they could be repeated: 250 requests a second, more than the disk takes."""


class CallerRefused(Exception):
    """Not in the roster, not signed, too old or too early, or sent before. Says no more than that."""


class CallerTooBusy(Exception):
    """A party that calls more often than its requests can be told apart."""


class Callers:
    """Checks requests against the roster in force. For one thread at a time.

    roster: the present one, the same object as long as it does not change. now: seconds since 1970. Nonces are
    forgotten with the process, so nothing is taken that was signed before it began.
    """

    def __init__(self, roster: Callable[[], Roster | None], now: Callable[[], float] = time.time) -> None:
        self._read_roster, self._now = roster, now
        self._began = now()
        self._roster: Roster | None = None
        self._known: dict[str, PublicIdentity] = {}
        self._nonces: dict[str, set[bytes]] = {}
        self._in_order: dict[str, deque[tuple[float, bytes]]] = {}

    def enter(self, method: str, path: str, headers: Mapping[str, str]) -> Claim:
        """The claim that the caller has proved. Raises `CallerRefused`, `CallerTooBusy`."""
        try:
            claim = claim_of(headers)
            identity = self.known().get(claim.party)
            if identity is None:
                raise CallerRefused
            claim.check(identity, self.coordinator, method, path)
        except SignatureInvalid:
            raise CallerRefused from None
        now = self._now()
        if claim.seconds < self._began or abs(claim.seconds - now) > SKEW_SECONDS:
            raise CallerRefused
        self._use(claim, now)
        return claim

    def known(self) -> Mapping[str, PublicIdentity]:
        """The parties of the roster, by name."""
        roster = self._read_roster()
        if roster is not self._roster:
            self._known = {} if roster is None else roster.identities(without=COORDINATOR)
            self._roster = roster
        return self._known

    @property
    def coordinator(self) -> str:
        """Its public keys as the roster that was read last has them, to which everything signed is bound."""
        return "" if self._roster is None else self._roster.coordinator

    def _use(self, claim: Claim, now: float) -> None:
        nonce = bytes.fromhex(claim.nonce)
        used = self._nonces.setdefault(claim.party, set())
        in_order = self._in_order.setdefault(claim.party, deque())
        while in_order and in_order[0][0] < now:
            used.discard(in_order.popleft()[1])
        if nonce in used:
            raise CallerRefused
        if len(used) >= MAX_NONCES:
            raise CallerTooBusy
        used.add(nonce)
        in_order.append((now + 2 * SKEW_SECONDS, nonce))
