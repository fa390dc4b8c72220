"""Back-tests of a score: equal to pandas and scikit-learn, and to what is counted by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from clients.lending.backtest import (
    approval_share,
    approved,
    backtest,
    bad_rate,
    balanced_accuracy,
    largest_share,
)
from privacy.errors import ConfigInvalid


@st.composite
def outcomes(draw):
    """(labels, risks with ties) of both classes."""
    n = draw(st.integers(4, 60))
    risk = np.array(draw(st.lists(st.integers(0, 12), min_size=n, max_size=n)), float) / 4
    label = np.array(draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)))
    label[:2] = [0, 1]
    return label, risk


@settings(max_examples=150, deadline=None)
@given(outcomes(), st.floats(0.05, 0.95))
def test_figures_equal_pandas_and_scikit_learn(drawn, share):
    label, risk = drawn
    table = pd.DataFrame({"bad": label, "risk": risk})
    expected = table[table["risk"] < table["risk"].quantile(share)]
    if expected.empty:
        with pytest.raises(ConfigInvalid):
            approved(risk, share)
        return
    chosen = approved(risk, share)
    assert np.flatnonzero(chosen).tolist() == expected.index.tolist()
    assert bad_rate(label, chosen) == pytest.approx(expected["bad"].mean())
    assert balanced_accuracy(label, chosen) == pytest.approx(balanced_accuracy_score(label, ~chosen))
    assert chosen.sum() < share * len(label) + 1


@settings(max_examples=100, deadline=None)
@given(outcomes(), st.floats(0, 0.6))
def test_the_largest_share_equals_trying_every_cut(drawn, most):
    label, risk = drawn
    table = pd.DataFrame({"bad": label, "risk": risk})
    tried = {cut: table[table["risk"] <= cut]["bad"] for cut in table["risk"].unique()}
    fitting = {cut: len(bad) / len(table) for cut, bad in tried.items() if bad.mean() <= most}
    share, cut = largest_share(label, risk, most)
    assert share == pytest.approx(max(fitting.values(), default=0.0))
    assert not fitting or fitting[cut] == share


def test_people_of_one_score_are_never_told_apart():
    risk = np.array([0.1, 0.2, 0.2, 0.2, 0.3])
    assert approved(risk, 0.5).tolist() == [True, False, False, False, False]
    assert largest_share(np.array([0, 0, 0, 1, 1]), risk, 0.26)[0] == 0.8


def test_how_many_good_members_of_a_group_are_approved():
    label, chosen = np.array([0, 0, 1, 0]), np.array([True, False, True, True])
    assert approval_share(label, chosen, np.array([True, True, True, False])) == 0.5
    assert np.isnan(approval_share(label, chosen, np.array([False, False, True, False])))


def test_a_better_score_shows_against_the_baseline():
    random = np.random.default_rng(5)
    hidden, shown = random.normal(size=(2, 4_000))
    label = (random.random(4_000) < 1 / (1 + np.exp(2.6 - hidden - shown))).astype(int)
    tech = random.random(4_000) < 0.3
    found = backtest(label, {"alone": shown, "joint": shown + hidden}, 0.7, {"tech": tech}, seed=1)
    alone, joint = found["alone"], found["joint"]
    assert alone.gain == 0
    assert joint.gain == pytest.approx(joint.balanced_accuracy / alone.balanced_accuracy - 1)
    assert joint.gain > 0.05
    assert joint.bad_rate < alone.bad_rate
    assert joint.groups["tech"] > alone.groups["tech"]
    assert joint.auc == pytest.approx(roc_auc_score(label, shown + hidden))
    for one in found.values():
        low, high = one.bad_rate_interval
        assert low < one.bad_rate < high
        assert one.approved == pytest.approx(0.7, abs=0.001)
    assert found == backtest(label, {"alone": shown, "joint": shown + hidden}, 0.7, {"tech": tech}, seed=1)


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0, float("nan")])
def test_a_share_that_leaves_nobody_on_one_side(share):
    with pytest.raises(ConfigInvalid) as problem:
        approved(np.arange(5.0), share)
    assert problem.value.key == "lending_approval"


@pytest.mark.parametrize(
    ("label", "risk", "key"),
    [
        ([0, 0, 0], [1.0, 2.0, 3.0], "lending_labels"),
        ([0, 1, 2], [1.0, 2.0, 3.0], "lending_labels"),
        ([0, 1], [1.0, 2.0, 3.0], "lending_labels"),
        ([0, 1, 0], [1.0, float("nan"), 3.0], "lending_approval"),
    ],
)
def test_labels_and_risks_that_do_not_fit(label, risk, key):
    with pytest.raises(ConfigInvalid) as problem:
        backtest(np.array(label), {"x": np.array(risk)}, 0.5)
    assert problem.value.key == key
