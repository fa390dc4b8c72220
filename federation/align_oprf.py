"""ID matching between two parties by an oblivious pseudorandom function: `oprf`. EXPERIMENTAL until reviewed by others.

Parties. Label holder L and one feature holder F hold normalised identifiers. The coordinator only relays.
Rounds. L and F tell each other the lengths of their lists. L offers base transfers, F chooses, L sends the key of the
function; F then asks for the corrections bucket by bucket and learns the value f(x) of each of its identifiers,
while L learns f of its own. F sends L its values, sorted. L compares, and tells F which of F's are shared. F sends
L a keyed digest of its rows' references in order, as in `align`; L has a result only when it equals its own.
What each party learns. L, F: which of their own rows both share; the length of the other's list. F: a key that
    names shared subjects. L also: f of F's other identifiers, which are random to it. C: sizes of messages. A run
    below `k_min` subjects is refused; L has compared by then, so that against L the minimum is L's own restraint.
Source. Chase and Miao 2020, "Private Set Intersection in the Internet Setting From Lightweight Oblivious PRF"
    (`privacy.oprf`, with its own list of deviations).
Deviations. Both parties learn the intersection, because both need their rows; the digest is ours.
Not protected. Parties that deviate: L may name shared rows as it likes (the digest catches contradictions, not
    omissions); see `privacy.oprf` for the function itself. Nothing is kept for a rerun: it starts from the beginning.
Cost. About 6 us per identifier at both parties together; 84 to 123 bytes per identifier of L, 16 per one of F.
"""

from __future__ import annotations

import hmac
from typing import Any, Final, cast

import numpy as np

from federation.align_lists import MAX_IDENTIFIERS, TOKENS_PER_PART
from federation.align_messages import DIGEST_BYTES, RowCheck
from federation.align_oprf_messages import (
    DISCLOSES,
    MESSAGES,
    Begin,
    BucketWanted,
    Choices,
    Correction,
    FunctionKey,
    Join,
    Offer,
    Shared,
    Values,
)
from federation.align_rows import AlignedRows, check_distinct, checked_positions, row_digest
from federation.messages import Message, Outgoing
from federation.roles import Parties, Progress, expect
from privacy import joining, matching, oprf
from privacy.errors import CohortTooSmall, CryptoError, MessageInvalid
from privacy.identifiers import Identifiers

BUCKETS_UNDER_WAY: Final = 2
"""Corrections that F has asked for and not yet had: L makes one while F works on another."""


class _Party:
    """What both do alike."""

    name: str

    def __init__(self, parties: Parties, kind: str, identifiers: Identifiers, *, k_min: int) -> None:
        """kind, identifiers: as in `align`; canonical, distinct, one per own row."""
        self.progress = Progress(0, 1, "align.match")
        self.result: AlignedRows | None = None
        self._parties, self._kind, self._identifiers, self._k_min = parties, kind, identifiers, k_min
        self._key = b""

    def _check_lists(self, sender: str, count: int) -> None:
        if not 1 <= count <= MAX_IDENTIFIERS:
            raise MessageInvalid("align_tokens_too_many", party=sender, limit=MAX_IDENTIFIERS)

    def _check_own(self) -> None:
        if len(self._identifiers) < self._k_min:
            raise CohortTooSmall("align_list_small", k_min=self._k_min)

    def _rows(self, blinded: matching.Blinded, positions: np.ndarray[Any, np.dtype[np.int64]]) -> AlignedRows:
        if len(positions) < self._k_min:
            raise CohortTooSmall("align_overlap_small", k_min=self._k_min)
        references = matching.subject_refs(self._key, blinded.tokens[positions])
        return AlignedRows(blinded.rows[positions], len(positions), references)

    def _finish(self, rows: AlignedRows) -> None:
        self.result = rows
        self.progress.done = self.progress.total


