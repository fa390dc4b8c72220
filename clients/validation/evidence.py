"""What a validation report is made from: the arrays and records that the label holder has when a job has finished."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np

from clients.validation.measures import Counts, Floats, Labels, Mask
from clients.validation.record import (
    Comparison,
    FunnelStep,
    Identification,
    Importance,
    Learnt,
    ModelCard,
    PointsScale,
    StageTraffic,
    Traffic,
    Words,
)
from federation.roles import Disclosure, Disclosures
from privacy.errors import ConfigInvalid
from privacy.texts import text

DEFAULT_APPROVAL: Final = 0.7
SIGNATURES: Final = ("developer", "validator", "owner")
"""Keys under `validation.signature.`: who signs."""


def words(key: str, /, **values: object) -> Words:
    """A text of the catalogue's `validation` area in both languages. Raises `KeyError` for one that is missing."""
    return Words(
        en=text(f"validation.{key}", language="en", **values),
        zh=text(f"validation.{key}", language="zh-CN", **values),
    )


@dataclass(frozen=True, slots=True)
class BinEvidence:
    """One final bin of a field of the label holder: training rows by outcome, and what the model gives for it."""

    label: str
    goods: int
    bads: int
    woe: float
    points: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldEvidence:
    """A field as the binning left it.

    name: "" for a partner's field without a published name; number: the partner's random number of it. trend:
    ascending, descending, none, or "" where it is not known. reason: why the selection dropped it. bins: of own fields.
    """

    party: str
    name: str
    number: int | None = None
    iv: float
    n_bins: int
    trend: str = ""
    is_monotone: bool | None = None
    kept: bool = True
    reason: Words | None = None
    bins: tuple[BinEvidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Groups:
    """An attribute for the fairness tables: names, and per row a place in them; -1 where it is not known: (n,)."""

    names: tuple[str, ...]
    places: Counts


@dataclass(frozen=True, slots=True)
class BandPlan:
    """A policy's grades from best to worst: names, and the g - 1 scores between them in the score's own unit."""

    names: tuple[str, ...]
    edges: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything a report may show; what a job does not have stays at its default.

    label: (n,) 0 and 1 (bad), of the matched rows; train: (n,) bool. joint, alone: (n,) probabilities of being bad from
        the joint model and from the label holder's own fields. points: (n,), the joint model's points, higher is
        better; without them the score is the probability.
    importance: of trees. codes: (n,) bin codes per own field, for its stability. demographics: by age_band, gender,
        region. reasons: per code its text and the rows (n,) where it was among the top reasons. approval: the share of
        approvals that the fairness tables assume. bands: of the lending policy, if there is one. periods: stability
        between later periods.
    """

    identification: Identification
    label: Labels
    train: Mask
    joint: Floats
    alone: Floats | None = None
    points: Counts | None = None
    scale: PointsScale | None = None
    importance: tuple[Importance, ...] = ()
    target: Words
    window: Words | None = None
    test_share: float
    seed: int
    funnel: tuple[FunnelStep, ...] = ()
    fields: tuple[FieldEvidence, ...] = ()
    codes: Mapping[str, Counts] = field(default_factory=dict)
    demographics: Mapping[str, Groups] = field(default_factory=dict)
    reasons: Mapping[str, tuple[Words, Mask]] = field(default_factory=dict)
    bands: BandPlan | None = None
    approval: float = DEFAULT_APPROVAL
    periods: tuple[Comparison, ...] = ()
    pooled: tuple[float, float] | None = None
    learnt: tuple[Learnt, ...] = ()
    traffic: tuple[Traffic, ...] = ()
    stages: tuple[StageTraffic, ...] = ()
    undeclared: int = 0
    limits: tuple[Words, ...] = ()
    card: ModelCard | None = None
    signatures: tuple[str, ...] = SIGNATURES

    def check(self) -> None:
        """Raises `ConfigInvalid` when arrays do not belong together or hold what they must not."""
        n_rows = len(self.label)
        rows = [self.train, self.joint, *self.codes.values()]
        rows += [part for part in (self.alone, self.points) if part is not None]
        rows += [group.places for group in self.demographics.values()]
        rows += [hit for _, hit in self.reasons.values()]
        if any(part.shape != (n_rows,) for part in rows):
            raise ConfigInvalid("validation_rows_differ", rows=n_rows)
        probabilities = [part for part in (self.joint, self.alone) if part is not None]
        if not all(np.isfinite(part).all() and (abs(part - 0.5) <= 0.5).all() for part in probabilities):
            raise ConfigInvalid("validation_not_probabilities")
        if not set(np.unique(self.label).tolist()) <= {0, 1}:
            raise ConfigInvalid("validation_labels")
        if self.bands is not None and not _is_ordered(self.bands, self.points is not None):
            raise ConfigInvalid("validation_bands")


def _is_ordered(plan: BandPlan, higher_is_better: bool) -> bool:
    edges = [-edge if higher_is_better else edge for edge in plan.edges]
    return len(plan.names) == len(edges) + 1 and all(a < b for a, b in pairwise(edges))


def learnt_by(
    party: str, role: str, protocols: Iterable[Disclosures], received: Mapping[str, int] | None
) -> tuple[Learnt, ...]:
    """What one party learnt by the protocols' own declarations.

    role: label_holder, feature_holder or coordinator. received: messages by tag that reached this party, or None where
    nobody here has counted them.
    """

    def of_role(protocol: Disclosures) -> tuple[Disclosure, ...]:
        by_role = {"label_holder": protocol.label_holder, "feature_holder": protocol.feature_holder}
        return by_role.get(role, protocol.coordinator)

    return tuple(
        Learnt(
            party=party,
            role=role,
            protocol=protocol.protocol,
            what=_disclosure(protocol.protocol, item.what),
            per_row=item.per_row,
            messages=None if received is None else sum(received.get(tag, 0) for tag in item.messages),
        )
        for protocol in protocols
        for item in of_role(protocol)
    )


def _disclosure(protocol: str, what: str) -> Words:
    return Words(
        en=text(f"disclosures.{protocol}.{what}", language="en"),
        zh=text(f"disclosures.{protocol}.{what}", language="zh-CN"),
    )
