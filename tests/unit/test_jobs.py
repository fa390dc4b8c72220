"""Jobs: every rule, every unknown key, and one digest for everybody."""

import hashlib
import typing
from enum import Enum

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.jobs import (
    METHOD_OF_STAGE,
    Deadlines,
    EnterprisePlan,
    ForgetPlan,
    Job,
    MatchPlan,
    Method,
    PartyPlan,
    PartyRole,
    RiskPlan,
    ScorecardPlan,
    ScoringPlan,
    SegmentsPlan,
    Stage,
    check_job,
    decode_job,
    encode_job,
)
from privacy.errors import ConfigInvalid
from privacy.parameters import HIGH, MINIMUM_KEY_BITS, PROFILES, STANDARD, TESTING_ONLY, profile_named
from privacy.texts import LANGUAGES

BANK = PartyPlan(
    name="bank", role=PartyRole.LABEL_HOLDER, segment_fields=("income",), risk_fields=("income", "age")
)
SHOP = PartyPlan(
    name="shop", role=PartyRole.FEATURE_HOLDER, segment_fields=("spend",), risk_fields=("spend",)
)
JOB = Job(
    name="autumn", purpose="credit_risk", parties=(BANK, SHOP), segments=SegmentsPlan(), risk=RiskPlan()
)
FULL = msgspec.structs.replace(
    JOB,
    parties=(
        msgspec.structs.replace(BANK, enterprise_fields=("leverage",)),
        msgspec.structs.replace(SHOP, enterprise_fields=("order_growth",)),
    ),
    scorecard=ScorecardPlan(special=(-1.0,), start="0" * 32),
    scoring=ScoringPlan(model="0" * 32),
    enterprise=EnterprisePlan(),
    forget=ForgetPlan(session="0" * 32),
)
"""With a value for every key, though no job may have all of them."""
DIGEST = "744561f933ac4696b0ce0956c21dbb88a2bbe4e933f24f41548ab195bbe599e9"
"""Of `JOB`, as this version makes it. A change here means that older nodes refuse newer jobs: say so in the log."""


def changed(record, **changes):
    return msgspec.structs.replace(record, **changes)


def refuses(act, *arguments, key="job_invalid"):
    with pytest.raises(ConfigInvalid) as caught:
        act(*arguments)
    assert caught.value.key == key
    assert all(caught.value.render(language) for language in LANGUAGES)
    return caught.value.render("en")


# --- what a job is


def test_a_job_is_the_same_after_its_journey():
    check_job(JOB)
    assert decode_job(encode_job(JOB)) == JOB
    assert JOB.roles.label_holder == "bank"
    assert JOB.roles.feature_holders == ("shop",)
    assert JOB.plan_of("shop") == SHOP
    assert JOB.security is STANDARD


def test_the_label_holder_comes_first_wherever_it_is_listed():
    assert changed(JOB, parties=(SHOP, BANK)).roles.all == ("bank", "shop")


@pytest.mark.parametrize(
    ("plans", "stages", "methods"),
    [
        ({}, "match", "matching"),
        ({"segments": SegmentsPlan()}, "match segments", "matching kmeans"),
        ({"risk": RiskPlan()}, "match risk score", "matching secureboost scoring"),
        ({"scorecard": ScorecardPlan()}, "match bins select scorecard points", "matching scorecard scoring"),
        (
            {"segments": SegmentsPlan(), "risk": RiskPlan(), "scorecard": ScorecardPlan()},
            "match segments bins select scorecard points risk score",
            "matching kmeans scorecard scoring secureboost",
        ),
        ({"scoring": ScoringPlan(model="0" * 32)}, "match points", "matching scoring"),
        ({"scoring": ScoringPlan(model="0" * 32, kind="boosting")}, "match score", "matching scoring"),
        (
            {"risk": RiskPlan(), "enterprise": EnterprisePlan()},
            "match risk score enterprise",
            "matching secureboost scoring enterprise",
        ),
        (
            {"risk": RiskPlan(), "segments": SegmentsPlan(), "forget": ForgetPlan(session="0" * 32)},
            "recall segments risk score",
            "matching kmeans secureboost scoring",
        ),
    ],
)
def test_stages_follow_the_plans(plans, stages, methods):
    job = changed(JOB, **({"segments": None, "risk": None} | plans))
    assert job.stages == tuple(Stage(stage) for stage in stages.split())
    assert job.methods == tuple(methods.split())


