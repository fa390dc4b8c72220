"""The job file that goes with a synthetic world: what a modeller of the bank would write."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec
import tomli_w

from clients.home import for_toml
from clients.sample.people import PARTIES
from clients.sample.policies import write_policies
from clients.sample.registration import risk_fields, sample_table, segment_fields
from federation.jobfile import read_job_file

_LABEL_HOLDER: Final = "bank"


FEWEST_FOR_SCORECARD: Final = 15_000
"""With fewer people in all, under a thousand rows train: no batch of a scorecard (`clients.plans.SMALLEST_BATCH`)."""


def write_job(folder: Path, *, with_scorecard: bool = True) -> Path:
    """Write `job.toml` beside the party folders of `folder`, and a policy into each; paths are relative to it."""
    job: dict[str, Any] = {
        "name": "three-party-profile",
        "purpose": "credit_risk",
        "segments": {"n_clusters": "auto"},
        **({"scorecard": {"degree": 3, "passes": 2}} if with_scorecard else {}),
        "risk": {"trees": 20, "depth": 3, "bins": 32, "learning_rate": 0.2},
        "party": [
            {
                "name": party,
                "role": "label_holder" if party == _LABEL_HOLDER else "feature_holder",
                "segment_fields": list(segment_fields(party)),
                "risk_fields": list(risk_fields(party)),
                "table": _registration(party),
                "policy": f"{party}/policy.toml",
            }
            for party in PARTIES
        ],
    }
    file = folder / "job.toml"
    file.write_text(tomli_w.dumps(job), "utf-8")
    write_policies(folder, read_job_file(file).job)
    return file


def _registration(party: str) -> dict[str, Any]:
    spec = sample_table(Path(), party)
    return for_toml(spec if party == _LABEL_HOLDER else msgspec.structs.replace(spec, label_column=None))
