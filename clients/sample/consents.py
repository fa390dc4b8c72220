"""Who agreed to what, at each party of the synthetic world."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any, Final

import numpy as np
import pandas as pd

from clients.sample.people import PARTIES
from privacy.consent import PROVIDE, ConsentKind

_PROVISION: Final = "provision"
CONSENT_SHARES: Final = {"credit_risk": 0.85, "marketing": 0.70, _PROVISION: 0.60}
"""Share of customers whose latest word is yes: on a purpose, or on providing data to others (PIPL article 23)."""

COLUMNS: Final = ("phone", "purpose", "kind", "scope", "recipient", "status", "notice")

WITHDRAWN_SHARE: Final = 0.25
"""Of those whose latest word is no: how many had agreed before. The others never agreed."""

# Variance of a person's willingness: of the person everywhere, at this party, for this purpose.
_PERSON, _PARTY, _PURPOSE = 0.5, 0.3, 0.2


def notice_of(party: str) -> str:
    """The notice that a party's customers were shown."""
    return f"{party}-2026-1"


def draw_consents(
    phones: Sequence[str],
    attitude: np.ndarray[Any, np.dtype[np.float64]],
    party: str,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """One party's consent log in order of time, with the columns of `COLUMNS`; status: granted or withdrawn.

    attitude: standard normal, one per customer and the same at every party, so that consents are correlated
        between purposes (0.8 within a party) and between parties (0.5).
    """
    at_party = np.sqrt(_PERSON) * attitude + np.sqrt(_PARTY) * rng.normal(size=len(phones))
    grants: list[pd.DataFrame] = []
    withdrawals: list[pd.DataFrame] = []
    subjects = pd.Series(phones, dtype=str)
    for about, share in CONSENT_SHARES.items():
        willing = at_party + np.sqrt(_PURPOSE) * rng.normal(size=len(phones))
        agrees = willing > NormalDist().inv_cdf(1 - share)
        changed_mind = ~agrees & (rng.random(len(phones)) < WITHDRAWN_SHARE)
        for log, mask, status in (
            (grants, agrees | changed_mind, "granted"),
            (withdrawals, changed_mind, "withdrawn"),
        ):
            log.append(pd.DataFrame({"phone": subjects[mask], "about": about, "status": status}))
    parts = [pd.concat(log) for log in (grants, withdrawals)]
    shuffled = [part.iloc[rng.permutation(len(part))] for part in parts]
    return _as_written(pd.concat(shuffled, ignore_index=True), party)


def _as_written(said: pd.DataFrame, party: str) -> pd.DataFrame:
    """Who agreed to provision did so for each purpose, by a separate consent that names the other parties."""
    is_provision = said["about"] == _PROVISION
    purposes = ";".join(name for name in CONSENT_SHARES if name != _PROVISION)
    log = said.assign(
        purpose=said["about"].where(~is_provision, purposes).str.split(";"),
        kind=np.where(is_provision, ConsentKind.SEPARATE.value, ConsentKind.GENERAL.value),
        scope=np.where(is_provision, PROVIDE, ""),
        recipient=np.where(is_provision, ";".join(name for name in PARTIES if name != party), ""),
        notice=notice_of(party),
    )
    return log.explode("purpose", ignore_index=True)[list(COLUMNS)]
