"""The coordinator's part of vertical k-means. The protocol is described in `kmeans`."""

from __future__ import annotations

from typing import Final, cast

from gmpy2 import mpz

from federation.kmeans_messages import Key, Outcome, PartialDistances, TotalDistances, layout_of
from federation.messages import Message, Outgoing
from federation.roles import Parties, Progress, expect
from privacy.errors import KeyMismatch, MessageInvalid
from privacy.paillier import PublicKey
from privacy.parameters import Profile

MAX_VALUES: Final = 1 << 28
"""Most values in one exchange; the coordinator refuses more before it reads them."""


class Coordinator:
    """Multiplies the partners' ciphertexts; learns nothing but sizes. Its result is the number of exchanges.

    The product is not re-randomised: each factor carries fresh randomness of its sender, so the product's
    randomness is fresh too, and it goes to the key holder alone.
    """

    def __init__(self, parties: Parties, *, profile: Profile, max_values: int = MAX_VALUES) -> None:
        self.progress = Progress()
        self._parties = parties
        self._profile = profile
        self._max_values = max_values
        self._key: PublicKey | None = None
        self._waiting: dict[str, PartialDistances] = {}
        self._last = (0, 0)
        self._exchanges = 0
        self._result: int | None = None

    @property
    def result(self) -> int | None:
        """How many sums were made, or None while the protocol is running."""
        return self._result

    def start(self) -> list[Outgoing]:
        return []

    def receive(self, sender: str, message: Message) -> list[Outgoing]:
        expect(self._result is None and self._is_next(sender, message), "coordinator", message, sender)
        if isinstance(message, Key):
            self._key = PublicKey.from_bytes(message.modulus, self._profile.key_bits)
        elif isinstance(message, Outcome):
            self._result = self._exchanges
            return []
        else:
            partial = cast(PartialDistances, message)
            if not 0 < partial.n_values <= self._max_values:
                raise MessageInvalid("kmeans_values_many", party=sender, limit=self._max_values)
            self._waiting[sender] = partial
        if self._key is None or len(self._waiting) < len(self._parties.feature_holders):
            return []
        return [Outgoing(self._parties.label_holder, self._total(self._key))]

    def _is_next(self, sender: str, message: Message) -> bool:
        if isinstance(message, Key):
            return sender == self._parties.label_holder and self._key is None
        if isinstance(message, Outcome):
            return sender == self._parties.label_holder and self._exchanges > 0 and not self._waiting
        if not isinstance(message, PartialDistances) or sender not in self._parties.feature_holders:
            return False
        stage, iteration = self._last
        follows = (message.stage, message.iteration) in {(stage, iteration + 1), (stage + 1, 1)}
        return follows and sender not in self._waiting

    def _total(self, key: PublicKey) -> TotalDistances:
        layout = layout_of(key.bits, self._profile, self._parties)
        first = self._waiting[self._parties.feature_holders[0]]
        total: list[mpz] = []
        for name in self._parties.feature_holders:
            partial = self._waiting[name]
            if partial.key_digest != key.digest:
                raise KeyMismatch("kmeans_key_differs", party=name)
            same_round = (partial.stage, partial.iteration) == (first.stage, first.iteration)
            if not same_round or partial.n_values != first.n_values:
                raise MessageInvalid("kmeans_values_count", party=name)
            own = key.load(partial.ciphertexts, layout.plaintexts(partial.n_values))
            total = key.add(total, own) if total else own
        self._waiting = {}
        self._last = (first.stage, first.iteration)
        self._exchanges += 1
        self.progress.done = self._exchanges
        return TotalDistances(
            stage=first.stage,
            iteration=first.iteration,
            key_digest=key.digest,
            n_values=first.n_values,
            ciphertexts=key.dump(total),
        )
