"""How this node would compute its part of a job's trees: the plan of the group-by over its own table."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from clients.gate.gate import Gate
from clients.home import NodeHome
from federation.binning import fit_bins
from federation.group_by import CodedRows
from federation.group_explain import TreePlan, measure_product, plan_tree, risk_plan_of
from federation.jobfile import read_job_file
from privacy.errors import ConfigInvalid

EXPLAINING: Final = "explain"
"""What the log calls a look at the table that is no session."""


def explain(home: NodeHome, job_file: Path, rows: int | None = None) -> TreePlan:
    """The plan for `rows` rows (None: all eligible ones), binned as the protocol would bin them.

    A job trains on the matched rows that are not held out, so on fewer. Of rows that the table does not have, the
    same share is taken to differ. Raises `ConfigInvalid` when the job needs no group-by of this node.
    """
    job, party = read_job_file(job_file).job, home.settings.name
    risk, fields = risk_plan_of(job), job.plan_of(party).risk_fields
    if party == job.roles.label_holder or not fields:
        raise ConfigInvalid("no_group_by", job=job.name)
    table = Gate(home, job, EXPLAINING, is_preview=True).load(fields, with_label=False)
    view = table.view()  # the gate may have left fields out
    categorical = home.settings.table.categorical_fields
    binning = fit_bins(view.fields, view.values, risk.bins, categorical=categorical, k_min=job.security.k_min)
    coded = CodedRows(binning.transform(view.values), binning.n_codes)
    wanted = len(coded) if rows is None else rows
    seen = min(wanted, len(coded))
    return plan_tree(
        job,
        party,
        binning.n_codes,
        wanted,
        coded.distinct(np.arange(seen)) * wanted // seen,
        seconds_per_product=measure_product(job.security.key_bits),
    )
