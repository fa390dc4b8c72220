"""Who has authorised what at the bank of the synthetic enterprises: the firm, and for its own credit the owner.

The log is kept by the firm's code. What is known of a firm is no personal information, but banks ask for its
authorisation (general, and for providing data to the partners); the owner's credit is the owner's personal
information, which needs the owner's own written consent (PIPL article 29; 征信业管理条例 article 18), whatever the firm
has signed. A firm whose owner has not agreed stays in the job: under `blank_cells` the gate leaves out its `owner_`
columns alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from clients.sample.enterprises import ENTERPRISE_PARTIES
from privacy.consent import PROVIDE, SENSITIVE, ConsentKind

ENTERPRISE_PURPOSE: Final = "enterprise_credit"
NOTICE: Final = "bank-firms-2026-1"
FIRM_SHARE: Final = 0.92
"""Share of the bank's firms that have authorised the job."""
OWNER_SHARE: Final = 0.80
"""Share of the owners that have agreed to the use of their own credit, independently of the firm."""
WITHDRAWN_SHARE: Final = 0.25
"""Of those whose latest word is no: how many had agreed before."""
OWNER_SCOPE: Final = SENSITIVE + "credit_reference"

COLUMNS: Final = ("uscc", "purpose", "kind", "scope", "recipient", "status", "notice")


def draw_authorisations(codes: Sequence[str], rng: np.random.Generator) -> pd.DataFrame:
    """The log in order of time, with the columns of `COLUMNS`; status: granted or withdrawn."""
    partners = ";".join(party for party in ENTERPRISE_PARTIES if party != "bank")
    firm = [(ConsentKind.GENERAL.value, "", ""), (ConsentKind.SEPARATE.value, PROVIDE, partners)]
    owner = [(ConsentKind.WRITTEN.value, OWNER_SCOPE, "")]
    parts: dict[str, list[pd.DataFrame]] = {"granted": [], "withdrawn": []}
    for words, share in ((firm, FIRM_SHARE), (owner, OWNER_SHARE)):
        agrees = rng.random(len(codes)) < share
        changed_mind = ~agrees & (rng.random(len(codes)) < WITHDRAWN_SHARE)
        for status, who in (("granted", agrees | changed_mind), ("withdrawn", changed_mind)):
            subjects = pd.Series(codes, dtype=str)[who].sample(frac=1, random_state=rng)
            parts[status] += [
                pd.DataFrame(
                    {
                        "uscc": subjects,
                        "purpose": ENTERPRISE_PURPOSE,
                        "kind": kind,
                        "scope": scope,
                        "recipient": recipient,
                        "status": status,
                        "notice": NOTICE,
                    }
                )
                for kind, scope, recipient in words
            ]
    log = pd.concat([*parts["granted"], *parts["withdrawn"]], ignore_index=True)
    return log[list(COLUMNS)]
