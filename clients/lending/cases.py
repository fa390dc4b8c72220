"""Deciding about the customers of a finished job at a node: who may be decided about, and the file of decisions.

Who has refused automated decisions (`clients.lending.automation`) gets none. Whoever is under a restriction (PIPL 47),
or has no consent to the purpose that holds today where that is its basis (13 to 15), is not decided about at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pandas as pd

from clients.consents.node import bring_in, changes_of
from clients.consents.subjects import kind_label
from clients.consents.tables import Source
from clients.gate.policy import catalog_of, policy_for_use
from clients.gate.retention import RESULTS
from clients.home import NodeHome
from clients.lending.automation import refused_automation
from clients.lending.decide import Applicants, Column, Decisions, Mask, Why, decide
from clients.lending.plan import DecisionPolicy, Lane, Scale, Subject
from clients.lending.plan_checks import read_plan
from clients.lending.reasons import RiskReason, parse_reasons
from clients.results import CUSTOMERS, read_people
from federation.files import replace_file
from federation.pace import today, utc_now
from privacy.audit import EventType
from privacy.consent import Answer, Need
from privacy.errors import ConfigInvalid, Denied
from privacy.normalization import Cells, normalize
from privacy.policy import Basis, Policy, PurposeClass
from privacy.reasons import Finding, Reason

DECISIONS: Final = "decisions.csv"
PLANS: Final = "lending/plan/"
"""Vault records of the policies that decisions were made by, by their digest, for whoever explains one later."""
SCORE_COLUMNS: Final = {Scale.POINTS: ("points",), Scale.PD: ("pd", "score")}
"""The columns of customers.csv that may hold scores of a scale: of a scorecard, calibrated, before the trees'."""
FEWEST_COUNTED: Final = 10
"""Counts in the log are rounded down to a multiple, so that the difference of two batches does not tell of one."""
_ID, _ROW, _REASONS = "identifier", "row", "reasons"


@dataclass(frozen=True, slots=True)
class Decided:
    """What a batch came to. left_out: customers about whom nothing may be decided; counts: by lane."""

    file: Path
    decisions: Decisions
    left_out: int

    @property
    def summary(self) -> dict[str, Any]:
        """As the command prints it: counts alone."""
        refused = sum(why is Why.REFUSED for why in self.decisions.whys)
        return {
            "file": str(self.file),
            "policy": self.decisions.plan.name,
            "version": self.decisions.plan.digest,
            "lanes": self.decisions.counts(),
            "grades": {
                grade.name: int((self.decisions.grades == place).sum())
                for place, grade in enumerate(self.decisions.plan.grades)
            },
            "needs_human": int(self.decisions.needs_human.sum()),
            "refused_automation": refused,
            "left_out": self.left_out,
        }


def home_of(results: Path) -> Path:
    """The node whose results these are: `<home>/results/<job>-<session>`."""
    return results.resolve().parents[1]


def decide_about(home: NodeHome, results: Path, policy_file: Path, attributes: Path | None = None) -> Decided:
    """Decide about the customers in a folder of results; writes `decisions.csv` beside them for the node's own people.

    Raises `Denied` for a policy or a purpose that the law does not allow and for results whose time is over,
    `ConfigInvalid` for files that do not fit.
    """
    policy = policy_for_use(home)
    plan = read_plan(policy_file, catalog_of(policy))
    _check_purpose(plan, policy)
    home.vault.get(RESULTS + results.resolve().name)  # refused when their time is over
    customers = read_table(results / CUSTOMERS, _ID)
    identifiers = customers[_ID].tolist()
    excluded, refused = _words(home, plan, policy, identifiers)
    customers = customers[~excluded].reset_index(drop=True)
    own = None if attributes is None else own_columns(home, attributes)
    kinds = {item.name: item.kind for item in home.settings.table.fields}
    applicants = _applicants(plan, customers, refused[~excluded], own, kinds)
    decisions = decide(plan, applicants, today())
    _log(home, policy, decisions)
    home.vault.keep(PLANS + plan.digest, msgspec.json.encode(plan))
    table = decisions.table()
    for place, name in enumerate(name for name in (_ID, _ROW) if name in customers):
        table.insert(place, name, customers[name])
    file = results / DECISIONS
    replace_file(file, table.to_csv(index=False).encode(), secret=True)
    return Decided(file, decisions, int(excluded.sum()))


def _check_purpose(plan: DecisionPolicy, policy: Policy) -> None:
    """The node's policy registers the purpose for lending, and for people who reviews (6, 24). Raises `Denied`."""
    purpose = policy.purpose(plan.purpose)
    if purpose is None:
        raise Denied.of([Finding(Reason.PURPOSE_UNREGISTERED, plan.purpose)])
    found = []
    if purpose.treatment is not PurposeClass.CREDIT_RISK:
        found.append(Finding(Reason.PURPOSE_MISMATCH, plan.purpose))
    told = purpose.automated_decision and bool(purpose.human_route)
    if plan.subject is Subject.PERSON and not told:
        found.append(Finding(Reason.ADM_NO_HUMAN_PATH, plan.purpose))
    if found:
        raise Denied.of(found)


