"""A finished scorecard, in the parts that the parties keep."""

from __future__ import annotations

import msgspec

from federation import records
from federation.point_scale import PointScale, PointTable
from federation.scorecard_fit import BlockWeights
from federation.woe import WoeBinning


class PublishedName(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a party lets others call a field towards the people concerned."""

    zh: str
    en: str


class Calibration(msgspec.Struct, frozen=True):
    """Log-odds of the event = intercept + slope * `PointScale.log_odds(score)`, fitted by L on the training rows."""

    intercept: float = 0.0
    slope: float = 1.0


class LabelHolderScorecard(msgspec.Struct, frozen=True, kw_only=True):
    """The label holder's part. constant: the points that every row has; calibration: None before any score is known."""

    model_id: bytes
    owners: tuple[str, ...]
    scale: PointScale
    binning: WoeBinning
    weights: BlockWeights
    constant: float
    table: PointTable
    calibration: Calibration | None = None

    @classmethod
    def of(
        cls,
        model_id: bytes,
        owners: tuple[str, ...],
        scale: PointScale,
        binning: WoeBinning,
        weights: BlockWeights,
    ) -> LabelHolderScorecard:
        """The scorecard of trained weights."""
        return cls(
            model_id=model_id,
            owners=owners,
            scale=scale,
            binning=binning,
            weights=weights,
            constant=scale.constant(weights.intercept),
            table=scale.table(weights.weights, binning.woe),
        )

    def to_bytes(self) -> bytes:
        return records.encode(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> LabelHolderScorecard:
        """Read what `to_bytes` wrote. Raises `MessageInvalid` when it is something else."""
        return records.decode(cls, data)


class FeatureHolderScorecard(msgspec.Struct, frozen=True, kw_only=True):
    """A feature holder's part: its bins, weights and points stay with it."""

    model_id: bytes
    scale: PointScale
    binning: WoeBinning
    weights: BlockWeights
    table: PointTable

    @classmethod
    def of(
        cls, model_id: bytes, scale: PointScale, binning: WoeBinning, weights: BlockWeights
    ) -> FeatureHolderScorecard:
        """The scorecard of trained weights."""
        return cls(
            model_id=model_id,
            scale=scale,
            binning=binning,
            weights=weights,
            table=scale.table(weights.weights, binning.woe),
        )

    def to_bytes(self) -> bytes:
        return records.encode(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> FeatureHolderScorecard:
        """Read what `to_bytes` wrote. Raises `MessageInvalid` when it is something else."""
        return records.decode(cls, data)
