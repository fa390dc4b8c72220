"""A job file out of a program's values: what `console.jobs.propose` takes, as a modeller would have written it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tomli_w


def draft(
    name: str,
    purpose: str,
    *,
    label_holder: str,
    fields: Mapping[str, Sequence[str]],
    segments: Mapping[str, Any] | None = None,
    risk: Mapping[str, Any] | None = None,
    scorecard: Mapping[str, Any] | None = None,
    **others: Any,
) -> str:
    """A job file (TOML). The coordinator checks it when it is proposed.

    fields: of each party, used for every stage of the job; segments, risk, scorecard: parameters of a stage, `{}` for
    the usual ones, None to leave it out; others: any other key of a job file, such as `match` or `deadlines`.
    """
    stages = {"segments": segments, "risk": risk, "scorecard": scorecard}
    wanted = {stage: dict(given) for stage, given in stages.items() if given is not None}
    parties = [
        {
            "name": party,
            "role": "label_holder" if party == label_holder else "feature_holder",
            **({"segment_fields": list(columns)} if "segments" in wanted else {}),
            **({"risk_fields": list(columns)} if wanted.keys() & {"risk", "scorecard"} else {}),
        }
        for party, columns in fields.items()
    ]
    return tomli_w.dumps({"name": name, "purpose": purpose, **others, **wanted, "party": parties})
