"""Labels that a model can be trained on: 0 and 1, both of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from federation.binning import Bools
from privacy.errors import ConfigInvalid


def checked_labels(labels: np.ndarray[Any, Any]) -> Bools:
    """Which rows are bad. Raises `ConfigInvalid` when labels are not 0 and 1, or all the same."""
    bad: Bools = np.asarray(labels) == 1
    if not (bad | (np.asarray(labels) == 0)).all():
        raise ConfigInvalid("training_labels")
    if bad.all() or not bad.any():
        raise ConfigInvalid("training_one_class")
    return bad