@pytest.mark.parametrize(
    "changes",
    [
        {"scoring": ScoringPlan(model="0" * 32)},
        {"scorecard": ScorecardPlan(seed=7)},
        {"scorecard": ScorecardPlan(test_share=0.2)},
        {"scorecard": ScorecardPlan(), "parties": (BANK, msgspec.structs.replace(SHOP, risk_fields=()))},
    ],
)
def test_plans_that_do_not_go_together_are_refused(changes):
    refuses(check_job, changed(JOB, **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"parties": (BANK, SHOP)},
        {"scorecard": None, "scoring": None, "risk": None},
        {"enterprise": EnterprisePlan(cash_flow=21)},
        {"enterprise": EnterprisePlan(level_bounds=(0.02, 0.05, 0.1))},
        {"enterprise": EnterprisePlan(level_bounds=(0.02, 0.05, 0.05, 0.1))},
        {"enterprise": EnterprisePlan(level_bounds=(0.02, 0.05, 0.1, 1.0))},
        {"enterprise": EnterprisePlan(since=12, until=11)},
    ],
)
def test_firms_are_judged_with_a_model_columns_weights_and_bounds(changes):
    job = changed(FULL, scoring=None)
    check_job(job)
    refuses(check_job, changed(job, **changes))


def test_forgetting_trains_something():
    forget = ForgetPlan(session="0" * 32)
    check_job(changed(JOB, forget=forget))
    refuses(check_job, changed(JOB, forget=forget, segments=None, risk=None))
    refuses(decode_job, msgspec.msgpack.encode(changed(JOB, forget=ForgetPlan(session="0" * 31))))


def test_a_job_is_an_earlier_one_again_but_for_names_deadlines_and_what_is_forgotten():
    again = changed(
        JOB, name="again", project="autumn", forget=ForgetPlan(session="0" * 32), deadlines=Deadlines(join=1)
    )
    assert again.is_again(JOB)
    assert changed(again, forget=ForgetPlan(session="1" * 32)).is_again(again)
    assert not changed(again, project="").is_again(JOB)
    for other in (
        {"risk": RiskPlan(seed=1)},
        {"parties": (SHOP, BANK)},
        {"purpose": "spam"},
        {"segments": None},
    ):
        assert not changed(again, **other).is_again(JOB)


def test_points_of_a_single_column_stay_few():
    job = changed(FULL, scoring=None, enterprise=EnterprisePlan(cash_flow=9, growth=26))
    refuses(decode_job, msgspec.msgpack.encode(job))


def test_every_stage_of_a_job_is_a_kind_of_processing():
    """The witness stage is none: it concerns logs, and no subject."""
    assert {*METHOD_OF_STAGE} == {*Stage} - {Stage.WITNESS}
    assert {*METHOD_OF_STAGE.values()} == {*Method}


def test_a_job_is_a_project_of_its_own_unless_it_names_one():
    assert JOB.project_name == "autumn"
    assert changed(JOB, project="lending").project_name == "lending"
    refuses(decode_job, msgspec.msgpack.encode(changed(JOB, project="Lending to people")))


def test_a_party_that_takes_no_part_has_no_plan():
    message = refuses(JOB.plan_of, "telecom", key="job_party_unknown")
    assert "telecom" in message
    assert "autumn" in message


# --- the rules


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"parties": ()}, "parties"),
        ({"parties": (BANK,)}, "at least two"),
        ({"parties": (BANK, changed(SHOP, name="bank"))}, "must differ"),
        ({"parties": (BANK, SHOP, changed(SHOP, risk_fields=()))}, "must differ"),
        ({"parties": (BANK, changed(SHOP, name="coordinator"))}, "coordinator"),
        ({"parties": (changed(BANK, role=PartyRole.FEATURE_HOLDER), SHOP)}, "label_holder"),
        ({"parties": (BANK, changed(SHOP, role=PartyRole.LABEL_HOLDER))}, "label_holder"),
        (
            {"parties": (changed(BANK, segment_fields=()), changed(SHOP, segment_fields=()))},
            "segment_fields",
        ),
        ({"parties": (changed(BANK, risk_fields=()), SHOP)}, "risk_fields"),
    ],
)
def test_each_rule_refuses_with_the_fields_name(changes, named):
    job = changed(JOB, **changes)
    for act in (lambda: check_job(job), lambda: decode_job(encode_job(job))):
        message = refuses(act)
        assert named in message
        assert "'autumn'" in message


