"""An explanation has the reasons that the model computed, and leads to a person in one step."""

import msgspec
import numpy as np
import pandas as pd
import pytest
from consent_desk import PHONES
from held_scene import CASE, home_with_results, subject_of
from lending_scene import condition, plan, rule

from clients.lending.appeals import AppealDesk, Status
from clients.lending.cases import PLANS
from clients.lending.plan import DecisionPolicy
from clients.lending.scored import contribution_reasons
from clients.rights import copies, explanation, receipts
from clients.rights.courier import NoCourier
from clients.rights.engine import Engine, Hooks
from clients.rights.erasers.decisions import DecisionEraser
from clients.rights.intake import Intake, Request
from clients.rights.running import _issue, _prepare
from clients.tables import FieldSpec
from federation.audit_bundle import read_receipt
from federation.path_attributions import Contributions
from privacy.audit import EventType
from privacy.errors import ConfigInvalid
from privacy.rights import CaseState, RequestKind
from privacy.texts import LANGUAGES

_PLAN = plan(rule("rich", condition("income"), set_by="rich-author", approved_by="rich-committee"))
PLAN = msgspec.json.decode(msgspec.json.encode(_PLAN), type=DecisionPolicy)
"""As from a file: its numbers are floats."""
FIELDS = ("monthly_income", "tenure_months", "account_balance", "arrears", "age")
VALUES = np.random.default_rng(5).normal(size=(len(PHONES), len(FIELDS)))


@pytest.fixture
def home(tmp_path):
    made = home_with_results(tmp_path)
    specs = [FieldSpec(name=name) for name in FIELDS]
    reasons = contribution_reasons(Contributions(0.0, FIELDS, (), VALUES), specs)
    results = made.results / "churn-5e555e55"
    pd.DataFrame({"identifier": PHONES, "row": range(10), "points": 600, "reasons": reasons}).to_csv(
        results / "customers.csv", index=False
    )
    decided = pd.DataFrame(
        {"identifier": PHONES, "row": range(10), "grade": "D", "lane": "decline", "rule": ""}
    )
    decided["reasons"], decided["policy"], decided["why"] = reasons, PLAN.digest, "declined"
    decided.to_csv(results / "decisions.csv", index=False)
    made.vault.put(PLANS + PLAN.digest, msgspec.json.encode(PLAN))
    return made


def true_names(place):
    """The fields that raise this person's risk most, from the contributions themselves."""
    raising = [column for column in np.argsort(-VALUES[place]) if VALUES[place][column] > 0]
    return tuple(FIELDS[column] for column in raising[:4])


@pytest.mark.parametrize("place", range(len(PHONES)))
def test_the_reasons_are_the_true_ones_in_their_order(home, place):
    found = explanation.explain(home, subject_of(home, place))
    assert found.names == true_names(place)
    assert found.is_short == (len(true_names(place)) < 3)
    assert all(reason.zh and reason.en for reason in found.reasons)


def test_it_says_the_rule_and_the_way_to_a_person(home):
    found = explanation.explain(home, subject_of(home))
    assert (found.grade, found.about, found.days) == ("D", "D", 10)
    assert found.route.en == "Call."
    assert "decline" not in msgspec.json.encode(found).decode(), "no verdict"
    for language in LANGUAGES:
        page = explanation.page(found, language)
        assert f'lang="{language}"' in page
        assert "<script" not in page


def test_it_is_logged_without_a_name(home):
    explanation.make(home, CASE, subject_of(home), "ab" * 32)
    event = list(home.audit.events())[-1]
    assert (event.type, event.artefact, event.sref) == (EventType.ADM_EXPLAINED, CASE, "ab" * 32)
    assert event.digests == {"lending_policy": PLAN.digest}
    assert explanation.kept(home, CASE).names == true_names(3)
    assert list(copies.copies_of(home, {subject_of(home).token})) == [CASE], "an eraser finds it"


def test_a_person_is_asked_for_in_one_step(home):
    made = explanation.appeal(home, subject_of(home))
    (kept,) = AppealDesk(home).all()
    assert kept == made
    assert (kept.status, kept.about, kept.policy) == (Status.REQUESTED, "D", PLAN.digest)
    assert PHONES[3] not in msgspec.json.encode(kept).decode()


def test_nothing_to_explain_and_nothing_to_appeal_against(home):
    nobody = msgspec.structs.replace(subject_of(home), identifier=b"13988888888")
    assert explanation.explain(home, nobody) is None
    assert explanation.make(home, CASE, nobody) is None
    with pytest.raises(ConfigInvalid) as raised:
        explanation.appeal(home, nobody)
    assert raised.value.key == "explanation_no_decision"


def test_a_score_without_a_decision_is_explained_as_well(home):
    (home.results / "churn-5e555e55" / "decisions.csv").unlink()
    found = explanation.explain(home, subject_of(home))
    assert found.names == true_names(3)
    assert (found.outcome, found.about) == (None, "")


def test_a_request_for_an_explanation_ends_with_one_and_with_a_receipt(home):
    filed = Intake(home).file(Request(kind=RequestKind.EXPLAIN, verified_by="login"), PHONES[3])
    number = filed.case.number
    hooks = Hooks(makers={RequestKind.EXPLAIN: explanation.maker}, before_erasing=_prepare, ended=_issue)
    engine = Engine(home, NoCourier(), [DecisionEraser()], hooks=hooks)
    engine.step()
    assert engine.store.get(number).state is CaseState.COMPLETED, "that the decision is there is no failure"
    assert explanation.kept(home, number).names == true_names(3)
    receipt = receipts.kept(home, number)
    assert read_receipt(receipt).findings == []
    assert "The explanation was made for you" in receipts.page(receipt, "en")
