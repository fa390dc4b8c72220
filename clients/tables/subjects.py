"""Which rows a job may use, and why not the others: identifiers, duplicates, age, consent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from clients.tables.columns import Mask, ages_at, as_numbers, as_text, is_unknown_age
from clients.tables.files import read_columns
from clients.tables.problems import Problem
from clients.tables.specs import PROVISION, TableSpec
from privacy.identifiers import normalize

_GRANTED: Final = "granted"
_WITHDRAWN: Final = "withdrawn"


class FunnelStep(NamedTuple):
    """`reason` is a code with a label in the texts (`tables.funnel.<reason>`)."""

    reason: str
    rows: int


@dataclass(slots=True)
class Funnel:
    """From the rows of a file to those a job may use; an excluded row counts once, under its first reason."""

    total: int
    remaining: Mask = field(init=False)
    excluded: list[FunnelStep] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.remaining = np.ones(self.total, dtype=bool)

    def exclude(self, reason: str, rows: Mask) -> None:
        self.excluded.append(FunnelStep(reason, int((self.remaining & rows).sum())))
        self.remaining &= ~rows

    def exclude_identifiers(self, reasons: dict[str, int], valid: Mask) -> None:
        """The first step, whose reasons are counted already."""
        self.excluded += [
            FunnelStep(f"identifier_{reason}", rows) for reason, rows in sorted(reasons.items())
        ]
        self.remaining &= valid

    @property
    def steps(self) -> tuple[FunnelStep, ...]:
        eligible = FunnelStep("eligible", int(self.remaining.sum()))
        return (FunnelStep("rows_in_file", self.total), *self.excluded, eligible)


@dataclass(frozen=True, slots=True)
class ConsentLog:
    """The statements of all subjects: subject (normalised), purpose, status, in order of time."""

    statements: pd.DataFrame

    @property
    def purposes(self) -> list[str]:
        """The purposes about which subjects have stated anything, without `PROVISION`."""
        return sorted(set(self.statements["purpose"]) - {PROVISION})

    def exclude(self, purpose: str, subjects: Sequence[str | None], funnel: Funnel) -> None:
        """Keeps the rows whose subject's latest word is yes: for `purpose` and, when the log knows it at all,
        for `PROVISION`, because every federated job provides something to another handler."""
        self._exclude(purpose, subjects, funnel, "no_consent", "consent_withdrawn")
        if purpose != PROVISION and (self.statements["purpose"] == PROVISION).any():
            self._exclude(PROVISION, subjects, funnel, "no_provision_consent", "provision_withdrawn")

    def _exclude(
        self, purpose: str, subjects: Sequence[str | None], funnel: Funnel, never: str, withdrawn: str
    ) -> None:
        said = self.statements[self.statements["purpose"] == purpose].drop_duplicates("subject", keep="last")
        latest = dict(zip(said["subject"], said["status"], strict=True))
        status = np.array([latest.get(subject, "") for subject in subjects], dtype=object)
        funnel.exclude(withdrawn, status == _WITHDRAWN)
        funnel.exclude(never, status != _GRANTED)


def identify(spec: TableSpec, cells: pd.Series, funnel: Funnel) -> list[str | None]:
    """Normalises the identifiers; excludes rows without one, and all but the last row of each subject."""
    normalized = normalize(spec.id_kind, as_text(cells), spec.extra_prefixes)
    identifiers = pd.Series(normalized.values, dtype="object")
    valid = identifiers.notna().to_numpy()
    funnel.exclude_identifiers(dict(normalized.reasons), valid)
    funnel.exclude("duplicate", valid & identifiers.duplicated(keep="last").to_numpy())
    return normalized.values


def exclude_by_age(spec: TableSpec, frame: pd.DataFrame, today: date, funnel: Funnel) -> None:
    """Excludes rows below the minimum age, and rows of unknown age unless the table keeps them."""
    if spec.age_column is not None and spec.age_column in frame:
        ages, _ = as_numbers(frame[spec.age_column])
    elif spec.birth_date_column is not None and spec.birth_date_column in frame:
        ages = ages_at(today, frame[spec.birth_date_column])
    else:
        return
    unknown = is_unknown_age(ages)
    funnel.exclude("under_age", ~unknown & (ages < spec.minimum_age))
    if not spec.keep_unknown_age:
        funnel.exclude("age_unknown", unknown)


def read_consents(spec: TableSpec) -> tuple[ConsentLog | None, list[Problem]]:
    """The consent log of a table, or None and why it cannot be used."""
    consents = spec.consents
    if consents is None:
        return None, []
    columns = (consents.id_column, consents.purpose_column, consents.status_column)
    reading = read_columns(consents.path, columns)
    if reading.problems or reading.frame is None:
        return None, reading.problems
    subjects = normalize(spec.id_kind, as_text(reading.frame[consents.id_column]), spec.extra_prefixes)
    statements = pd.DataFrame(
        {
            "subject": pd.Series(subjects.values, dtype="object"),
            "purpose": [(cell or "").strip() for cell in as_text(reading.frame[consents.purpose_column])],
            "status": [
                (cell or "").strip().lower() for cell in as_text(reading.frame[consents.status_column])
            ],
        }
    )
    problems = []
    unclear = int((~statements["status"].isin([_GRANTED, _WITHDRAWN])).sum())
    if unclear:
        values = {"file": consents.path, "column": consents.status_column, "rows": unclear}
        problems.append(Problem("errors.table_consent_status", values))
    if statements["subject"].isna().all():
        problems.append(
            Problem(
                "errors.table_identifiers_all_bad",
                {
                    "file": consents.path,
                    "column": consents.id_column,
                    "rows": len(statements),
                    "kind": Problem(f"tables.kinds.{spec.id_kind.value}"),
                    "reason": main_reason(dict(subjects.reasons)),
                },
            )
        )
    return (None, problems) if problems else (ConsentLog(statements[statements["subject"].notna()]), [])


def main_reason(reasons: dict[str, int]) -> Problem:
    """The label of the most frequent reason."""
    return Problem(f"tables.funnel.identifier_{max(reasons, key=lambda reason: reasons[reason])}")
