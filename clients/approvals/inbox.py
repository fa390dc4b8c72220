"""The proposals that this node has been shown, and what was said to them here: sealed records of the vault.

`proposals/<number>` mirrors the coordinator's list; what is over, or is not listed any more, goes away.
`proposed/<number>` keeps which job a number stands for, also when it is not listed for a while: a person's yes to what
they have read is no yes to another job that comes back under its number.
`words/<number>` is the last word on a proposal with its signature: the outbox as long as the coordinator does not have
it, and afterwards what a session is checked against. Who has said it, and why, never leaves this record.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from clients.home import NodeHome
from clients.vault import Vault
from federation.line_file import locked
from federation.proposals import LONGEST_WORD, Proposal, Word
from privacy.errors import NotFound, SealBroken, SilhouetteError, StateConflict

log = logging.getLogger("silhouette.approvals")

PROPOSALS: Final = "proposals/"
PROPOSED: Final = "proposed/"
WORDS: Final = "words/"
LOCK_FILE: Final = "approvals.lock"
LOCK_SECONDS: Final = 10.0
KEPT_DAYS: Final = 3 * 366
"""As long as records of processing (PIPL 56), counted from the word."""
NUMBER_DAYS: Final = LONGEST_WORD.days
"""So long a number keeps its job without being listed: no page that somebody has open is older."""
MAX_NOTE: Final = 2_000


class Delivery(StrEnum):
    """Whether the coordinator has a word: not yet, yes, or it will never take it."""

    WAITING = "waiting"
    TAKEN = "taken"
    NEVER = "never"


class Held(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A proposal. seen: when this node was first shown it."""

    proposal: Proposal
    seen: datetime


class Decision(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was said to a proposal here, whoever has ended it since. who: an account of this node's; note: why.

    keys: digest of the keys that the roster had for the coordinator and the job's parties.
    """

    word: Word
    signed: bytes
    job: str
    purpose: str
    delivery: Delivery = Delivery.WAITING
    keys: str = ""
    who: str = ""
    note: Annotated[str, Meta(max_length=MAX_NOTE)] = ""


class Inbox:
    """One node's proposals and words. Any thread or process may use it."""

    def __init__(self, home: NodeHome) -> None:
        self._home = home
        self._own = home.settings.name

    @property
    def _vault(self) -> Vault:
        return self._home.vault

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Nobody else decides in between. Raises `StateConflict` when somebody else takes too long."""
        try:
            with locked(self._home.folder / LOCK_FILE, LOCK_SECONDS):
                yield
        except BlockingIOError:
            raise StateConflict("proposal_busy") from None

    # --- proposals

    def all(self) -> list[Held]:
        """What is open, the oldest first."""
        names = self._vault.names(PROPOSALS)
        found = [msgspec.msgpack.decode(data, type=Held) for data in self._vault.held(names).values()]
        return sorted(found, key=lambda held: (held.proposal.proposed, held.proposal.number))

    def get(self, number: str) -> Held:
        """One proposal. Raises `NotFound`."""
        data = self._vault.get(PROPOSALS + number)
        if data is None:
            raise NotFound("proposal_unknown", name=number)
        return msgspec.msgpack.decode(data, type=Held)

    def mirror(self, proposals: Sequence[Proposal], now: datetime) -> None:
        """Take in the coordinator's list. A proposal that is none for this party, or that has become about another job
        under a number that is known, is left out.
        """
        listed = {proposal.number: proposal for proposal in proposals if not proposal.is_over(now)}
        held = {one.proposal.number: one for one in self.all()}
        for number in held.keys() - listed.keys():
            self._vault.remove_one(PROPOSALS + number)
        for number, proposal in listed.items():
            known = held.get(number)
            if (known is None or known.proposal != proposal) and self._is_sound(proposal, known):
                seen = now if known is None else known.seen
                self._vault.put(PROPOSED + number, proposal.digest.encode(), days=NUMBER_DAYS)
                self._vault.put(PROPOSALS + number, msgspec.msgpack.encode(Held(proposal, seen)))

    def _is_sound(self, proposal: Proposal, known: Held | None) -> bool:
        if proposal.digest != self._digest_of(proposal.number, known, proposal.digest):
            log.error("proposal %s has become about another job; it is left out", proposal.number)
            return False
        try:
            proposal.job_for(self._own)
        except SilhouetteError as error:
            log.warning("proposal %s is none for this node: %s", proposal.number, error.code)
            return False
        return True

    def _digest_of(self, number: str, known: Held | None, otherwise: str) -> str:
        """Of the job for which a number stands here, or has stood."""
        if known is not None:
            return known.proposal.digest
        said = self.decision(number)
        if said is not None:
            return said.word.digest
        kept = self._vault.held([PROPOSED + number])
        return next((data.decode() for data in kept.values()), otherwise)

    def forget_over(self, now: datetime) -> None:
        """What has expired goes away, whether or not the coordinator can be reached."""
        for held in self.all():
            if held.proposal.is_over(now):
                self._vault.remove_one(PROPOSALS + held.proposal.number)

    # --- words

    def decisions(self) -> list[Decision]:
        """Every last word, in the order in which they were said; those that were kept long enough are left out."""
        over = set(self._vault.expired())
        names = [name for name in self._vault.names(WORDS) if name not in over]
        found = [_decision(name, data) for name, data in self._vault.held(names).items()]
        return sorted(found, key=lambda decision: decision.word.revision)

    def decision(self, number: str) -> Decision | None:
        """The last word on a proposal, or None."""
        found = self._vault.held([WORDS + number])
        return next((_decision(name, data) for name, data in found.items()), None)

    def keep(self, decision: Decision) -> None:
        """Store a word, in place of an earlier one on the same proposal. The caller holds `changing`."""
        name = WORDS + decision.word.number
        self._vault.put(name, msgspec.msgpack.encode(decision), days=KEPT_DAYS)

    def waiting(self) -> list[Decision]:
        """The outbox: words that the coordinator does not have."""
        return [decision for decision in self.decisions() if decision.delivery is Delivery.WAITING]

    def settle(self, decision: Decision, delivery: Delivery) -> None:
        """Note what became of a word, unless another has taken its place meanwhile."""
        with self.changing():
            if self.decision(decision.word.number) == decision:
                self.keep(msgspec.structs.replace(decision, delivery=delivery))


def _decision(name: str, data: bytes) -> Decision:
    try:
        return msgspec.msgpack.decode(data, type=Decision)
    except (msgspec.MsgspecError, ValueError):
        raise SealBroken("vault_broken", name=name) from None
