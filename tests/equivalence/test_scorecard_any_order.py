"""Scorecard training does not depend on whose message a relay delivers first."""

import random

import pytest
from scorecard_delivery import run_in_order
from scorecard_scene import Scene

from federation.scorecard_fit import ScorecardOptions

OPTIONS = ScorecardOptions(degree=3, passes=1, batches=2)
SLOW = [("bank", "shop"), ("bank", "carrier"), ("bank", "grid"), ("carrier", "grid"), ("grid", "shop")]


@pytest.fixture(scope="module")
def scene():
    return Scene(seed=6, partners=3, n_rows=112)


@pytest.fixture(scope="module")
def twin(scene):
    return scene.train_in_the_clear(OPTIONS)


def check(scene, twin, choose):
    results = run_in_order(scene.roles(OPTIONS), choose)
    for name, expected in zip(scene.parties.all, twin, strict=True):
        assert results[name].weights == pytest.approx(expected.weights, abs=1e-9)


@pytest.mark.parametrize("slow", SLOW, ids="-".join)
def test_one_slow_connection_changes_nothing(scene, twin, slow):
    """Above all bank-carrier: a partner in the middle hears from the one before it ere training began for it."""
    check(scene, twin, lambda waiting: next((pair for pair in waiting if pair != slow), slow))


@pytest.mark.parametrize("late", ["bank", "carrier"])
def test_a_party_that_hears_everything_last_changes_nothing(scene, twin, late):
    check(scene, twin, lambda waiting: next((pair for pair in waiting if pair[1] != late), waiting[0]))


@pytest.mark.parametrize("seed", range(2))
def test_shuffled_delivery_changes_nothing(scene, twin, seed):
    check(scene, twin, random.Random(seed).choice)
