"""ID matching `align`, keyed and server-aided.

Parties. Label holder L and feature holders F1..Fm hold normalised identifiers; the coordinator C joins.
Rounds. L makes a fresh key K and sends it to every F (party-to-party messages are sealed, C never has it).
Every party sends C its tokens, sorted. C intersects all lists and tells each party which positions of its own
list matched, in the order of the shared tokens: the rows of all parties are then aligned. Every F sends L,
sealed, a keyed digest of its rows' references in order; L has a result only when all equal its own.
What each party learns. L, F: which of their own rows all parties share, and so the overlap's size. L also:
whether each F has the same subjects in the same order. C: the size of each list and the overlap of every
group of parties (it compares tokens, so it can compute these), no identifier. A run below `k_min` shared
subjects is refused at C and at every party, without the number.
Source. Kamara, Mohassel, Raykova, Sadeghian 2014, "Scaling Private Set Intersection to Billion-Element Sets",
section 3.
Deviations. HMAC-SHA256 as the PRF; the tokens' sorted order serves as the random permutation; results are
positions, not tokens. C is semi-honest and colludes with no party: C together with one party could enumerate
identifiers. The digests are ours. They catch a C that pairs different subjects, or orders them differently at
two parties. They do not catch a C that tells all parties the same chosen subset of what they share, nor a
party that sends tokens of people it does not have.
Cost. About 1 us per identifier and 16 bytes sent; C: a sorted join, O(n log n).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np

from federation.messages import COORDINATOR, Array, Message, Outgoing
from federation.roles import Disclosure, Disclosures, Parties, Progress, expect
from privacy import matching
from privacy.errors import CohortTooSmall, MessageInvalid
from privacy.parameters import TOKEN_BYTES

MAX_IDENTIFIERS: Final = 50_000_000
"""Largest list of one party; the coordinator refuses a longer one before it looks inside."""

CHECK_BYTES: Final = hashlib.sha256().digest_size
# A token's input begins with its kind, which is neither empty nor holds a zero byte: no check equals a token.
_CHECK_LABEL: Final = b"\x00silhouette align check v1\x00"

DISCLOSES: Final = Disclosures(
    protocol="align",
    label_holder=(
        Disclosure("own_matches", ("align.matched/1",), per_row=True),
        Disclosure("rows_agree", ("align.check/1",)),
    ),
    feature_holder=(
        Disclosure("project_key", ("align.key/1",)),
        Disclosure("own_matches", ("align.matched/1",), per_row=True),
    ),
    coordinator=(Disclosure("sizes_and_overlap", ("align.tokens/1",), per_row=True),),
)


class MatchingKey(Message, frozen=True, tag="align.key/1"):
    """L -> F: the project's key (32 bytes) and the kind of identifier it is for."""

    kind: str
    key: bytes

    def __repr__(self) -> str:
        return "MatchingKey(...)"  # the key must not reach a log or a traceback


class TokenList(Message, frozen=True, tag="align.tokens/1"):
    """Party -> C: its tokens, sorted, `TOKEN_BYTES` each."""

    tokens: bytes


class Matched(Message, frozen=True, tag="align.matched/1"):
    """C -> party: positions in the party's own token list that all parties share.

    positions: (overlap,) uint32, strictly increasing; the i-th of all parties is the same subject.
    """

    positions: Array


class RowCheck(Message, frozen=True, tag="align.check/1"):
    """F -> L: `row_digest` of the sender's aligned rows, `CHECK_BYTES` long."""

    digest: bytes


MESSAGES: Final = (MatchingKey, TokenList, Matched, RowCheck)


@dataclass(frozen=True, slots=True)
class AlignedRows:
    """A party's result. rows: (size,) int64, its own row of each shared subject, in the common order.

    subject_refs: (size, 16) uint8, this project's reference per subject; the same at all parties.
    """

    rows: np.ndarray[Any, np.dtype[np.int64]]
    size: int
    subject_refs: np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True, slots=True)
