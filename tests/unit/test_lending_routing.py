"""The simulated flow of applications: queues as counted by hand, the design's targets, and what breaks them."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.lending.plan import Lane
from clients.lending.routing import FlowAssumptions, finished, simulate
from privacy.errors import ConfigInvalid

TIMES = st.lists(st.tuples(st.floats(0, 50), st.floats(0.1, 9)), min_size=1, max_size=25)


def flow(share_fast, n=4_000, seed=3, **changes):
    """A report for so many in the fast lane, the rest with a person or declined."""
    random = np.random.default_rng(seed)
    draw = random.random(n)
    lanes = [Lane.FAST if u < share_fast else Lane.MANUAL if u < 0.9 else Lane.DECLINE for u in draw]
    grades = ["A" if lane is Lane.FAST else "C" if lane is Lane.MANUAL else "E" for lane in lanes]
    label = (random.random(n) < np.where(draw < share_fast, 0.01, 0.12)).astype(int)
    return simulate(lanes, grades, label, FlowAssumptions(**changes), seed)


def plain_queue(ready, work, officers):
    """Day by day at whichever desk is free first, in plain Python."""
    desks, done = [0.0] * officers, [0.0] * len(ready)
    for place in sorted(range(len(ready)), key=lambda one: (ready[one], one)):
        desk = desks.index(min(desks))
        desks[desk] = done[place] = max(desks[desk], ready[place]) + work[place]
    return done


@settings(max_examples=150, deadline=None)
@given(TIMES, st.integers(1, 4))
def test_a_queue_is_served_in_its_order_by_whoever_is_free(times, officers):
    ready, work = (np.array(column) for column in zip(*times, strict=True))
    assert finished(ready, work, officers).tolist() == plain_queue(ready.tolist(), work.tolist(), officers)


@settings(max_examples=150, deadline=None)
@given(TIMES, st.integers(1, 4), st.data())
def test_who_leaves_a_queue_delays_nobody(times, officers, data):
    """Why the way with a person does not become slower by the fast lane itself, only by officers that it loses."""
    ready, work = (np.array(column) for column in zip(*times, strict=True))
    stays = np.array(data.draw(st.lists(st.booleans(), min_size=len(ready), max_size=len(ready))))
    before = finished(ready, work, officers)[stays]
    assert (finished(ready[stays], work[stays], officers) <= before + 1e-9).all()


def test_the_designs_targets_are_met_where_the_score_allows():
    report = flow(0.55)
    assert report["baseline"]["median_days"] == pytest.approx(10, abs=1), "two weeks of working days"
    assert set(report["targets"].values()) == {True}
    fast = report["lanes"]["fast_lane"]
    assert fast["median_days"] <= 3
    assert fast["bad_rate"] <= 0.02
    assert fast["high_risk"] == 0
    assert report["all"]["median_days"] < report["baseline"]["median_days"]
    assert sum(lane["share"] for lane in report["lanes"].values()) == pytest.approx(1)


def test_what_misses_a_target_is_said():
    assert flow(0.3)["targets"]["fast_lane_share"] is False
    assert flow(0.55, fast_papers_days=4.0)["targets"]["fast_lane_days"] is False
    assert flow(0.1, fast_officers=12)["targets"]["not_slower"] is False, (
        "officers who sit idle in the fast lane"
    )
    n = 200
    risky = simulate([Lane.FAST] * n, ["E"] * n, np.ones(n))
    assert (risky["targets"]["no_high_risk"], risky["lanes"]["fast_lane"]["high_risk"]) == (False, n)
    assert risky["targets"]["fast_lane_bad_rate"] is False


def test_what_cannot_be_told_is_left_open():
    n = 50
    report = simulate([Lane.MANUAL] * n, ["C"] * n)
    assert report["targets"]["fast_lane_days"] is None
    assert report["targets"]["fast_lane_bad_rate"] is None
    assert report["lanes"]["fast_lane"]["median_days"] is None


def test_a_report_is_reproducible_and_says_what_it_assumes():
    report = flow(0.5, n=300)
    assert report == flow(0.5, n=300)
    assert report["assumptions"] == msgspec.structs.asdict(FlowAssumptions())
    assert msgspec.json.decode(msgspec.json.encode(report)) == report
    assert report["seed"] == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"per_day": 0.0},
        {"work_days": -1.0},
        {"spread": float("nan")},
        {"officers": 3, "fast_officers": 3},
        {"papers_days": float("inf")},
    ],
)
def test_assumptions_that_make_no_sense(changes):
    with pytest.raises(ConfigInvalid) as problem:
        flow(0.5, n=10, **changes)
    assert problem.value.key == "lending_flow"


def test_there_must_be_applications_and_a_grade_for_each():
    for lanes, grades in (([], []), ([Lane.FAST], [])):
        with pytest.raises(ConfigInvalid):
            simulate(lanes, grades)