class LabelHolder(_Party):
    """The function's receiver: learns which of F's values are its own, and says so."""

    name = "align_oprf.LabelHolder"

    def __init__(self, parties: Parties, kind: str, identifiers: Identifiers, *, k_min: int) -> None:
        super().__init__(parties, kind, identifiers, k_min=k_min)
        (self._partner,) = parties.feature_holders
        self._receiver: oprf.Receiver | None = None
        self._answered = False
        self._sent = self._count = 0
        self._theirs: list[joining.Tokens] = []
        self._own: AlignedRows | None = None

    def start(self) -> list[Outgoing]:
        self._check_own()
        self._key = matching.new_key()
        begin = Begin(kind=self._kind, count=len(self._identifiers), key=self._key)
        return [Outgoing(self._partner, begin)]

    def receive(self, sender: str, message: Message) -> list[Outgoing]:
        mine = bool(self._key) and self.result is None and sender == self._partner
        receiver = self._receiver if mine else None
        in_turn = False
        match message:
            case Join():
                in_turn = mine and self._receiver is None
            case Choices():
                in_turn = receiver is not None and not self._answered
            case BucketWanted():
                in_turn = self._answered and receiver is not None and message.bucket == self._sent
            case Values():
                in_turn = receiver is not None and receiver.blinded is not None and self._own is None
            case RowCheck():
                in_turn = mine and self._own is not None
        expect(in_turn, self.name, message, sender)
        match message:
            case Join():
                return self._offer(sender, message)
            case Choices():
                self._answered = True
                key = cast(oprf.Receiver, receiver).answer(message.data)
                return [Outgoing(sender, FunctionKey(data=key))]
            case BucketWanted():
                return self._correct(sender, cast(oprf.Receiver, receiver), message)
            case Values():
                return self._compare(sender, cast(oprf.Receiver, receiver), message)
            case RowCheck():
                self._check(sender, message)
        return []

    def _offer(self, sender: str, message: Join) -> list[Outgoing]:
        self._check_lists(sender, message.count)
        self._count = message.count
        identifiers, self._identifiers = self._identifiers, np.empty(0, dtype="S1")
        self._receiver = oprf.Receiver(self._kind, identifiers, message.count, sender)
        self.progress.total = self._receiver.parameters.n_buckets + 1
        return [Outgoing(sender, Offer(data=self._receiver.offer()))]

    def _correct(self, sender: str, receiver: oprf.Receiver, message: BucketWanted) -> list[Outgoing]:
        if message.bucket >= receiver.parameters.n_buckets:
            raise MessageInvalid("oprf_bucket_invalid", party=sender)
        self._sent += 1
        self.progress.done = self._sent
        data = receiver.correction(message.bucket)
        return [Outgoing(sender, Correction(bucket=message.bucket, data=data))]

    def _compare(self, sender: str, receiver: oprf.Receiver, message: Values) -> list[Outgoing]:
        parts = joining.parts_for(self._count, TOKENS_PER_PART)
        if message.parts != parts or message.part != len(self._theirs):
            raise MessageInvalid("align_parts_invalid")
        tokens = joining.load(message.tokens, sender)
        joining.check_part(tokens, parts, message.part, sender)
        self._theirs.append(tokens)
        if len(self._theirs) < parts:
            return []
        theirs = np.concatenate(self._theirs)
        if len(theirs) != self._count:
            raise MessageInvalid("align_list_invalid", party=sender)
        blinded = cast(matching.Blinded, receiver.blinded)
        own, others = joining.intersect([blinded.tokens, theirs])
        self._own = self._rows(blinded, own)
        return [Outgoing(sender, Shared(positions=others.astype(np.uint32)))]

    def _check(self, sender: str, message: RowCheck) -> None:
        own = cast(AlignedRows, self._own)
        if len(message.digest) != DIGEST_BYTES:
            raise MessageInvalid("align_check_length", party=sender, expected=DIGEST_BYTES)
        if not hmac.compare_digest(message.digest, row_digest(self._key, own.subject_refs)):
            raise MessageInvalid("align_rows_differ", party=sender)
        self._finish(own)


