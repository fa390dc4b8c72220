"""Who agreed to what, at each party of the synthetic world."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any, Final

import numpy as np
import pandas as pd

CONSENT_SHARES: Final = {"credit_risk": 0.85, "marketing": 0.70, "provision": 0.60}
"""Share of customers whose latest word is yes. `provision` is the separate consent to provide data to another
handler (PIPL article 23)."""

WITHDRAWN_SHARE: Final = 0.25
"""Of those whose latest word is no: how many had agreed before. The others never agreed."""

# Variance of a person's willingness: of the person everywhere, at this party, for this purpose.
_PERSON, _PARTY, _PURPOSE = 0.5, 0.3, 0.2


def draw_consents(
    phones: Sequence[str], attitude: np.ndarray[Any, np.dtype[np.float64]], rng: np.random.Generator
) -> pd.DataFrame:
    """One party's consent log in order of time: phone, purpose, status (granted or withdrawn).

    attitude: standard normal, one per customer and the same at every party, so that consents are correlated
        between purposes (0.8 within a party) and between parties (0.5).
    """
    at_party = np.sqrt(_PERSON) * attitude + np.sqrt(_PARTY) * rng.normal(size=len(phones))
    grants: list[pd.DataFrame] = []
    withdrawals: list[pd.DataFrame] = []
    subjects = pd.Series(phones, dtype=str)
    for purpose, share in CONSENT_SHARES.items():
        willing = at_party + np.sqrt(_PURPOSE) * rng.normal(size=len(phones))
        agrees = willing > NormalDist().inv_cdf(1 - share)
        changed_mind = ~agrees & (rng.random(len(phones)) < WITHDRAWN_SHARE)
        for log, mask, status in (
            (grants, agrees | changed_mind, "granted"),
            (withdrawals, changed_mind, "withdrawn"),
        ):
            log.append(pd.DataFrame({"phone": subjects[mask], "purpose": purpose, "status": status}))
    parts = [pd.concat(log) for log in (grants, withdrawals)]
    shuffled = [part.iloc[rng.permutation(len(part))] for part in parts]
    return pd.concat(shuffled, ignore_index=True)
