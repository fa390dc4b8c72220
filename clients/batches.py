"""Whom a label holder scores with an earlier model: everybody but those who have refused automated decisions."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from clients.artefacts import Integers
from clients.context import StageContext
from clients.lending.automation import refused_automation

NEEDS_HUMAN: Final = "needs_human"


def asked_rows(context: StageContext) -> Integers:
    """Aligned places of those to score: all in a job that trains, in a later one all who have not refused (PIPL 24)."""
    places = np.arange(len(context.kept.rows))
    if context.job.scoring is None:
        return places
    return places[~refused_automation(context.home, context.table.identifiers[context.kept.rows])]


def spread(found: pd.DataFrame, rows: Integers, context: StageContext) -> pd.DataFrame:
    """Results of the asked rows as one row per aligned row; a column says who has to be decided about by a person."""
    n_rows = len(context.kept.rows)
    whole = found.set_axis(rows, axis=0).reindex(np.arange(n_rows))
    whole[NEEDS_HUMAN] = ~np.isin(np.arange(n_rows), rows)
    return whole