def test_a_plan_without_its_stage_needs_no_fields():
    parties = (changed(BANK, segment_fields=(), risk_fields=()), changed(SHOP, segment_fields=()))
    check_job(changed(JOB, parties=parties, segments=None, risk=None))


def test_profiles_by_name():
    assert dict(PROFILES) == {"standard": STANDARD, "high": HIGH, "TESTING_ONLY": TESTING_ONLY}
    assert {name: profile_named(name).name for name in PROFILES} == {name: name for name in PROFILES}
    assert [p.name for p in PROFILES.values() if p.key_bits < MINIMUM_KEY_BITS] == ["TESTING_ONLY"]
    assert HIGH.key_bits > STANDARD.key_bits >= MINIMUM_KEY_BITS
    assert min(STANDARD.k_min, HIGH.k_min) >= 50


@pytest.mark.parametrize("name", ["", "Standard", "testing_only", "low", "standard "])
def test_an_unknown_profile_names_the_known_ones(name):
    for act in (lambda: profile_named(name), lambda: check_job(changed(JOB, profile=name))):
        message = refuses(act, key="profile_unknown")
        assert all(known in message for known in PROFILES)


# --- what the types refuse

RECORDS = {
    "": Job,
    "parties.0": PartyPlan,
    "segments": SegmentsPlan,
    "risk": RiskPlan,
    "deadlines": Deadlines,
}


def with_value(place, value):
    """The encoded job with one value changed, by a dotted path."""
    plain = msgspec.to_builtins(JOB)
    *outer, last = place.split(".")
    inner = plain
    for step in outer:
        inner = inner[int(step)] if step.isdigit() else inner[step]
    inner[last] = value
    return msgspec.msgpack.encode(plain)


@pytest.mark.parametrize("record", RECORDS)
def test_an_unknown_key_is_refused_by_its_name(record):
    place = f"{record}.colour".lstrip(".")
    assert "colour" in refuses(decode_job, with_value(place, 1))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        *((place, name) for place in ("name", "purpose", "parties.1.name") for name in (
            "", "Bank", "1bank", "-bank", "ba nk", "ba/nk", "../x", "b" * 33, "bänk", "bank\n", 7, None,
        )),
        ("parties.0.role", "owner"),
        ("parties", {}),
        ("parties.0.risk_fields", [1]),
        ("parties.0.risk_fields", "income"),
        ("profile", None),
        ("segments.n_clusters", 1),
        ("segments.n_clusters", 51),
        ("segments.n_clusters", "many"),
        ("segments.n_clusters", 2.5),
        ("segments.candidates", [1]),
        ("segments.candidates", [51]),
        ("segments.n_init", 0),
        ("segments.n_init", 21),
        ("segments.max_iter", 0),
        ("segments.max_iter", 1001),
        ("segments.seed", -1),
        ("segments.seed", 2**32),
        ("risk.trees", 0),
        ("risk.trees", 1001),
        ("risk.trees", True),
        ("risk.depth", 0),
        ("risk.depth", 11),
        ("risk.bins", 1),
        ("risk.bins", 129),
        ("risk.learning_rate", 0),
        ("risk.learning_rate", 1.5),
        ("risk.learning_rate", float("nan")),
        ("risk.l2", -0.1),
        ("risk.l2", float("nan")),
        ("risk.min_child_rows", 0),
        ("risk.first_tree_local", 1),
        ("risk.patience", -1),
        ("risk.validation_share", 0.6),
        ("risk.class_weight", "heavy"),
        ("risk.class_weight", 0),
        ("risk.goss_top", 1.0),
        ("risk.goss_top", 0.2),
        ("risk.goss_other", -0.1),
        ("risk.growth", "sideways"),
        ("risk.max_leaves", 1),
        ("risk.shards", 0),
        ("risk.shards", 21),
        ("risk.test_share", 0),
        ("risk.test_share", 1),
        ("risk.seed", 2**32),
        ("deadlines.join", 0),
        ("deadlines.join", -1),
        ("deadlines.silence", 0),
        ("deadlines.step", float("nan")),
    ],
)  # fmt: skip
def test_values_outside_their_range_are_refused_by_their_key(place, value):
    message = refuses(decode_job, with_value(place, value))
    assert place.split(".")[-1] in message


