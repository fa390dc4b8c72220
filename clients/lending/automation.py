"""Who has refused automated decisions (PIPL 24): nobody scores such a person in a batch or decides automatically.

Who refuses says so as a withdrawal of `AUTOMATED_DECISION`, by any way that the node takes words of subjects
(`silhouette-node consent withdraw --purpose automated-decision`); whoever withdraws everything at once says it too,
once the node knows the need.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from clients.consents.node import bring_in
from clients.consents.subjects import kind_label
from clients.home import NodeHome
from federation.pace import utc_now
from privacy.consent import Answer, Need

AUTOMATED_DECISION: Final = "automated-decision"
"""The purpose under which a subject's word on automated decisions is kept; only a withdrawal counts."""

Mask = np.ndarray[Any, np.dtype[np.bool_]]


def refused_automation(home: NodeHome, identifiers: np.ndarray[Any, Any]) -> Mask:
    """Which subjects' last word is a refusal: (n,). identifiers: canonical."""
    bring_in(home)
    tokens = home.consents.tokens(kind_label(home.settings.table), identifiers)
    refused: Mask = home.consents.answers(tokens, Need(AUTOMATED_DECISION), (), utc_now()) == Answer.WITHDRAWN
    return refused