class Overlap:
    """The coordinator's result: identifiers each party brought, and subjects all of them share."""

    sizes: dict[str, int]
    overlap: int


def row_digest(key: bytes, subject_refs: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    """HMAC-SHA256 under the project's key of all references in order: equal rows at two parties, equal digests.

    subject_refs: (size, 16) uint8. Neither the key nor a reference is known to the coordinator.
    """
    return hmac.digest(key, _CHECK_LABEL + subject_refs.tobytes(), hashlib.sha256)


class _Holder:
    """What L and F do alike once they have the key."""

    def __init__(
        self, parties: Parties, kind: str, identifiers: Sequence[str | bytes], *, k_min: int
    ) -> None:
        self.progress = Progress(total=2, step="align.match")
        self._parties = parties
        self._kind = kind
        self._identifiers: Sequence[str | bytes] = identifiers
        self._k_min = k_min
        self._key = b""
        self._blinded: matching.Blinded | None = None
        self._result: AlignedRows | None = None

    @property
    def result(self) -> AlignedRows | None:
        """The aligned rows, or None while the protocol is running."""
        return self._result

    def _send_tokens(self, key: bytes) -> Outgoing:
        if len(self._identifiers) < self._k_min:
            raise CohortTooSmall("align_list_small", k_min=self._k_min)
        self._key = key
        self._blinded = matching.blind(key, self._kind, self._identifiers)
        self._identifiers = ()
        self.progress.done = 1
        return Outgoing(COORDINATOR, TokenList(tokens=matching.dump_tokens(self._blinded.tokens)))

    def _take_matches(self, sender: str, message: Message, role: str) -> tuple[AlignedRows, bytes]:
        """The aligned rows and their digest."""
        blinded = self._blinded
        in_turn = isinstance(message, Matched) and sender == COORDINATOR and blinded is not None
        expect(in_turn, role, message, sender)
        blinded = cast(matching.Blinded, blinded)
        positions = _checked_positions(cast(Matched, message).positions, len(blinded.tokens))
        if len(positions) < self._k_min:
            raise CohortTooSmall("align_overlap_small", k_min=self._k_min)
        references = matching.subject_refs(self._key, blinded.tokens[positions])
        self._blinded = None
        rows = AlignedRows(blinded.rows[positions], len(positions), references)
        return rows, row_digest(self._key, references)

    def _finish(self, rows: AlignedRows) -> None:
        self._result = rows
        self.progress.done = self.progress.total


class LabelHolder(_Holder):
    """Starts the matching: makes the key and shares it with the partners; compares their rows with its own.

    identifiers: normalised, distinct, one per own row. Raises `CohortTooSmall` when it has fewer than
    `k_min`, `MessageInvalid` when a partner has other rows than its own.
    """

    def __init__(
        self, parties: Parties, kind: str, identifiers: Sequence[str | bytes], *, k_min: int
    ) -> None:
        super().__init__(parties, kind, identifiers, k_min=k_min)
        self._own: tuple[AlignedRows, bytes] | None = None
        self._checks: dict[str, bytes] = {}

    def start(self) -> list[Outgoing]:
        key = matching.new_key()
        tokens = self._send_tokens(key)
        message = MatchingKey(kind=self._kind, key=key)
        return [*(Outgoing(name, message) for name in self._parties.feature_holders), tokens]

    def receive(self, sender: str, message: Message) -> list[Outgoing]:
        if isinstance(message, RowCheck):
            self._take_check(sender, message)
        else:
            self._own = self._take_matches(sender, message, "label holder")
        self._compare()
        return []

    def _take_check(self, sender: str, message: RowCheck) -> None:
        # A partner may have its matches, and so send its check, before this party's matches arrive.
        started = self._blinded is not None or self._own is not None
        in_turn = (
            started
            and sender in self._parties.feature_holders
            and sender not in self._checks
            and self._result is None
        )
        expect(in_turn, "label holder", message, sender)
        if len(message.digest) != CHECK_BYTES:
            raise MessageInvalid("align_check_length", party=sender, expected=CHECK_BYTES)
        self._checks[sender] = message.digest

    def _compare(self) -> None:
        """Take the own rows as the result once every partner has the same."""
        if self._own is None:
            return
        rows, own = self._own
        differ = [name for name, digest in self._checks.items() if not hmac.compare_digest(digest, own)]
        if differ:
            raise MessageInvalid("align_rows_differ", party=", ".join(sorted(differ)))
        if len(self._checks) == len(self._parties.feature_holders):
            self._finish(rows)


class FeatureHolder(_Holder):
    """Waits for the key, then sends its tokens, and in the end the digest of its rows.

    Arguments as for `LabelHolder`.
    """

    def start(self) -> list[Outgoing]:
        return []

    def receive(self, sender: str, message: Message) -> list[Outgoing]:
        if isinstance(message, MatchingKey):
            return [self._take_key(sender, message)]
        rows, digest = self._take_matches(sender, message, "feature holder")
        self._finish(rows)
        return [Outgoing(self._parties.label_holder, RowCheck(digest=digest))]

    def _take_key(self, sender: str, message: MatchingKey) -> Outgoing:
        expect(
            sender == self._parties.label_holder and self._blinded is None and self._result is None,
            "feature holder",
            message,
            sender,
        )
        if message.kind != self._kind:
            raise MessageInvalid("align_kind_differs", party=sender)
        return self._send_tokens(message.key)


class Coordinator:
    """Joins the parties' token lists. Raises `CohortTooSmall` when fewer than `k_min` subjects are shared."""

    def __init__(self, parties: Parties, *, k_min: int, max_identifiers: int = MAX_IDENTIFIERS) -> None:
        self.progress = Progress(total=len(parties.all), step="align.match")
        self._parties = parties
        self._k_min = k_min
        self._max_identifiers = max_identifiers
        self._tokens: dict[str, matching.Tokens] = {}
        self._result: Overlap | None = None

    @property
    def result(self) -> Overlap | None:
        """Sizes and overlap, or None while lists are missing."""
        return self._result

    def start(self) -> list[Outgoing]:
        return []

    def receive(self, sender: str, message: Message) -> list[Outgoing]:
        in_turn = (
            isinstance(message, TokenList)
            and sender in self._parties.all
            and sender not in self._tokens
            and self._result is None
        )
        expect(in_turn, "coordinator", message, sender)
        data = cast(TokenList, message).tokens
        if len(data) > self._max_identifiers * TOKEN_BYTES:
            raise MessageInvalid("align_tokens_too_many", party=sender, limit=self._max_identifiers)
        self._tokens[sender] = matching.load_tokens(data, sender)
        self.progress.done = len(self._tokens)
        if len(self._tokens) < len(self._parties.all):
            return []
        lists = [self._tokens[name] for name in self._parties.all]
        positions = matching.intersect(lists)
        overlap = len(positions[0])
        if overlap < self._k_min:
            raise CohortTooSmall("align_overlap_small", k_min=self._k_min)
        self._result = Overlap({name: len(self._tokens[name]) for name in self._parties.all}, overlap)
        self._tokens = {}
        return [
            Outgoing(name, Matched(positions=own.astype(np.uint32)))
            for name, own in zip(self._parties.all, positions, strict=True)
        ]


def _checked_positions(positions: Array, n_tokens: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Positions as int64. Raises `MessageInvalid` unless they are distinct places of the list in the common
    order."""
    if positions.ndim != 1 or positions.dtype != np.uint32:
        raise MessageInvalid("align_positions_type")
    wide = positions.astype(np.int64)
    if len(wide) and int(wide.max()) >= n_tokens:
        raise MessageInvalid("align_positions_outside")
    if (np.diff(wide) <= 0).any():
        # Every list is in token order, so shared tokens come at rising places; this also rules out repeats.
        raise MessageInvalid("align_positions_order")
    return wide