class FeatureHolder(_Party):
    """The function's sender: has its identifiers evaluated and gives the values to L."""

    name = "align_oprf.FeatureHolder"

    def __init__(self, parties: Parties, kind: str, identifiers: Identifiers, *, k_min: int) -> None:
        super().__init__(parties, kind, identifiers, k_min=k_min)
        self._sender: oprf.Sender | None = None
        self._chosen = False
        self._asked = self._done = 0
        self._blinded: matching.Blinded | None = None

    def start(self) -> list[Outgoing]:
        return []

    def receive(self, sender: str, message: Message) -> list[Outgoing]:
        mine = self.result is None and sender == self._parties.label_holder
        function = self._sender if mine else None
        in_turn = False
        match message:
            case Begin():
                in_turn = mine and not self._key
            case Offer():
                in_turn = function is not None and not self._chosen
            case FunctionKey():
                in_turn = function is not None and self._chosen and not self._asked
            case Correction():
                in_turn = function is not None and self._done <= message.bucket < self._asked
            case Shared():
                in_turn = mine and self._blinded is not None
        expect(in_turn, self.name, message, sender)
        match message:
            case Begin():
                return self._join(sender, message)
            case Offer():
                self._chosen = True
                return [Outgoing(sender, Choices(data=cast(oprf.Sender, function).choose(message.data)))]
            case FunctionKey():
                cast(oprf.Sender, function).start(message.data)
                return self._ask(sender)
            case Correction():
                return self._evaluate(sender, cast(oprf.Sender, function), message)
            case Shared():
                return self._take_shared(sender, message)
        return []

    def _join(self, sender: str, message: Begin) -> list[Outgoing]:
        if message.kind != self._kind:
            raise MessageInvalid("align_kind_differs", party=sender)
        if len(message.key) != matching.KEY_BYTES:
            raise CryptoError("align_key_length", expected=matching.KEY_BYTES)
        self._check_lists(sender, message.count)
        self._check_own()
        self._key = message.key
        identifiers, self._identifiers = self._identifiers, np.empty(0, dtype="S1")
        self._sender = oprf.Sender(self._kind, identifiers, message.count, sender)
        self.progress.total = self._sender.parameters.n_buckets + 1
        return [Outgoing(sender, Join(count=len(identifiers)))]

    def _ask(self, sender: str) -> list[Outgoing]:
        """Ask for the next buckets, as far as the window allows."""
        most = min(cast(oprf.Sender, self._sender).parameters.n_buckets, self._done + BUCKETS_UNDER_WAY)
        wanted = [Outgoing(sender, BucketWanted(bucket=bucket)) for bucket in range(self._asked, most)]
        self._asked = most
        return wanted

    def _evaluate(self, sender: str, function: oprf.Sender, message: Correction) -> list[Outgoing]:
        function.evaluate(message.bucket, message.data)
        self._done += 1
        self.progress.done = self._done
        blinded = function.blinded
        if blinded is None:
            return self._ask(sender)
        self._blinded = blinded
        n_parts = joining.parts_for(len(blinded.tokens), TOKENS_PER_PART)
        return [
            Outgoing(sender, Values(parts=n_parts, part=part, tokens=joining.dump(blinded.tokens[own])))
            for part, own in enumerate(joining.parts(blinded.tokens, n_parts))
        ]

    def _take_shared(self, sender: str, message: Shared) -> list[Outgoing]:
        blinded = cast(matching.Blinded, self._blinded)
        positions = checked_positions(message.positions, len(blinded.tokens))
        check_distinct(positions, len(blinded.tokens), rising=True)
        rows = self._rows(blinded, positions)
        self._blinded = None
        self._finish(rows)
        return [Outgoing(sender, RowCheck(digest=row_digest(self._key, rows.subject_refs)))]


__all__ = [
    "DISCLOSES", "MESSAGES", "Begin", "BucketWanted", "Choices", "Correction", "FeatureHolder", "FunctionKey", "Join",
    "LabelHolder", "Offer", "Shared", "Values",
]  # fmt: skip
