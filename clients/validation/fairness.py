"""Whether a score treats groups of people alike: approvals, outcomes and ranking per group of one attribute.

Sources: the four-fifths rule, 29 CFR 1607.4(D) (a group's approval rate under 80 % of the highest is evidence of
adverse impact); equal opportunity, Hardt, Price and Srebro 2016, definition 2.2 (among the good, approvals should not
depend on the group). Both are measured on held-out rows at one cut, and both are indications, not verdicts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from clients.validation.measures import Counts, Floats, Labels, Mask
from federation import metrics
from privacy.small_cells import hidden_cells, hidden_totals

FOUR_FIFTHS: Final = 0.8


@dataclass(frozen=True, slots=True)
class GroupOutcome:
    """One group. None: hidden, or not defined.

    rows: people; approval, bad_rate, good_approval (among the good) in [0, 1]; impact_ratio: its approval over the
    reference's; opportunity: its good_approval minus the reference's.
    """

    name: str
    rows: int | None
    approval: float | None
    bad_rate: float | None
    good_approval: float | None
    auc: float | None
    impact_ratio: float | None = None
    opportunity: float | None = None


def group_outcomes(
    names: Sequence[str], groups: Counts, labels: Labels, approved: Mask, risk: Floats, k_min: int
) -> tuple[tuple[GroupOutcome, ...], str | None]:
    """(the groups in the order of `names`, the reference: the one with the highest shown approval rate).

    groups: (n,), places in `names`; people whose attribute is not known are a group as well, or they would follow from
        the totals.

    The totals of approved, declined, good and bad people are known from other tables. So approvals and outcomes go
    through `hidden_cells` as tables of their own; approvals among the good need all four cells (decision by outcome),
    and where one group loses these, others do until the hidden ones hold k_min together in each cell.
    """
    place = groups * 4 + approved * 2 + labels
    cells = np.bincount(place, minlength=4 * len(names)).reshape(len(names), 2, 2).astype(np.int64)
    rows = cells.sum(axis=(1, 2))
    no_rows = hidden_totals(rows, k_min)
    no_approval = np.asarray(hidden_cells(cells.sum(axis=2), k_min, no_rows).any(axis=1))
    no_rate = np.asarray(hidden_cells(cells.sum(axis=1), k_min, no_rows).any(axis=1))
    no_cells = _hidden_blocks(cells.reshape(len(names), 4), no_approval | no_rate, k_min)
    found = []
    for number, name in enumerate(names):
        (declined_good, _), (approved_good, _) = cells[number].tolist()
        mine = groups == number
        found.append(
            GroupOutcome(
                name=name,
                rows=None if no_rows[number] else int(rows[number]),
                approval=None if no_approval[number] else float(cells[number, 1].sum() / rows[number]),
                bad_rate=None if no_rate[number] else float(cells[number, :, 1].sum() / rows[number]),
                good_approval=None if no_cells[number] else approved_good / (approved_good + declined_good),
                auc=None if no_rate[number] else metrics.auc(labels[mine], risk[mine]),
            )
        )
    return _compared(found)


def _hidden_blocks(cells: Counts, hidden: Mask, k_min: int) -> Mask:
    """Groups (g,) that do not show their four cells (g, 4): never one alone, nor several under k_min together."""
    hidden = hidden | (cells < k_min).any(axis=1)
    while hidden.any() and not hidden.all():
        together = cells[hidden].sum(axis=0)
        if hidden.sum() > 1 and (together >= k_min).all():
            break
        visible = np.flatnonzero(~hidden)
        hidden[visible[np.argmin(cells[visible].sum(axis=1))]] = True
    return hidden


def _compared(groups: Sequence[GroupOutcome]) -> tuple[tuple[GroupOutcome, ...], str | None]:
    shown = [group for group in groups if group.approval is not None]
    if not shown:
        return tuple(groups), None
    reference = max(shown, key=lambda group: group.approval or 0.0)
    base, good_base = reference.approval, reference.good_approval
    return tuple(
        GroupOutcome(
            name=group.name,
            rows=group.rows,
            approval=group.approval,
            bad_rate=group.bad_rate,
            good_approval=group.good_approval,
            auc=group.auc,
            impact_ratio=None if group.approval is None or not base else group.approval / base,
            opportunity=None
            if group.good_approval is None or good_base is None
            else group.good_approval - good_base,
        )
        for group in groups
    ), reference.name
