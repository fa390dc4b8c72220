"""A job as the file that a modeller would write: what the console proposes can be kept, changed and sent again."""

from __future__ import annotations

from typing import Any

import msgspec
import tomli_w

from federation.jobs import Deadlines, Job, MatchPlan
from federation.web.wording import Wording


def to_toml(job: Job) -> str:
    """The file; what stands at its default is left out. `federation.jobfile.job_file_of` reads it."""
    plain: dict[str, Any] = msgspec.to_builtins(job)
    parties = [_full(party) for party in plain.pop("parties")]
    if job.match == MatchPlan():
        del plain["match"]
    if job.deadlines == Deadlines():
        del plain["deadlines"]
    if not job.alpha_keys:
        del plain["alpha_keys"]
    return tomli_w.dumps(_full(plain) | {"party": parties})


def methods_of(job: Job, t: Wording) -> str:
    """What a job does after the matching, in words."""
    names = [
        (job.segments, "console.method.segments"),
        (job.scorecard, "console.method.scorecard"),
        (job.risk, "console.method.boosting"),
        (job.scoring, "console.method.scoring"),
        (job.enterprise, "console.method.enterprise"),
        (job.forget, "console.method.forget"),
    ]
    found = [str(t(key)) for plan, key in names if plan is not None]
    return " · ".join(found) or str(t("console.method.match"))


def _full(table: dict[str, Any]) -> dict[str, Any]:
    """Without what is empty: TOML has no word for nothing."""
    return {
        name: _full(item) if isinstance(item, dict) else item
        for name, item in table.items()
        if item is not None and item not in ("", [], ())
    }
