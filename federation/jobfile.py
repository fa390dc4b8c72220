"""Job files: what a modeller writes. One TOML file names the purpose, the parties, their fields and the parameters.

For a rehearsal on one machine each party also has a `[party.table]`, which is handed to its node unread; paths in it
are relative to the job file.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec

from federation.files import read_toml
from federation.jobs import (
    Deadlines,
    EnterprisePlan,
    ForgetPlan,
    Job,
    MatchPlan,
    Name,
    PartyPlan,
    PartyRole,
    RiskPlan,
    ScorecardPlan,
    ScoringPlan,
    SegmentsPlan,
    check_job,
)
from privacy.errors import ConfigInvalid


class PartyEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One `[[party]]`: as in `PartyPlan`, and for a rehearsal its table's registration and its policy file.

    A rehearsal without a policy file drafts a policy for itself.
    """

    name: Name
    role: PartyRole
    segment_fields: tuple[str, ...] = ()
    risk_fields: tuple[str, ...] = ()
    enterprise_fields: tuple[str, ...] = ()
    table: dict[str, Any] | None = None
    policy: str | None = None


class JobFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file."""

    name: Name
    purpose: Name
    party: tuple[PartyEntry, ...]
    project: str = ""
    profile: str = "standard"
    alpha_keys: bool = False
    match: MatchPlan = MatchPlan()
    segments: SegmentsPlan | None = None
    risk: RiskPlan | None = None
    scorecard: ScorecardPlan | None = None
    scoring: ScoringPlan | None = None
    enterprise: EnterprisePlan | None = None
    forget: ForgetPlan | None = None
    deadlines: Deadlines = Deadlines()

    @property
    def job(self) -> Job:
        """What the parties get to see: everything but the tables."""
        job = Job(
            name=self.name,
            purpose=self.purpose,
            parties=tuple(
                PartyPlan(
                    name=entry.name,
                    role=entry.role,
                    segment_fields=entry.segment_fields,
                    risk_fields=entry.risk_fields,
                    enterprise_fields=entry.enterprise_fields,
                )
                for entry in self.party
            ),
            project=self.project,
            profile=self.profile,
            alpha_keys=self.alpha_keys,
            match=self.match,
            segments=self.segments,
            risk=self.risk,
            scorecard=self.scorecard,
            scoring=self.scoring,
            enterprise=self.enterprise,
            forget=self.forget,
            deadlines=self.deadlines,
        )
        check_job(job)
        return job


def read_job_file(file: Path) -> JobFile:
    """A checked job file with absolute table paths. Raises `ConfigInvalid` that names file and key."""
    parsed, folder = read_toml(file, JobFile), file.resolve().parent
    _ = parsed.job
    parties = tuple(
        msgspec.structs.replace(
            entry,
            table=_absolute(entry.table, folder),
            policy=None if entry.policy is None else str(folder / entry.policy),
        )
        for entry in parsed.party
    )
    return msgspec.structs.replace(parsed, party=parties)


def job_file_of(content: str, source: str) -> JobFile:
    """The same from text that comes from elsewhere, its tables left as they are. Raises `ConfigInvalid`."""
    try:
        parsed = msgspec.convert(tomllib.loads(content), JobFile)
    except (msgspec.MsgspecError, tomllib.TOMLDecodeError) as problem:
        raise ConfigInvalid("file_invalid", file=source, problem=str(problem)) from None
    _ = parsed.job
    return parsed


def _absolute(table: dict[str, Any] | None, folder: Path) -> dict[str, Any] | None:
    """The registration with its file paths made absolute; everything else is the node's to check."""
    if table is None:
        return None
    found = dict(table)
    if isinstance(found.get("path"), str):
        found["path"] = str(folder / found["path"])
    consents = found.get("consents")
    if isinstance(consents, dict) and isinstance(consents.get("path"), str):
        found["consents"] = {**consents, "path": str(folder / consents["path"])}
    return found