@pytest.mark.parametrize("data", [b"", b"\xc0", b"\x80", b"\x81\xa4name\xa2\xff\xfe", b"\x91" * 100_000])
def test_what_is_no_job_is_refused(data):
    refuses(decode_job, data)


@given(data=st.binary(max_size=100))
def test_garbage_is_refused(data):
    refuses(decode_job, data)


# --- the digest


def other_value(hint, value):
    """A valid value that differs: for the digest every field counts."""
    choices = [item for item in choices_of(hint) if type(item) is type(value) and item != value]
    match value:
        case _ if choices:
            other = choices[0]
        case bool():
            other = not value
        case Enum():
            other = next(item for item in type(value) if item is not value)
        case int() | None:
            other = (value or 80) + 1
        case float():
            other = value * 0.75 or 0.125
        case str():
            other = 3 if "Literal" in str(hint) else value[1:] + "1" if value.isdigit() else value + "x"
        case _:
            other = value[:-1]
    return other


def choices_of(hint):
    """What a Literal in a type allows."""
    if typing.get_origin(hint) is typing.Literal:
        return typing.get_args(hint)
    return [item for part in typing.get_args(hint) for item in choices_of(part)]


def leaves(record, path=()):
    """Every field of the job that is no record itself: (path, hint, value)."""
    hints = typing.get_type_hints(type(record), include_extras=True)
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if isinstance(value, msgspec.Struct):
            yield from leaves(value, (*path, name))
        elif name == "parties":
            for place, plan in enumerate(value):
                yield from leaves(plan, (*path, name, place))
            yield (*path, name), hints[name], value
        else:
            yield (*path, name), hints[name], value


def replaced(record, path, value):
    """A copy with the value at `path` changed."""
    first, *rest = path
    inner = record[first] if isinstance(record, tuple) else getattr(record, first)
    new = replaced(inner, rest, value) if rest else value
    if isinstance(record, tuple):
        return (*record[:first], new, *record[first + 1 :])
    return changed(record, **{first: new})


LEAVES = {".".join(map(str, path)): (path, hint, value) for path, hint, value in leaves(FULL)}


def test_the_walk_sees_every_field():
    once = (
        Job, MatchPlan, SegmentsPlan, RiskPlan, ScorecardPlan, ScoringPlan, EnterprisePlan, ForgetPlan, Deadlines,
    )  # fmt: skip
    fields = sum(len(kind.__struct_fields__) for kind in (*once, PartyPlan, PartyPlan))
    records = ("match", "segments", "risk", "scorecard", "scoring", "enterprise", "forget", "deadlines")
    assert len(LEAVES) == fields - len(records)


@pytest.mark.parametrize("place", LEAVES)
def test_the_digest_changes_with_any_field(place):
    path, hint, value = LEAVES[place]
    assert replaced(FULL, path, other_value(hint, value)).digest != FULL.digest


@pytest.mark.parametrize("plan", ["segments", "risk"])
def test_the_digest_changes_with_a_missing_plan(plan):
    assert changed(JOB, **{plan: None}).digest != JOB.digest


def test_the_digest_changes_with_the_order_of_parties_and_fields():
    assert changed(JOB, parties=(SHOP, BANK)).digest != JOB.digest
    assert changed(JOB, parties=(changed(BANK, risk_fields=("age", "income")), SHOP)).digest != JOB.digest


def test_the_digest_is_stable():
    assert JOB.digest == DIGEST


def test_the_digest_is_the_same_at_every_party():
    """Also when a float was given as an integer, or a tuple as a list, where the job was written."""
    loose = changed(
        JOB,
        deadlines=Deadlines(join=60, silence=20, step=100),
        risk=RiskPlan(learning_rate=1, l2=0),
        parties=[BANK, SHOP],
    )
    strict = changed(
        JOB,
        deadlines=Deadlines(join=60.0, silence=20.0, step=100.0),
        risk=RiskPlan(learning_rate=1.0, l2=0.0),
    )
    assert decode_job(encode_job(loose)) == strict
    assert loose.digest == decode_job(encode_job(loose)).digest == strict.digest
    assert strict.digest == hashlib.sha256(encode_job(strict)).hexdigest()
