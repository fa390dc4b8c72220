"""Who agreed to what, at each party of the synthetic world."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any, Final

import numpy as np
import pandas as pd

from clients.sample.people import PARTIES
from privacy.consent import PROVIDE, SENSITIVE, ConsentKind

_PROVISION: Final = "provision"
CONSENT_SHARES: Final = {"credit_risk": 0.85, "marketing": 0.70, _PROVISION: 0.60}
"""Share of customers whose latest word is yes: on a purpose, or on providing data to others (PIPL article 23)."""

_LENDING: Final = "credit_risk"
SENSITIVE_CATEGORIES: Final = {"bank": ("credit", "financial_situation")}
"""What the field catalogue takes for sensitive among a party's columns, for lending."""

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
    """Each word as the separate ones that it stands for in the log, the general one first.

    Who agreed to provision did so for each purpose, by a consent that names the other parties; who agreed to lending at
    a party that uses sensitive information for it agreed to each category of that as well.
    """
    others = ";".join(name for name in PARTIES if name != party)
    general = (ConsentKind.GENERAL.value, "", "")
    words = {about: [(about, *general)] for about in CONSENT_SHARES if about != _PROVISION}
    words[_LENDING] += [
        (_LENDING, ConsentKind.SEPARATE.value, SENSITIVE + category, "")
        for category in SENSITIVE_CATEGORIES.get(party, ())
    ]
    provided = [(purpose, ConsentKind.SEPARATE.value, PROVIDE, others) for purpose in words]
    words[_PROVISION] = provided
    log = said.assign(word=said["about"].map(words), notice=notice_of(party))
    log = log.explode("word", ignore_index=True)
    log[["purpose", "kind", "scope", "recipient"]] = pd.DataFrame(log["word"].tolist(), index=log.index)
    return log[list(COLUMNS)]
