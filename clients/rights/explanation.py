"""Explaining one decision to the person it is about: its true main reasons, its rule, and the way to a person (24, 48).

The reasons are those that the model computed for this person when it scored it (`customers.csv`, `decisions.csv`):
nothing is made up afterwards, and none of them is left out. `appeal` has somebody look at the decision, in one step.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import pandas as pd

from clients.consents.rows import as_tokens
from clients.home import NodeHome
from clients.lending.appeals import Appeal, AppealDesk
from clients.lending.cases import DECISIONS, PLANS
from clients.lending.plan import DecisionPolicy
from clients.lending.reasons import parse_reasons, sentence
from clients.results import CUSTOMERS
from clients.rights.copies import COPIES, KEPT_DAYS, folder_of
from clients.rights.held import neutral, result_files
from clients.rights.located import Located
from clients.rights.wording import Wording, render
from federation.files import replace_file
from federation.pace import today
from privacy.audit import EventType
from privacy.errors import ConfigInvalid
from privacy.policy import Titles
from privacy.rights import Artefact, CaseNumber, Outcome, Result
from privacy.texts import LANGUAGES

if TYPE_CHECKING:
    from clients.rights.cases import Case

JSON_FILE: Final = "explanation.json"
SCHEMA: Final = "silhouette explanation 1"
FEWEST_REASONS: Final = 3
"""As many are told wherever the model has as many; `is_short` says where it has fewer."""
LENDING: Final = "lending"
"""The project of references to subjects in appeals (`clients.lending.appeals_cli`)."""
_ID: Final = "identifier"


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """About the last decision or score. about: the grade or rule that an appeal is against, "" for none.

    reasons: the weightiest first; is_short: the model has fewer than `FEWEST_REASONS`; names: as the files have them.
    policy: digest of the decision policy; route, reviewer, days: of the way to a person.
    """

    schema: str
    job: str
    reasons: tuple[Titles, ...]
    names: tuple[str, ...]
    is_short: bool
    outcome: Titles | None = None
    grade: str = ""
    rule: Titles | None = None
    about: str = ""
    policy: str = ""
    route: Titles | None = None
    reviewer: str = ""
    days: int = 0


def explain(home: NodeHome, subject: Located) -> Explanation | None:
    """The last decision about a subject, else its last score; None where there is neither."""
    found = _last(home, subject.identifier.decode())
    if found is None:
        return None
    file, row, column = found
    reasons = parse_reasons(row.get("reasons", ""))
    plan = known_plan(home, row.get("policy", ""))
    rule = None if plan is None else plan.rule(row.get("rule", ""))
    grade = None if plan is None else plan.grade(row.get("grade", ""))
    route = None if grade is None else grade.human_route
    return Explanation(
        schema=SCHEMA,
        job=file.parent.name,
        reasons=tuple(
            Titles(zh=sentence(one.name, one.direction, "zh-CN"), en=sentence(one.name, one.direction, "en"))
            for one in reasons
        ),
        names=tuple(one.name for one in reasons),
        is_short=len(reasons) < FEWEST_REASONS,
        outcome=neutral("lane", row["lane"], column) if row.get("lane") else None,
        grade=row.get("grade", ""),
        rule=None if rule is None else rule.reason,
        about=rule.id if rule is not None else grade.name if grade is not None else "",
        policy=row.get("policy", ""),
        route=None if route is None else route.ask,
        reviewer="" if route is None else route.reviewer,
        days=0 if route is None else route.days,
    )


def make(home: NodeHome, case: CaseNumber, subject: Located, sref: str = "") -> Path | None:
    """Explain for a request, log it, and keep it beside the copies; its folder, None where there is nothing.

    Doing it again replaces it.
    """
    found = explain(home, subject)
    if found is None:
        return None
    home.audit.append(
        EventType.ADM_EXPLAINED,
        actor="node",
        artefact=case,
        sref=sref,
        numbers={"reasons": len(found.reasons)},
        digests={"lending_policy": found.policy} if found.policy else {},
    )
    home.vault.put(COPIES + case, subject.token, days=KEPT_DAYS)
    folder = folder_of(home, case)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    replace_file(folder / JSON_FILE, msgspec.json.format(msgspec.json.encode(found)), secret=True)
    for language in LANGUAGES:
        replace_file(folder / page_file(language), page(found, language).encode(), secret=True)
    return folder


def maker(home: NodeHome, case: Case) -> Outcome:
    """The engine's step for a request to explain a decision."""
    subjects = case.subjects
    made = make(home, case.number, subjects[-1], case.record.sref) if subjects else None
    reason = "" if made is None else "explaining.made"
    return Outcome(artefact=Artefact.DECISION, result=Result.NOT_FOUND, reason=reason)


def kept(home: NodeHome, case: CaseNumber) -> Explanation | None:
    """What was explained for a request, as long as it is kept."""
    file = folder_of(home, case) / JSON_FILE
    return msgspec.json.decode(file.read_bytes(), type=Explanation) if file.exists() else None


def appeal(home: NodeHome, subject: Located, found: Explanation | None = None) -> Appeal:
    """Ask for a person to look at the decision, in one step. found: what was explained; None: the last decision.

    Raises `ConfigInvalid` where nothing was decided by a policy that the node still has.
    """
    found = found or explain(home, subject)
    plan = None if found is None else known_plan(home, found.policy)
    if found is None or plan is None or not found.about:
        raise ConfigInvalid("explanation_no_decision")
    (sref,) = home.consents.srefs(as_tokens([subject.token]), LENDING, 0)
    return AppealDesk(home).request(plan, found.about, today(), sref)


def known_plan(home: NodeHome, digest: str) -> DecisionPolicy | None:
    """The decision policy of that digest, as it was when it was used."""
    data = home.vault.get(PLANS + digest) if digest else None
    return None if data is None else msgspec.json.decode(data, type=DecisionPolicy)


def page_file(language: str) -> str:
    """What the page in one language is called."""
    return f"explanation.{language}.html"


def page(found: Explanation, language: str | None = None) -> str:
    """An explanation for reading and printing."""
    return render("clients.rights", "explanation.html.j2", Wording(language), found=found)


def drop(home: NodeHome, case: CaseNumber) -> None:
    """Remove what was explained for a request."""
    shutil.rmtree(folder_of(home, case), ignore_errors=True)
    home.vault.remove_one(COPIES + case)


def _last(home: NodeHome, identifier: str) -> tuple[Path, dict[str, str], pd.Series[str]] | None:
    """The last decision about a person, else the last row with reasons: file, row, column of lanes."""
    scored = None
    for file in reversed(result_files(home)):
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
        if _ID not in table or "reasons" not in table:
            continue
        own = table.loc[table[_ID] == identifier]
        if own.empty:
            continue
        row = {str(name): str(value) for name, value in own.iloc[-1].items()}
        column = table["lane"] if "lane" in table else table["reasons"]
        if file.name == DECISIONS:
            return file, row, column
        if file.name == CUSTOMERS and scored is None:
            scored = file, row, column
    return scored
