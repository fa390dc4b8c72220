"""The digest of what a stored model says: equal for two trainings that gave the same model, whatever its number."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import numpy as np

from federation.jobs import Method
from federation.points_models import FeatureHolderScorecard, LabelHolderScorecard
from federation.scoring import FeatureHolderModel, LabelHolderModel
from federation.shards_records import content_digest


def digest_of_model(kind: str, data: bytes, *, is_label_holder: bool) -> str:
    """SHA-256, lower-case hexadecimal, of one party's part of a scorecard, boosted trees or segments.

    data: as the part is stored. Raises `MessageInvalid` when it is something else.
    """
    if kind == Method.SECUREBOOST:
        part = LabelHolderModel if is_label_holder else FeatureHolderModel
        return content_digest(part.from_bytes(data))
    if kind == Method.SCORECARD:
        found = (LabelHolderScorecard if is_label_holder else FeatureHolderScorecard).from_bytes(data)
        data = msgspec.structs.replace(found, model_id=b"").to_bytes()
    return hashlib.sha256(data).hexdigest()


def segments_part(n_clusters: int, fields: tuple[str, ...], centroids: np.ndarray[Any, Any]) -> bytes:
    """A party's part of segments as a model, without anybody's row: (k, f) centroids on its own standardised fields."""
    return msgspec.msgpack.encode((n_clusters, fields, centroids.astype("<f8").tobytes()))
