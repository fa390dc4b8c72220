"""Recall: the rows of a finished job that every party still has, to train its models again without the others.

Parties. Label holder L and feature holders F1..Fm of the earlier job, the same ones. Each has that job's handle: the
subject references of its rows, in the order of the matching, less those that have been deleted here since and those
that the gate no longer admits.
Rounds. F -> L: number of its references and their digest. Where all are as L's own, L -> F: settled. Else L asks
those whose digest differs for their references; F -> L: the list; L -> all F: the places in each one's own list of the
rows that everybody still has. Everybody ends with the same references in the same order.
What each party learns. L: whether each F still has the same rows, and if not, which references it has (`own_rows`
of the earlier job are known to L; so this tells it which of them have left at that F). F: which of its own rows stay,
hence which have left elsewhere, but not at whom. C: nothing but that messages pass, their sizes and who sent them;
whoever leaves is left out of its traffic by 16 bytes, of sealed frames.
Source. Deletion has to reach what was made with the data (PIPL 47): training again without it (ADR 24). Every party
for itself refuses a model that would differ from the one before by fewer than `least_changes` rows: the difference
would speak of these people alone.
Deviations. References are this project's secret names of subjects (`federation.align_rows`), 16 random-looking bytes:
who was not told one cannot ask about it. L may have given a row up itself that F still has, so a reference that it
does not know is left out and not refused; more than the job ever had, or the same twice, are refused.
Equals. The intersection of the lists, in the order of the earlier matching.
Cost. One message each way of 40 bytes; where lists differ, 16 bytes a row more to L and 4 back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from federation.align_lists import Integers, References
from federation.align_rows import check_distinct, checked_positions
from federation.messages import Array, Message, Outgoing
from federation.recall_messages import (
    DISCLOSES,
    MESSAGES,
    MINIMUM_CHANGES,
    Held,
    ReferenceList,
    Settled,
    Staying,
    Wanted,
    check_references,
    digest_of,
)
from federation.roles import Parties, Progress, expect
from privacy.errors import CohortTooSmall, Denied, MessageInvalid
from privacy.reasons import Finding, Reason

__all__ = ["DISCLOSES", "MESSAGES", "MINIMUM_CHANGES", "FeatureHolder", "LabelHolder", "RecalledRows"]


@dataclass(frozen=True, slots=True)
class RecalledRows:
    """A party's result. places: (n,) rising places in the list it came with; changes: by how many rows fewer than the
    earlier job trained with, at least `least_changes`."""

    places: Integers
    changes: int


class _Holder:
    """What L and F have in common. session: the earlier job's; references: (n, 16) uint8; before: how many rows it had.

    Raises `MessageInvalid` for references that cannot be a job's, `CohortTooSmall` when fewer than k_min are left.
    """

    name: str

    def __init__(
        self,
        parties: Parties,
        session: str,
        references: References,
        *,
        before: int,
        k_min: int,
        least_changes: int = MINIMUM_CHANGES,
    ) -> None:
        check_references(references, before)
        if len(references) < k_min:
            raise CohortTooSmall("rows_left_few", k_min=k_min)
        self._parties, self._session, self._references = parties, session, references
        self._before, self._k_min, self._least_changes = before, k_min, least_changes
        self._digest = digest_of(session, references)
        self._result: RecalledRows | None = None
        self.progress = Progress(total=1, step="recall.compare")

    @property
    def result(self) -> RecalledRows | None:
        """The rows that all still have, or None while the protocol is running."""
        return self._result

    def _accept(self, places: Integers) -> None:
        """Raises `CohortTooSmall`, and `Denied` where the model would differ from the one before by a few rows."""
        if len(places) < self._k_min:
            raise CohortTooSmall("rows_left_few", k_min=self._k_min)
        changes = self._before - len(places)
        if changes < self._least_changes:
            raise Denied.of([Finding(Reason.DIFFERENCING_RISK)])
        self._result = RecalledRows(places, changes)
        self.progress.done = 1


class FeatureHolder(_Holder):
    """A partner: says what it has, and takes what all have."""

    name = "recall.FeatureHolder"
    _has_sent_list = False

    def start(self) -> list[Outgoing]:
        held = Held(size=len(self._references), digest=self._digest)
        return [Outgoing(self._parties.label_holder, held)]

    def receive(self, sender: str, message: Message) -> list[Outgoing]:
        """Raises `UnexpectedMessage`, `MessageInvalid`, `CohortTooSmall`, `Denied` (R-DIFFERENCING-RISK)."""
        is_turn = sender == self._parties.label_holder and self._result is None
        match message:
            case Wanted() if is_turn and not self._has_sent_list:
                self._has_sent_list = True
                return [Outgoing(sender, ReferenceList(references=self._references))]
            case Settled() if is_turn and not self._has_sent_list:
                self._check(message.digest, self._references)
                self._accept(np.arange(len(self._references)))
            case Staying() if is_turn:
                places = checked_positions(message.positions, len(self._references))
                check_distinct(places, len(self._references), rising=True)
                self._check(message.digest, self._references[places])
                self._accept(places)
            case _:
                expect(False, self.name, message, sender)
        return []

    def _check(self, digest: bytes, references: References) -> None:
        if digest != digest_of(self._session, references):
            raise MessageInvalid("recall_rows_differ", party=self._parties.label_holder)


class LabelHolder(_Holder):
    """Compares, and tells everybody what all have."""

    name = "recall.LabelHolder"

    def __init__(self, parties: Parties, session: str, references: References, **rules: int) -> None:
        super().__init__(parties, session, references, **rules)
        self._held: dict[str, Held] = {}
        self._lists: dict[str, References] = {}
        self._asked: set[str] = set()

    def start(self) -> list[Outgoing]:
        return []

    def receive(self, sender: str, message: Message) -> list[Outgoing]:
        """Raises `UnexpectedMessage`, `MessageInvalid`, `CohortTooSmall`, `Denied` (R-DIFFERENCING-RISK)."""
        is_partner = sender in self._parties.feature_holders and self._result is None
        match message:
            case Held() if is_partner and sender not in self._held:
                if message.size > self._before:
                    raise MessageInvalid("recall_references", party=sender)
                self._held[sender] = message
                return self._compare() if len(self._held) == len(self._parties.feature_holders) else []
            case ReferenceList() if is_partner and sender in self._asked - self._lists.keys():
                self._take(sender, message.references)
                return self._settle() if self._lists.keys() == self._asked else []
            case _:
                expect(False, self.name, message, sender)
                return []

    def _compare(self) -> list[Outgoing]:
        differing = [
            name for name in self._parties.feature_holders if self._held[name].digest != self._digest
        ]
        if differing:
            self._asked = set(differing)
            return [Outgoing(name, Wanted()) for name in differing]
        self._accept(np.arange(len(self._references)))
        settled = Settled(digest=self._digest)
        return [Outgoing(name, settled) for name in self._parties.feature_holders]

    def _take(self, sender: str, references: Array) -> None:
        """Raises `MessageInvalid` unless this is what the sender said it has."""
        check_references(references, self._before, sender)
        held = self._held[sender]
        if len(references) != held.size or digest_of(self._session, references) != held.digest:
            raise MessageInvalid("recall_rows_differ", party=sender)
        self._lists[sender] = references

    def _settle(self) -> list[Outgoing]:
        # In the order of the earlier matching, which every party has kept: a list in another order is refused below.
        own = {reference.tobytes(): place for place, reference in enumerate(self._references)}
        common = np.ones(len(self._references), dtype=np.bool_)
        known: dict[str, Integers] = {}
        for name, references in self._lists.items():
            places = known[name] = np.array([own.get(item.tobytes(), -1) for item in references], np.int64)
            if (np.diff(places[places >= 0]) <= 0).any():
                raise MessageInvalid("recall_order", party=name)
            common &= np.isin(np.arange(len(common)), places)
        self._accept(np.flatnonzero(common))
        return self._tell(common, known)

    def _tell(
        self, common: np.ndarray[Any, np.dtype[np.bool_]], known: Mapping[str, Integers]
    ) -> list[Outgoing]:
        digest = digest_of(self._session, self._references[common])
        outgoing = []
        for name in self._parties.feature_holders:
            places = known.get(name, np.arange(len(self._references)))
            stays = (places >= 0) & common[places]
            positions = np.flatnonzero(stays).astype(np.uint32)
            outgoing.append(Outgoing(name, Staying(positions=positions, digest=digest)))
        return outgoing
