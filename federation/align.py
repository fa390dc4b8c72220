"""ID matching `align`, server-aided: with a shared key (`keyed`) or by a circle of secrets (`ecdh`).

Parties. Label holder L and feature holders F1..Fm hold normalised identifiers; the coordinator C joins.
Rounds. Every F sends L a stamp of its list, random to L; L derives a key K for exactly these lists and sends it to
    every F (party-to-party messages are sealed, C never has it). C gets a list of 128-bit tokens of every party, part
    by part: in `keyed` a pseudorandom function's values under K, from the party itself; in `ecdh` from the last of all
    parties, through which the list passes in a circle (`align_ring`), and K only names subjects. C joins the lists and
    tells each party which places of its own list are in the result, in the order of the tokens: where the result is
    what all parties share, their rows are then aligned. Every F sends L, sealed, a digest of its rows' references in
    order, keyed with K; L has a result only when all equal its own. Two kinds of jobs stop earlier: `size_only` after
    the size of the result, rounded down to a multiple of k_min, and a set expression (`members`) after each party
    knows its own members.
What each party learns. L, F: which of their own rows are in the result, and so, when all parties share it, its
    size. `keyed`: the order of magnitude of the longest list; `ecdh`: the length of every list. L also: whether each
    F has the same subjects in the same order, and whether its list is that of an earlier attempt. C: the size of each
    list and of every combination of lists (it compares tokens, so it can compute these), no identifier, no order of
    rows. A run below `k_min` subjects is refused at C and at every party, without the number; so is a result that
    would single somebody out by what it shows a party or leaves out (`set_algebra.too_few`).
Source. `keyed`: Kamara, Mohassel, Raykova, Sadeghian 2014, "Scaling Private Set Intersection to Billion-Element
    Sets", section 3. `ecdh`: see `align_ring`.
Deviations. `keyed`: AES-256-CMAC as the PRF; the tokens' sorted order serves as the random permutation. Results are
    places, not tokens. The digests are ours. They catch a C that pairs different subjects, or orders them differently
    at two parties. They do not catch a C that tells all parties the same chosen subset of what they share, nor a
    party that sends tokens of people it does not have.
Not prevented. A party can ask about identifiers by putting them on its list, as many as it announces. `keyed`: C
    together with one party could enumerate identifiers, for that party has K. `ecdh`: what others have seen of a list
    does not allow that, for it takes the owner's secret; but C with one party, or all other parties together, can
    compare that party's list with the owner's below any minimum. In both modes C with one party learns which of its
    rows are on which other list.
Resumable. A rerun of the same job goes on from what the stores hold: secrets at the parties, received parts at C, as
    long as no list has changed: with any change K, or the changed party's secrets, are new, and nothing fits any more.
    Whoever runs the roles empties the stores when the job is done.
Cost. `keyed`: under 0.2 us per identifier and 16 bytes sent. `ecdh`: one mapping and one multiplication per own
    identifier and one multiplication for every identifier of every other party (about 35 us each); 32 bytes per hop.
"""

from __future__ import annotations

import hmac
from typing import Any, cast

import numpy as np

from federation.align_circle import CircleCoordinator
from federation.align_coordinator import KeyedCoordinator, Overlap
from federation.align_lists import Integers, KeyedList, OwnList
from federation.align_messages import (
    DIGEST_BYTES,
    MESSAGES,
    BlindingId,
    CircleList,
    CirclePart,
    ListStamp,
    Matched,
    MatchingKey,
    OverlapSize,
    PartWanted,
    Points,
    RowCheck,
    TokenList,
    TokenPart,
    disclosures_of,
)
from federation.align_ring import Ring
from federation.align_rows import AlignedRows, check_distinct, checked_positions, row_digest
from federation.align_secrets import Secrets
from federation.jobs import MatchMode, MatchPlan
from federation.messages import COORDINATOR, Message, Outgoing
from federation.roles import MemoryStore, Parties, Progress, Store, expect
from federation.set_algebra import parse, too_few
from privacy import matching
from privacy.errors import CohortTooSmall, CryptoError, MessageInvalid
from privacy.identifiers import Identifiers
from privacy.parallel import ALONE, Workers
from privacy.parameters import TOKEN_BYTES

__all__ = [
    "MESSAGES", "AlignedRows", "BlindingId", "CircleCoordinator", "CircleList", "CirclePart", "FeatureHolder",
    "KeyedCoordinator", "LabelHolder", "ListStamp", "Matched", "MatchingKey", "Overlap", "OverlapSize", "PartWanted",
    "Points", "RowCheck", "TokenList", "TokenPart", "disclosures_of", "row_digest",
]  # fmt: skip