def _words(
    home: NodeHome, plan: DecisionPolicy, policy: Policy, identifiers: Sequence[str]
) -> tuple[Mask, Mask]:
    """(n,) about whom nothing may be decided, (n,) who has refused automated decisions; by what they said last."""
    bring_in(home)
    store, now = home.consents, utc_now()
    known = changes_of(home, Source.CLI).identifiers(identifiers)
    tokens = store.tokens(kind_label(home.settings.table), known)
    excluded = store.restricted(tokens, now)
    purpose = policy.purpose(plan.purpose)
    if purpose is not None and purpose.basis is Basis.CONSENT:
        notice = policy.notice(purpose.notice)
        valid = () if notice is None else (notice.id, *notice.still_valid)
        excluded |= store.answers(tokens, Need(purpose.name), valid, now) != Answer.YES
    return excluded, refused_automation(home, known)


def own_columns(home: NodeHome, file: Path) -> pd.DataFrame:
    """The lender's file, its identifiers spelled as in results; rows whose identifier is none are left out."""
    found, spec = read_table(file, _ID), home.settings.table
    spelled = normalize(spec.id_kind, Cells.of(found[_ID].tolist()), spec.extra_prefixes, spec.id_format)
    found[_ID] = np.strings.decode(spelled.identifiers, "utf-8")
    found = found[spelled.valid]
    if found[_ID].duplicated().any():
        raise ConfigInvalid("lending_attributes", file=file)
    return found


def _applicants(
    plan: DecisionPolicy,
    customers: pd.DataFrame,
    refused: Mask,
    own: pd.DataFrame | None,
    kinds: Mapping[str, str] | None = None,
) -> Applicants:
    known = SCORE_COLUMNS[plan.scale]
    column = next((name for name in known if name in customers), "")
    if not column:
        raise ConfigInvalid("lending_score_column", file=CUSTOMERS, column=known[0])
    scores = pd.to_numeric(customers[column], errors="coerce").to_numpy(dtype=np.float64)
    unreadable = np.isnan(scores) & (customers[column] != "").to_numpy()
    if unreadable.any():
        raise ConfigInvalid("lending_scores", count=int(unreadable.sum()))
    fields = fields_of(plan, customers, own)
    reasons: list[tuple[RiskReason, ...]] = []
    if _REASONS in customers:
        reasons = [parse_reasons(cell) for cell in customers[_REASONS].tolist()]
    return Applicants(scores, refused, fields, reasons, kinds or {})


def fields_of(plan: DecisionPolicy, customers: pd.DataFrame, extra: pd.DataFrame | None) -> dict[str, Column]:
    """What rules ask about, by customer; only these columns of the lender's file are kept. Missing: NaN, or ""."""
    own = customers
    if extra is not None:
        wanted = [name for name in plan.fields if name in extra and name not in customers]
        own = customers.merge(extra[[_ID, *wanted]], on=_ID, how="left")
    numeric = {
        item.field for rule in plan.rules for item in rule.conditions if not item.one_of
    }  # asked about as numbers
    found: dict[str, Column] = {}
    for name in plan.fields:
        if name not in own:
            raise ConfigInvalid("lending_column_missing", column=name)
        cells = own[name].fillna("")
        if name in numeric:
            numbers = pd.to_numeric(cells, errors="coerce")
            if (numbers.isna() & (cells != "")).any():
                raise ConfigInvalid("lending_column_numbers", column=name)
            found[name] = numbers.to_numpy(dtype=np.float64)
        else:
            found[name] = cells.to_numpy(dtype=object)
    return found


def read_decided(results: Path) -> tuple[list[Lane], list[str]]:
    """The (n,) lanes and (n,) grades of what was decided in a folder of results. Raises `ConfigInvalid`."""
    found = read_table(results / DECISIONS, "lane")
    try:
        lanes = [Lane(lane) for lane in found["lane"].tolist()]
    except ValueError:
        raise ConfigInvalid("lending_attributes", file=results / DECISIONS) from None
    return lanes, found["grade"].tolist() if "grade" in found else [""] * len(lanes)


def read_table(file: Path, needed: str) -> pd.DataFrame:
    """A file about applicants as text. Raises `ConfigInvalid`."""
    found = read_people(file, needed)
    if found is None:
        raise ConfigInvalid("lending_attributes", file=file)
    return found


def _log(home: NodeHome, policy: Policy, decisions: Decisions) -> None:
    """Before the file is written: what the log does not take is not decided."""
    counts = {
        **decisions.counts(),
        "refused_automation": sum(why is Why.REFUSED for why in decisions.whys),
    }
    home.audit.append(
        EventType.ADM_DECIDED,
        actor="operator",
        artefact=decisions.plan.name,
        policy=policy.digest,
        numbers={name: count // FEWEST_COUNTED * FEWEST_COUNTED for name, count in counts.items()},
        digests={"lending_policy": decisions.plan.digest},
    )
