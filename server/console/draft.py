"""A job on its way through the wizard's steps: all of it stands in the address, nothing on the server.

Names in the query: `name`, `purpose`, `holder`, `with:<party>`, `s:<party>:<column>` (used for segments),
`r:<party>:<column>` (used for the model), `segments`, `clusters`, `model`, `size_only`, `mode` and the parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import tomli_w

STEPS: Final = ("purpose", "parties", "fields", "method", "preview")
_OF_STEP: Final[Mapping[str, tuple[str, ...]]] = {
    "purpose": ("name", "purpose"),
    "parties": ("holder", "with:"),
    "fields": ("s:", "r:"),
    "method": ("segments", "clusters", "model", "size_only", "mode", "trees", "depth", "max_bins", "pdo"),
    "preview": (),
}
"""Which parameters each step asks for; what ends with a colon is a beginning."""
NUMBERS: Final[Mapping[str, tuple[str, int, int, int]]] = {
    "trees": ("risk", 20, 1, 1000),
    "depth": ("risk", 4, 1, 10),
    "max_bins": ("scorecard", 8, 2, 50),
    "pdo": ("scorecard", 20, 1, 1000),
}
"""Plan, what is usual, least and most (`federation.jobs`)."""
_PLANS: Final = {"boosting": "risk", "scorecard": "scorecard"}
YES: Final = "yes"


@dataclass(frozen=True)
class Draft:
    """What has been chosen so far."""

    chosen: Mapping[str, str]

    def get(self, name: str, otherwise: str = "") -> str:
        """One choice."""
        return self.chosen.get(name, otherwise)

    @property
    def step(self) -> str:
        """Which step is shown: the one asked for, or the first whose answers are missing."""
        wanted = self.get("step", STEPS[0])
        wanted = wanted if wanted in STEPS else STEPS[0]
        missing = next((step for step in STEPS if not self.is_complete(step)), STEPS[-1])
        return min(wanted, missing, key=STEPS.index)

    def is_complete(self, step: str) -> bool:
        """Whether a step has been answered."""
        match step:
            case "purpose":
                return bool(self.get("name") and self.get("purpose"))
            case "parties":
                return bool(self.holder and self.partners)
            case "method":
                return bool(self.get("mode"))
        return True

    @property
    def holder(self) -> str:
        """Whose question it is."""
        return self.get("holder")

    @cached_property
    def partners(self) -> tuple[str, ...]:
        """The other parties."""
        ticked = [name.removeprefix("with:") for name in self.chosen if name.startswith("with:")]
        return tuple(name for name in ticked if name != self.holder)

    @property
    def parties(self) -> tuple[str, ...]:
        """All of them, the label holder first."""
        return (self.holder, *self.partners)

    def fields(self, use: str, party: str) -> tuple[str, ...]:
        """The columns of a party that are used for segments ("s") or the model ("r")."""
        prefix = f"{use}:{party}:"
        return tuple(name.removeprefix(prefix) for name in self.chosen if name.startswith(prefix))

    def uses(self, use: str) -> bool:
        """Whether any column is."""
        return any(self.fields(use, party) for party in self.parties)

    def others(self, step: str) -> dict[str, str]:
        """What the form of a step carries on of the other steps."""
        own = _OF_STEP[step]
        return {
            name: given
            for name, given in self.chosen.items()
            if name not in {"step", "lang"}
            and not any(name == one or (one.endswith(":") and name.startswith(one)) for one in own)
        }

    def to_toml(self) -> str:
        """The job file. What is wrong in it is found when it is read (`server.jobs.proposals.Jobs.read`)."""
        model = _PLANS.get(self.get("model"), "")
        has_segments = self.get("segments") == YES
        job: dict[str, Any] = {"name": self.get("name"), "purpose": self.get("purpose")}
        job["match"] = {"mode": self.get("mode"), "size_only": self.get("size_only") == YES}
        if has_segments:
            clusters = self.get("clusters", "auto")
            job["segments"] = {"n_clusters": int(clusters) if clusters.isdecimal() else "auto"}
        if model:
            job[model] = {
                name: int(self.get(name)) if self.get(name).isdecimal() else usual
                for name, (plan, usual, _, _) in NUMBERS.items()
                if plan == model
            }
        job["party"] = [
            {"name": party, "role": "feature_holder" if party != self.holder else "label_holder"}
            | ({"segment_fields": list(self.fields("s", party))} if has_segments else {})
            | ({"risk_fields": list(self.fields("r", party))} if model else {})
            for party in self.parties
        ]
        return tomli_w.dumps(job)