class _Holder:
    """What L and F do alike."""

    name: str

    def __init__(
        self,
        parties: Parties,
        own: str,
        kind: str,
        identifiers: Identifiers,
        *,
        plan: MatchPlan,
        k_min: int,
        store: Store | None = None,
        workers: Workers = ALONE,
    ) -> None:
        """own: this party's name; kind: of identifier, "phone"; identifiers: canonical, distinct, one per own row;
        store: where a rerun of the same job finds what is left of this one (default: nowhere)."""
        self.result: AlignedRows | None = None
        self._parties, self._own, self._kind = parties, own, kind
        self._identifiers, self._plan, self._k_min = identifiers, plan, k_min
        self._members = parse(plan.members, parties.all) if plan.members else None
        self._store = MemoryStore() if store is None else store
        self._workers = workers
        self._secrets: Secrets | None = None
        self._ordered: matching.Blinded | None = None
        self._key = b""
        self._list: OwnList | None = None
        self._early: list[tuple[str, BlindingId]] = []
        self._positions: list[Integers] = []
        self._pieces = 0

    @property
    def progress(self) -> Progress:
        """Of the own list; the join after it is the coordinator's."""
        if self.result is not None or self._list is None:
            return Progress(int(self.result is not None), 1, "align.match")
        return self._list.progress

    def receive(self, sender: str, message: Message) -> list[Outgoing]:
        match message:
            case Matched():
                self._take_matches(sender, message)
                return self._close() if len(self._positions) == message.pieces else []
            case OverlapSize():
                self._take_size(sender, message)
                return []
            case BlindingId() if self._list is None:
                # Another party may have the key, and say hello, before we have it.
                fresh = sender not in [self._own, *(name for name, _ in self._early)]
                in_turn = self._plan.mode is MatchMode.ECDH and sender in self._parties.all and fresh
                expect(in_turn, self.name, message, sender)
                self._early.append((sender, message))
                return []
            case _:
                in_turn = self._list is not None and self.result is None and not self._positions
                expect(in_turn, self.name, message, sender)
                return cast(OwnList, self._list).receive(sender, message)

    def _prepare(self) -> Secrets:
        """The secrets for this list, from an earlier attempt or fresh."""
        if len(self._identifiers) < self._k_min:
            raise CohortTooSmall("align_list_small", k_min=self._k_min)
        self._secrets, ordered = Secrets.of_list(self._store, self._identifiers)
        if self._plan.mode is MatchMode.ECDH:
            self._ordered = ordered
        return self._secrets

    def _begin(self, key: bytes) -> list[Outgoing]:
        """The key is here: the own list can go."""
        if len(key) != matching.KEY_BYTES:
            raise CryptoError("align_key_length", expected=matching.KEY_BYTES)
        self._key = key
        identifiers, self._identifiers = self._identifiers, np.empty(0, dtype="S1")
        if self._ordered is None:
            self._list = KeyedList(key, self._kind, identifiers)
        else:
            self._list = Ring(
                self._own, self._parties.all, key, self._kind, identifiers,
                cast(Secrets, self._secrets), self._ordered, workers=self._workers,
            )  # fmt: skip
        sent = self._list.open()
        for sender, message in self._early:
            sent += self._list.receive(sender, message)
        return sent

    def _take_matches(self, sender: str, message: Matched) -> None:
        in_turn = sender == COORDINATOR and self._list is not None and not self._plan.size_only
        is_complete = bool(self._pieces) and len(self._positions) == self._pieces
        in_turn = in_turn and self.result is None and not is_complete
        expect(in_turn, self.name, message, sender)
        own = cast(OwnList, self._list)
        self._pieces = self._pieces or message.pieces
        expected = (self._pieces, len(self._positions))
        if message.pieces < 1 or (message.pieces, message.piece) != expected:
            raise MessageInvalid("align_parts_invalid")
        self._positions.append(checked_positions(message.positions, len(own)))

    def _aligned(self) -> AlignedRows:
        """The rows of all matched positions. Raises `CohortTooSmall`."""
        own, positions = cast(OwnList, self._list), np.concatenate(self._positions)
        check_distinct(positions, len(own), rising=own.is_sorted)
        if self._members is None:
            if len(positions) < self._k_min:
                raise CohortTooSmall("align_overlap_small", k_min=self._k_min)
        elif too_few(self._members, self._own, len(positions), len(own), self._k_min):
            raise CohortTooSmall("align_result_small", k_min=self._k_min)
        rows, references = own.found(positions)
        return AlignedRows(rows, len(rows), references)

    def _take_size(self, sender: str, message: OverlapSize) -> None:
        in_turn = sender == COORDINATOR and self._list is not None and self.result is None
        expect(in_turn and self._plan.size_only, self.name, message, sender)
        if message.size < self._k_min:
            raise CohortTooSmall("align_overlap_small", k_min=self._k_min)
        shared_by_all = self._members is None
        if message.size % self._k_min or (shared_by_all and message.size > len(cast(OwnList, self._list))):
            raise MessageInvalid("align_size_impossible")
        nothing = np.empty((0, TOKEN_BYTES), dtype=np.uint8)
        self._finish(AlignedRows(np.empty(0, dtype=np.int64), message.size, nothing))

    def _close(self) -> list[Outgoing]:
        """All matches are here."""
        raise NotImplementedError

    def _finish(self, rows: AlignedRows) -> None:
        self.result, self._list = rows, None


