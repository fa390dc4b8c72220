"""A decision policy: the examples may be used; what is not sound, and what the law forbids, is refused by name."""

from __future__ import annotations

from datetime import date

import pytest
from lending_scene import EXAMPLES, POINTS, ROUTE, condition, plan, rule, with_grade

from clients.lending.plan import ENTERPRISE_FIELDS, Condition, Grade, HumanRoute, Lane, Scale, Subject
from clients.lending.plan_checks import check_plan, read_plan
from privacy.catalog import Catalog
from privacy.errors import ConfigInvalid, Denied
from privacy.policy import Titles
from privacy.reasons import Finding, Reason

CATALOG = Catalog.load()
PRICE = Reason.PRICE_FEATURE_PROHIBITED


def findings_of(made):
    """What the law has against a policy; nothing for a sound one."""
    try:
        check_plan(made, "policy.toml", CATALOG)
    except Denied as refusal:
        return list(refusal.findings)
    return []


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.toml")), ids=lambda file: file.stem)
def test_the_examples_may_be_used(file):
    found = read_plan(file)
    assert found.is_in_force(date(2026, 6, 1))
    assert {grade.lane for grade in found.grades} == set(Lane)
    assert read_plan(file).digest == found.digest


def test_there_is_an_example_for_each_kind_of_subject():
    assert {read_plan(file).subject for file in EXAMPLES.glob("*.toml")} == set(Subject)


def test_a_changed_policy_is_another_version():
    assert plan().digest != plan(rules=(rule(limit_multiple=1.1),)).digest
    assert len(plan().digest) == 64


def test_a_policy_holds_from_its_first_to_its_last_day():
    days = [date(2025, 12, 31), date(2026, 1, 1), date(2026, 12, 31), date(2027, 1, 1)]
    assert [plan().is_in_force(day) for day in days] == [False, True, True, False]


FORM = {
    "a rule's id twice": ("lending_name", {"rules": (rule("x", condition("income")), rule("x"))}),
    "an id like a phone number": ("lending_name", {"rules": (rule("r12345678901"),)}),
    "approved by its author": ("lending_own_approval", {"rules": (rule(approved_by="author"),)}),
    "grades approved by their author": ("lending_own_approval", {"approved_by": "author"}),
    "ends before it begins": ("lending_period", {"effective_until": date(2025, 1, 1)}),
    "one grade": ("lending_grades", {"grades": POINTS[:1]}),
    "a grade left out": ("lending_grades", {"grades": (POINTS[0], *POINTS[2:])}),
    "grades in another order": ("lending_grades", {"grades": POINTS[::-1]}),
    "no score above": ("lending_open_ends", {"grades": with_grade(0, high=900.0)}),
    "no score below": ("lending_open_ends", {"grades": with_grade(3, low=300.0)}),
    "a gap": ("lending_gap", {"grades": with_grade(1, high=639.0)}),
    "an overlap": ("lending_gap", {"grades": with_grade(1, high=650.0)}),
    "no bound": ("lending_gap", {"grades": with_grade(1, high=None)}),
    "a bound that is no number": ("lending_gap", {"grades": with_grade(1, high=float("nan"))}),
    "a probability above one": ("lending_band", {"scale": Scale.PD, "grades": (
        Grade(name="A", lane=Lane.FAST, high=1.5), Grade(name="B", lane=Lane.MANUAL, low=1.5))}),
    "an empty band": ("lending_band", {"grades": (
        POINTS[0], Grade(name="B", lane=Lane.MANUAL, low=640, high=640),
        Grade(name="C", lane=Lane.MANUAL, high=640))}),
    "a worse grade treated more mildly": ("lending_lanes", {
        "grades": with_grade(1, lane=Lane.DECLINE, human_route=ROUTE)}),
    "everybody in the fast lane": ("lending_all_fast", {"grades": (POINTS[0], Grade(
        name="B", lane=Lane.FAST, high=640))}),
    "no rule": ("lending_last_rule", {"rules": ()}),
    "a last rule with conditions": ("lending_last_rule", {"rules": (rule("x", condition("income")),)}),
    "a rule that is never reached": ("lending_unreachable", {"rules": (rule("x"), rule("y"))}),
    "a condition without a demand": ("lending_condition", {"rules": (
        rule("x", Condition(field="income")), rule())}),
    "words and numbers at once": ("lending_condition", {"rules": (
        rule("x", condition("income", one_of=("a",), at_least=1.0)), rule())}),
    "an empty range": ("lending_condition", {"rules": (
        rule("x", condition("income", at_least=2.0, below=2.0)), rule())}),
    "a limit that is no number": ("lending_condition", {"rules": (
        rule("x", condition("income", at_least=float("nan"))), rule())}),
    "a grade that there is not": ("lending_condition", {"rules": (
        rule("x", condition("grade", one_of=("F",))), rule())}),
    "a grade as a number": ("lending_condition", {"rules": (rule("x", condition("grade")), rule())}),
    "a reason in one language": ("lending_reason", {"rules": (rule(reason=Titles(zh=" ", en="Reason")),)}),
}  # fmt: skip


