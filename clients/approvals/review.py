"""What somebody has to know before saying yes to a job: what the gate says to it now, and what of this party leaves.

Nothing here holds a value of a row. How many rows the job would see is told rounded down to a multiple of k_min, and
only where it is asked for, because the table has to be read for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from clients.approvals.obstacles import all_against
from clients.gate.gate import Gate, decide_for
from clients.gate.policy import active_policy, catalog_of
from clients.home import NodeHome
from federation.jobs import Job, Stage
from federation.leaving import ROWS, PartyLeaving, leaving_of, to_records
from federation.pace import today
from federation.proposals import Proposal
from privacy.catalog import Catalog, FieldClass, Treatment
from privacy.decision import Terms
from privacy.errors import Denied, InputError, Refused, SilhouetteError
from privacy.reasons import Findings
from privacy.texts import text

REVIEWING: Final = "review"
"""What the log calls a look at the table that is no session."""


@dataclass(frozen=True, slots=True)
class ColumnUse:
    """One of this party's fields in the job. field_class, treatment: None where it has none, or the gate refuses."""

    name: str
    field_class: FieldClass | None
    treatment: Treatment | None


@dataclass(frozen=True, slots=True)
class Review:
    """One proposal as this party sees it today.

    policy: digest of the policy in force, empty without one. findings: every reason for which the gate would refuse;
    obstacles: what else stands against it. rows: that the gate lets through, rounded down; None: not counted.
    """

    proposal: Proposal
    job: Job
    party: str
    policy: str
    findings: Findings
    obstacles: tuple[SilhouetteError, ...]
    columns: tuple[ColumnUse, ...]
    leaving: PartyLeaving
    rows: int | None = None

    @property
    def is_admitted(self) -> bool:
        """Whether nothing of this node stands against the job."""
        return not self.findings and not self.obstacles

    @property
    def codes(self) -> tuple[str, ...]:
        """Of everything that stands against it, as others may hear them."""
        return tuple(dict.fromkeys((*self.findings.codes, *(error.code for error in self.obstacles))))

    def refuse(self) -> None:
        """Raises what stands against the job, if anything does: `Denied` with all findings, or the first obstacle."""
        if self.findings:
            raise Denied.of(self.findings)
        if self.obstacles:
            raise self.obstacles[0]


def review(home: NodeHome, proposal: Proposal, *, with_rows: bool = False) -> Review:
    """Look at a proposal. with_rows: read the table as well, and note that in the log.

    Raises `ConfigInvalid` for a job that is none for this party.
    """
    own = home.settings.name
    job = proposal.job_for(own)
    findings, terms, catalog, policy = _decided(home, job)
    obstacles = all_against(home, job)
    rows = None
    if with_rows and not findings and not obstacles:
        try:
            rows = _count(home, job)
        except Denied as error:
            findings = error.findings
        except (Refused, InputError) as error:
            obstacles.append(error)
    return Review(
        proposal=proposal,
        job=job,
        party=own,
        policy=policy,
        findings=findings,
        obstacles=tuple(obstacles),
        columns=_columns(home, job, catalog, terms),
        leaving=leaving_of(job, own, rows or ROWS),
        rows=rows,
    )


def _decided(home: NodeHome, job: Job) -> tuple[Findings, Terms | None, Catalog, str]:
    try:
        policy = active_policy(home)
    except Denied as error:
        return error.findings, None, Catalog.load(), ""
    catalog = catalog_of(policy)
    findings, terms = decide_for(home, job, policy, catalog, today())
    return findings, terms, catalog, policy.digest


def _count(home: NodeHome, job: Job) -> int:
    fields = job.plan_of(home.settings.name).fields
    table = Gate(home, job, REVIEWING, is_preview=True).load(fields, with_label=False)
    k_min = job.security.k_min
    return len(table) // k_min * k_min


