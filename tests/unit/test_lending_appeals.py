"""The human route: its order, its independence, and records that name nobody."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from consent_desk import PHONES, make_home
from hypothesis import given, settings
from hypothesis import strategies as st
from lending_scene import TODAY, condition, plan, rule

from clients.consents.node import changes_of
from clients.consents.subjects import kind_label
from clients.consents.tables import Source
from clients.lending.appeals import (
    APPEALS,
    DEFAULT_DAYS,
    AppealDesk,
    Ground,
    Outcome,
    Status,
    request,
)
from privacy.audit import EventType
from privacy.errors import ConfigInvalid, ReviewerNotIndependent, SealBroken

PLAN = plan(rule("rich", condition("income"), set_by="rich-author", approved_by="rich-committee"))
DECISION = (Outcome.CHANGED, Ground.CIRCUMSTANCES, "New papers were taken into account.", TODAY)


@pytest.fixture
def home(tmp_path):
    return make_home(tmp_path)


@pytest.fixture
def desk(home):
    return AppealDesk(home)


def events_of(home, kind):
    return [event for event in home.audit.events() if event.type is kind]


def test_from_a_request_to_its_answer(home, desk):
    number = desk.request(PLAN, "D", TODAY).number
    assert desk.get(number).due == TODAY + timedelta(days=10), "what the grade's route promises"
    assert desk.open(TODAY) == {"requested": 1, "assigned": 0, "overdue": 0}
    desk.assign(number, "reviewer")
    assert desk.open(TODAY + timedelta(days=11)) == {"requested": 0, "assigned": 1, "overdue": 1}
    desk.decide(number, "reviewer", *DECISION)
    found = AppealDesk(home).get(number)
    assert (found.status, found.outcome, found.closed) == (Status.DECIDED, Outcome.CHANGED, TODAY)
    assert desk.open(TODAY + timedelta(days=99)) == {"requested": 0, "assigned": 0, "overdue": 0}


@pytest.mark.parametrize(
    ("about", "barred"),
    [("D", {"author", "committee"}), ("rich", {"rich-author", "rich-committee"})],
)
def test_who_set_or_approved_the_rule_does_not_review_it(about, barred, desk):
    made = desk.request(PLAN, about, TODAY)
    assert set(made.barred) == barred
    for person in (*barred, ""):
        with pytest.raises(ReviewerNotIndependent) as refusal:
            desk.assign(made.number, person)
        assert refusal.value.render("en").startswith("R-ADM-NO-HUMAN-PATH:")
    assert desk.assign(made.number, "reviewer").reviewer == "reviewer"


def test_nobody_but_the_reviewer_decides(desk):
    number = desk.request(PLAN, "D", TODAY).number
    desk.assign(number, "reviewer")
    for person in ("author", "somebody", ""):
        with pytest.raises(ReviewerNotIndependent):
            desk.decide(number, person, *DECISION)
    assert desk.get(number).status is Status.ASSIGNED
    desk.assign(number, "another")
    with pytest.raises(ReviewerNotIndependent):
        desk.decide(number, "reviewer", *DECISION)


STEPS = {
    "assign": lambda one: one.assign("reviewer"),
    "decide": lambda one: one.decide("reviewer", *DECISION),
    "withdraw": lambda one: one.withdraw(TODAY),
}
ALLOWED = {
    (Status.REQUESTED, "assign"): Status.ASSIGNED,
    (Status.REQUESTED, "withdraw"): Status.WITHDRAWN,
    (Status.ASSIGNED, "assign"): Status.ASSIGNED,
    (Status.ASSIGNED, "decide"): Status.DECIDED,
    (Status.ASSIGNED, "withdraw"): Status.WITHDRAWN,
}


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(sorted(STEPS)), max_size=8))
def test_only_these_steps_lead_anywhere(steps):
    appeal = request(PLAN, "D", TODAY)
    for step in steps:
        expected = ALLOWED.get((appeal.status, step))
        if expected is None:
            with pytest.raises(ConfigInvalid) as problem:
                STEPS[step](appeal)
            assert problem.value.key == "lending_appeal_state"
        else:
            appeal = STEPS[step](appeal)
            assert appeal.status is expected
    assert (appeal.closed is not None) == (appeal.status in {Status.DECIDED, Status.WITHDRAWN})


def test_a_rule_without_a_route_of_its_own_has_the_ordinary_period():
    assert request(PLAN, "rich", TODAY).due == TODAY + timedelta(days=DEFAULT_DAYS)
    late = request(PLAN, "D", date(2026, 1, 1))
    assert [late.is_overdue(date(2026, 1, day)) for day in (11, 12)] == [False, True]


def test_what_the_policy_does_not_have_cannot_be_appealed_against():
    with pytest.raises(ConfigInvalid) as problem:
        request(PLAN, "E", TODAY)
    assert problem.value.key == "lending_appeal_rule"


@pytest.mark.parametrize("note", ["call 13900000001", "id 1101 0119 9001 0112", "0571-8888-1234"])
def test_a_note_holds_no_long_number(desk, note):
    number = desk.request(PLAN, "D", TODAY).number
    desk.assign(number, "reviewer")
    with pytest.raises(ConfigInvalid) as problem:
        desk.decide(number, "reviewer", Outcome.UPHELD, Ground.CONFIRMED, note, TODAY)
    assert problem.value.key == "lending_appeal_note"
    assert note not in problem.value.render("en")


def test_the_log_hears_of_beginning_and_end_and_of_nobody(home, desk, tmp_path):
    changes = changes_of(home, Source.CLI)
    tokens = home.consents.tokens(kind_label(home.settings.table), changes.identifiers(PHONES[:1]))
    (sref,) = home.consents.srefs(tokens, "lending", 0)
    number = desk.request(PLAN, "D", TODAY, sref).number
    desk.assign(number, "reviewer")
    desk.decide(number, "reviewer", *DECISION[:3], TODAY + timedelta(days=4))
    (begun,) = events_of(home, EventType.ADM_REFUSED_BY_SUBJECT)
    (ended,) = events_of(home, EventType.ADM_HUMAN_REVIEWED)
    assert begun.sref == ended.sref == sref
    assert begun.digests == ended.digests
    assert begun.digests["lending_policy"] == PLAN.digest
    assert ended.numbers == {"days": 4, "changed": 1}
    for file in tmp_path.rglob("*"):
        if file.is_file() and file.name != "consents.csv":
            data = file.read_bytes()
            assert PHONES[0].encode() not in data, file.name
            assert DECISION[2].encode() not in data, file.name


def test_unknown_and_broken_records(home, desk):
    with pytest.raises(ConfigInvalid) as problem:
        desk.get("0" * 32)
    assert problem.value.key == "lending_appeal_unknown"
    home.vault.put(APPEALS + "1" * 32, b"{}")
    with pytest.raises(SealBroken):
        desk.all()


def test_appeals_are_listed_from_the_oldest_on(desk):
    days = [TODAY, TODAY - timedelta(days=3), TODAY - timedelta(days=1)]
    for day in days:
        desk.request(PLAN, "D", day)
    assert [one.requested for one in desk.all()] == sorted(days)