@pytest.mark.parametrize("fault", FORM)
def test_what_is_not_sound_is_refused(fault):
    key, changes = FORM[fault]
    with pytest.raises(ConfigInvalid) as problem:
        check_plan(plan(**changes), "policy.toml", CATALOG)
    assert problem.value.key == key
    assert "policy.toml" in problem.value.render("zh-CN")


def test_the_sound_one_has_no_fault():
    assert findings_of(plan()) == []
    assert (
        findings_of(plan(rule("x", condition("income")), rule("y", condition("grade", one_of=("A",))))) == []
    )


@pytest.mark.parametrize(
    "field",
    ["persona", "segment", "cluster_id", "coupon_rate", "gender", "arpu", "mcc_3", "画像", "browsing_news",
     "Segment", "my_segment_2", "persona_score", "tags", "客群编号"],
)  # fmt: skip
@pytest.mark.parametrize("subject", Subject)
def test_no_term_depends_on_habits_or_persona(field, subject):
    found = findings_of(plan(rule("dear", condition(field)), subject=subject))
    assert Finding(PRICE, f"dear: {field}") in found
    line = next(item for item in found if item.reason is PRICE).render("en")
    assert line.startswith(f"R-PRICE-FEATURE-PROHIBITED [PIPL 24] (dear: {field}):")


def test_a_field_that_the_catalogue_marks_is_never_in_a_price():
    """Every class that is marked, under its own class whatever the column is called."""
    marked = [item for item in CATALOG.classes if item.price_prohibited]
    assert len(marked) > 5
    for item in marked:
        asked = [condition("x7", kind=item.key, at_least=1.0)]
        asked += [condition(alias) for alias in item.aliases if "*" not in alias]
        for one in asked:
            assert Finding(PRICE, f"dear: {one.field}") in findings_of(plan(rule("dear", one)))


def test_a_declared_class_does_not_hide_what_the_name_tells():
    hidden = condition("coupon_rate", kind="income", at_least=0.5)
    assert Finding(PRICE, "dear: coupon_rate") in findings_of(plan(rule("dear", hidden)))


def test_what_lending_may_not_use_is_no_condition_either():
    expected = {
        "ethnicity": Reason.FIELD_PROHIBITED,
        "phone": Reason.FIELD_EXCEEDS_MINIMUM,
        "x7": Reason.FIELD_UNCLASSIFIED,
    }
    for field, reason in expected.items():
        assert Finding(reason, f"dear: {field}") in findings_of(plan(rule("dear", condition(field)))), field
    unknown = condition("income", kind="no_such_class", at_least=1.0)
    assert Finding(Reason.FIELD_UNCLASSIFIED, "dear: income") in findings_of(plan(rule("dear", unknown)))


def test_what_is_known_of_firms_is_not_known_of_people():
    for field in ENTERPRISE_FIELDS:
        asked = rule("x", condition(field))
        assert findings_of(plan(asked, subject=Subject.ENTERPRISE)) == []
        assert findings_of(plan(asked)) != []


@pytest.mark.parametrize(
    "route",
    [
        None,
        HumanRoute(reviewer=" ", ask=ROUTE.ask),
        HumanRoute(reviewer="desk", ask=Titles(zh="请致电。", en="")),
    ],
)
def test_nobody_is_declined_without_a_person_to_ask(route):
    made = plan(grades=with_grade(3, human_route=route))
    assert findings_of(made) == [Finding(Reason.ADM_NO_HUMAN_PATH, "loans: D")]


def test_all_faults_of_law_are_told_at_once():
    made = plan(
        rule("a", condition("persona")),
        rule("b", condition("gender")),
        grades=with_grade(3, human_route=None),
    )
    about = {finding.about for finding in findings_of(made)}
    assert about == {"a: persona", "b: gender", "loans: D"}


def test_an_unknown_key_of_the_file_is_refused(tmp_path):
    file = tmp_path / "policy.toml"
    file.write_text((EXAMPLES / "people.toml").read_text("utf-8") + "\nsegment_price = 1\n", "utf-8")
    with pytest.raises(ConfigInvalid) as problem:
        read_plan(file)
    assert "segment_price" in problem.value.render("en")