class LabelHolder(_Holder):
    """Waits for the partners' stamps, derives the key and shares it with them; compares their rows with its own.

    Raises `CohortTooSmall` when it has fewer than `k_min` identifiers, `MessageInvalid` when a partner has other
    rows than its own.
    """

    name = "align.LabelHolder"

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._own_rows: AlignedRows | None = None
        self._checks: dict[str, bytes] = {}
        self._stamps: dict[str, bytes] = {}

    def start(self) -> list[Outgoing]:
        self._stamps[self._own] = self._prepare().stamp
        return []

    def receive(self, sender: str, message: Message) -> list[Outgoing]:
        match message:
            case ListStamp():
                return self._take_stamp(sender, message)
            case RowCheck():
                self._take_check(sender, message)
                return []
            case _:
                return super().receive(sender, message)

    def _take_stamp(self, sender: str, message: ListStamp) -> list[Outgoing]:
        """A partner's list is ready. Once all are, they get the key for exactly these lists."""
        partner = sender in self._parties.feature_holders and sender not in self._stamps
        expect(partner and self._secrets is not None, self.name, message, sender)
        if len(message.stamp) != DIGEST_BYTES:
            raise MessageInvalid("align_check_length", party=sender, expected=DIGEST_BYTES)
        self._stamps[sender] = message.stamp
        if len(self._stamps) < len(self._parties.all):
            return []
        master = cast(Secrets, self._secrets).master
        key = matching.derived_key(master, [self._stamps[party] for party in self._parties.all])
        given = MatchingKey(kind=self._kind, key=key)
        partners = [Outgoing(name, given) for name in self._parties.feature_holders]
        return partners + self._begin(key)

    def _take_check(self, sender: str, message: RowCheck) -> None:
        # A partner may have its matches, and so send its check, before this party's matches arrive.
        in_turn = (
            bool(self._key)
            and not self._plan.size_only
            and not self._plan.members
            and sender in self._parties.feature_holders
            and sender not in self._checks
            and self.result is None
        )
        expect(in_turn, self.name, message, sender)
        if len(message.digest) != DIGEST_BYTES:
            raise MessageInvalid("align_check_length", party=sender, expected=DIGEST_BYTES)
        self._checks[sender] = message.digest
        self._compare()

    def _close(self) -> list[Outgoing]:
        self._own_rows = self._aligned()
        self._compare()
        return []

    def _compare(self) -> None:
        """Take the own rows as the result once every partner has the same."""
        rows = self._own_rows
        if rows is None:
            return
        if self._plan.members:
            self._finish(rows)
            return
        own = row_digest(self._key, rows.subject_refs)
        differ = [name for name, digest in self._checks.items() if not hmac.compare_digest(digest, own)]
        if differ:
            raise MessageInvalid("align_rows_differ", party=", ".join(sorted(differ)))
        if len(self._checks) == len(self._parties.feature_holders):
            self._finish(rows)


class FeatureHolder(_Holder):
    """Sends a stamp of its list, waits for the key, takes part, and in the end sends the digest of its rows."""

    name = "align.FeatureHolder"

    def start(self) -> list[Outgoing]:
        return [Outgoing(self._parties.label_holder, ListStamp(stamp=self._prepare().stamp))]

    def receive(self, sender: str, message: Message) -> list[Outgoing]:
        if not isinstance(message, MatchingKey):
            return super().receive(sender, message)
        ready = self._secrets is not None and not self._key and self.result is None
        in_turn = sender == self._parties.label_holder and ready
        expect(in_turn, self.name, message, sender)
        if message.kind != self._kind:
            raise MessageInvalid("align_kind_differs", party=sender)
        return self._begin(message.key)

    def _close(self) -> list[Outgoing]:
        rows = self._aligned()
        self._finish(rows)
        if self._plan.members:
            return []
        digest = row_digest(self._key, rows.subject_refs)
        return [Outgoing(self._parties.label_holder, RowCheck(digest=digest))]