def _columns(home: NodeHome, job: Job, catalog: Catalog, terms: Terms | None) -> tuple[ColumnUse, ...]:
    kinds = {item.name: item.kind for item in home.settings.table.fields}
    treatments: Mapping[str, Treatment] = {} if terms is None else terms.treatments
    return tuple(
        ColumnUse(name, catalog.of_column(name, kinds.get(name, "")), treatments.get(name))
        for name in job.plan_of(home.settings.name).fields
    )


def as_record(found: Review, language: str | None = None) -> dict[str, Any]:
    """The same as plain values, sentences in one language."""
    return {
        "number": found.proposal.number,
        "digest": found.proposal.digest,
        "state": found.proposal.state.value,
        "job": found.job.name,
        "purpose": found.job.purpose,
        "profile": found.job.profile,
        "parties": list(found.job.roles.all),
        "proposer": found.proposal.proposer.value,
        "proposed": found.proposal.proposed.isoformat(),
        "expires": found.proposal.expires.isoformat(),
        "words": {party: standing.value for party, standing in sorted(found.proposal.words.items())},
        "policy": found.policy,
        "admitted": found.is_admitted,
        "findings": [
            {"reason": item.reason.value, "about": item.about, "text": item.render(language)}
            for item in found.findings
        ],
        "obstacles": [{"code": item.code, "text": item.render(language)} for item in found.obstacles],
        "columns": [
            {
                "name": column.name,
                "kind": column.field_class.key if column.field_class else None,
                "sensitivity": column.field_class.sensitivity.value if column.field_class else None,
                "treatment": column.treatment.action.value if column.treatment else None,
                "minimise": column.treatment.minimise if column.treatment else None,
            }
            for column in found.columns
        ],
        "rows": found.rows,
        "k_min": found.job.security.k_min,
        "leaving": to_records(found.leaving, language),
    }


def as_lines(found: Review, language: str | None = None) -> list[str]:
    """The same for people to read."""

    def say(key: str, **values: object) -> str:
        return text(f"approvals.review.{key}", language=language, **values)

    proposal, job = found.proposal, found.job
    role = text(f"report.role.{found.leaving.role.value}", language=language)
    lines = [
        say("title", number=proposal.number, job=job.name, purpose=job.purpose),
        say("parties", parties=", ".join(job.roles.all), role=role),
        say("expires", moment=f"{proposal.expires:%Y-%m-%d %H:%M} UTC", digest=proposal.digest),
    ]
    lines += [say("policy", digest=found.policy)] if found.policy else []
    lines += [say("admitted")] if found.is_admitted else [say("refused")]
    lines += [f"- {item.render(language)}" for item in found.findings]
    lines += [f"- {item.render(language)}" for item in found.obstacles]
    if found.rows is not None:
        lines.append(say("rows", rows=found.rows, k_min=job.security.k_min))
    lines.append(say("columns"))
    lines += [_line_of(column, language) for column in found.columns] or [say("no_columns")]
    lines.append(say("leaves"))
    for stage in found.leaving.stages:
        lines.append(say("stage", stage=_stage(stage.stage, language), fields=", ".join(stage.fields) or "-"))
        for item in stage.items:
            how = say("per_row") if item.per_row else say("aggregated")
            lines.append(say("item", to=", ".join(item.to), what=item.render(language), how=how))
    sizes = found.leaving.sizes
    if sizes is not None:
        counted = round(sizes["multiplications_per_tree"]["planned"])
        lines.append(say("sizes", rows=sizes["rows"], count=counted, trees=_trees(job)))
    return lines


def _line_of(column: ColumnUse, language: str | None) -> str:
    kind = column.field_class
    if kind is None:
        return text("approvals.review.column_unknown", language=language, name=column.name)
    key = "sensitive" if kind.is_sensitive else "general"
    action = column.treatment.action.value if column.treatment else "-"
    return text(
        f"approvals.review.column_{key}", language=language, name=column.name, kind=kind.key, how=action
    )


def _stage(stage: Stage, language: str | None) -> str:
    return text(f"server.stage.{stage.value}", language=language)


def _trees(job: Job) -> int:
    return 0 if job.risk is None else job.risk.trees
