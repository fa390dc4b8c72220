"""Who is left out of a job and why: the rules that need a row (PIPL 13 to 15, 19, 23, 28, 29, 31, 47)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

import numpy as np
import pandas as pd

from clients.consents.store import ConsentStore
from clients.tables.columns import Mask, is_unknown_age
from clients.tables.specs import TableSpec
from clients.tables.subjects import Funnel, ages_of
from privacy.consent import NOT_CONSENT, Answer, ConsentKind, Need, funnel_step
from privacy.decision import CHILD_AGE, Terms
from privacy.joining import Tokens

_WORST_FIRST: Final = (Answer.WITHDRAWN, Answer.EXPIRED, Answer.STALE, Answer.NEVER)


def steps_of(terms: Terms) -> frozenset[str]:
    """Every step that may exclude a row under these terms, whether it excludes anybody or not."""
    needs = [*terms.needs, *(need for found in terms.field_needs.values() for need in found)]
    if terms.purpose.minimum_age < CHILD_AGE:
        needs.append(guardian_need(terms))
    return frozenset(NOT_CONSENT) | {
        funnel_step(need, answer) for need in needs for answer in Answer if answer is not Answer.YES
    }


def guardian_need(terms: Terms) -> Need:
    """What a child's parent or guardian has to have agreed to (31)."""
    return Need(terms.purpose.name, ConsentKind.GUARDIAN)


def asked_of(terms: Terms, children: Mask) -> Iterator[tuple[Need, Mask]]:
    """Every consent that the job needs, and the rows (n,) whose subjects are asked for it.

    children: for whom a guardian speaks in place of the general consent.
    """
    for need in terms.needs:
        if need.kind is ConsentKind.GENERAL:
            yield guardian_need(terms), children
            yield need, ~children
        else:
            yield need, np.ones_like(children)


class RowRules:
    """The rules of one job over one table."""

    def __init__(self, spec: TableSpec, terms: Terms, store: ConsentStore, now: datetime) -> None:
        self._spec, self._terms, self._store, self._now = spec, terms, store, now
        self._known: dict[Need, np.ndarray[tuple[int], np.dtype[np.uint8]]] = {}

    def exclude_by_age(self, frame: pd.DataFrame, funnel: Funnel) -> Mask:
        """Excludes minors and people of unknown age; returns who is a child that a guardian may speak for."""
        purpose = self._terms.purpose
        ages = ages_of(self._spec, frame, self._now.astimezone().date())
        ages = np.full(funnel.total, np.nan) if ages is None else ages
        unknown = is_unknown_age(ages)
        children: Mask = ~unknown & (ages < CHILD_AGE)
        guarded = purpose.minimum_age < CHILD_AGE
        # A registration may ask for more; without a word of its own it says the law's age for children.
        registered = 0 if self._spec.minimum_age == CHILD_AGE else self._spec.minimum_age
        least = max(purpose.minimum_age, registered)
        funnel.exclude("under_age", children & (not guarded))
        funnel.exclude("minor", ~unknown & (ages < least) & ~(children & (not guarded)))
        if not (purpose.keep_unknown_age or self._spec.keep_unknown_age):
            funnel.exclude("age_unknown", unknown)
        return children

    def exclude_by_retention(self, frame: pd.DataFrame, funnel: Funnel) -> None:
        """Excludes rows whose own period is over, and rows of which it cannot be told (19)."""
        column = self._spec.retain_until_column
        if column is None or column not in frame:
            return
        until = pd.to_datetime(frame[column], errors="coerce", format="ISO8601", utc=True)
        today = pd.Timestamp(self._now.astimezone().date(), tz="UTC")
        funnel.exclude("retention_expired", ~(until >= today).to_numpy())

    def exclude_by_state(self, tokens: Tokens, funnel: Funnel) -> None:
        """Excludes whom nothing but storage may touch (47)."""
        rows = np.flatnonzero(funnel.remaining)
        mask = np.zeros(funnel.total, np.bool_)
        mask[rows] = self._store.restricted(tokens[rows], self._now)
        funnel.exclude("restricted", mask)

    def exclude_by_consent(self, tokens: Tokens, children: Mask, funnel: Funnel) -> None:
        """Excludes everybody whose latest word on any need of the job is not a yes that holds."""
        for need, concerned in asked_of(self._terms, children):
            if need.kind is ConsentKind.GUARDIAN and not (concerned & funnel.remaining).any():
                continue  # where nobody is a child, guardians are no step
            answers = self.answers(tokens, need, funnel)
            for answer in _WORST_FIRST:
                funnel.exclude(funnel_step(need, answer), concerned & (answers == answer))

    def lacking(self, tokens: Tokens, needs: tuple[Need, ...], funnel: Funnel) -> list[tuple[str, Mask]]:
        """Per step that concerns anybody who remains: whose word on a field's needs is missing."""
        found = []
        for need in needs:
            answers = self.answers(tokens, need, funnel)
            for answer in _WORST_FIRST:
                rows = (answers == answer) & funnel.remaining
                if rows.any():
                    found.append((funnel_step(need, answer), rows))
        return found

    def answers(
        self, tokens: Tokens, need: Need, funnel: Funnel
    ) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
        """(rows of the file,): who remains is asked about, once for each need; everybody else counts as yes."""
        if need not in self._known:
            rows = np.flatnonzero(funnel.remaining)
            answers = np.full(funnel.total, Answer.YES, np.uint8)
            answers[rows] = self._store.answers(tokens[rows], need, self._terms.notices, self._now)
            self._known[need] = answers
        return self._known[need]
