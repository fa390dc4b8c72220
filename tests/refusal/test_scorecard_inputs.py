"""What a party of scorecard training refuses to start with: data, weights and options that do not fit."""

from dataclasses import replace

import numpy as np
import pytest
from scorecard_delivery import refused, run_until
from scorecard_scene import WIDTHS, Scene

from federation.scorecard_fit import BlockWeights, ScorecardOptions
from federation.scorecard_messages import Begin
from privacy.errors import ConfigInvalid

OPTIONS = ScorecardOptions(degree=3, passes=2, batches=2)


def new_scene():
    return Scene(seed=9, partners=2, n_rows=112)


SCENE = new_scene()


def with_value(values, place, value):
    return np.array([*values[:place], value, *values[place + 1 :]])


@pytest.mark.parametrize("start", [None, BlockWeights(0.0, (0.1, 0.2, 0.3))], ids=["fresh", "going on"])
@pytest.mark.parametrize("value", [2, -1, 0.5, np.nan])
def test_a_label_that_is_not_0_or_1_is_refused(start, value):
    scene = new_scene()
    scene.label = with_value(scene.label, int(scene.train[3]), value)
    with pytest.raises(ConfigInvalid) as caught:
        scene.label_holder(OPTIONS, start)
    assert caught.value.key == "training_labels"


def change(name, value):
    def apply(scene):
        setattr(scene, name, value(getattr(scene, name)))

    return apply


@pytest.mark.parametrize(
    ("apply", "key"),
    [
        (change("label", np.zeros_like), "training_one_class"),
        (change("label", lambda label: label[:-1]), "training_rows"),
        (change("train", lambda rows: rows[:0]), "training_rows"),
        (change("train", lambda rows: rows[::-1]), "training_rows"),
        (change("train", lambda rows: rows[:60]), "scorecard_batch_small"),
        (change("codes", lambda codes: codes | {"bank": codes["bank"][:, :0]}), "scorecard_no_fields"),
    ],
    ids=["one class", "labels", "no rows", "order", "few rows", "no fields"],
)
def test_a_label_holder_refuses_what_does_not_fit(apply, key):
    scene = new_scene()
    apply(scene)
    with pytest.raises(ConfigInvalid) as caught:
        scene.label_holder(OPTIONS)
    assert caught.value.key == key


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 16.5])
def test_weights_of_evidence_that_are_not_finite_or_too_large_are_refused(value):
    scene = new_scene()
    _, _, begin = run_until(scene.roles(OPTIONS), Begin)
    for name in ("bank", "shop"):
        scene.woe[name] = ((value, *scene.woe[name][0][1:]), *scene.woe[name][1:])
    with pytest.raises(ConfigInvalid) as caught:
        scene.label_holder(OPTIONS)
    assert caught.value.key == "scorecard_woe"
    refused(ConfigInvalid, scene.feature_holder("shop", OPTIONS), "bank", begin, "scorecard_woe")


@pytest.mark.parametrize(("n_rows", "is_refused"), [(1, True), (2, True), (4, False)])
def test_a_bin_so_rare_that_a_sum_over_it_names_a_row_is_refused(n_rows, is_refused):
    """A flag of few rows: L's intercept less the flag, or F's flag alone, is those rows' residuals."""
    scene = new_scene()
    rare = np.flatnonzero(scene.batch(OPTIONS) == 0)[:n_rows]
    for name in ("bank", "carrier"):
        flag = np.zeros(112, np.uint8)
        flag[scene.train[rare]] = 1
        flag[scene.train[np.flatnonzero(scene.batch(OPTIONS) == 1)[:20]]] = 1
        scene.codes[name] = scene.codes[name].copy()
        scene.codes[name][:, 0] = flag
        scene.woe[name] = ((0.0, 2.0, 0.0, 0.0), *scene.woe[name][1:])
    _, _, begin = run_until(SCENE.roles(OPTIONS), Begin)
    partner = scene.feature_holder("carrier", OPTIONS)
    if not is_refused:
        scene.label_holder(OPTIONS)
        assert partner.receive("bank", begin)
        return
    with pytest.raises(ConfigInvalid) as caught:
        scene.label_holder(OPTIONS)
    assert caught.value.key == "scorecard_row_singled_out"
    refused(ConfigInvalid, partner, "bank", begin, "scorecard_row_singled_out")


def test_weights_of_other_fields_are_nothing_to_go_on_from():
    scene = new_scene()
    _, _, begin = run_until(scene.roles(OPTIONS), Begin)
    going_on = scene.feature_holder("shop", OPTIONS, start=BlockWeights(0.0, (0.1,)))
    refused(ConfigInvalid, going_on, "bank", begin, "scorecard_start")
    with pytest.raises(ConfigInvalid) as caught:
        scene.label_holder(OPTIONS, BlockWeights(0.0, (0.1,) * (WIDTHS["bank"] + 1)))
    assert caught.value.key == "scorecard_start"


@pytest.mark.parametrize("weight", [1e4, float("nan")])
def test_scores_that_run_away_stop_the_training(weight):
    far = {"shop": BlockWeights(0.0, (weight,) * WIDTHS["shop"])}
    with pytest.raises(ConfigInvalid) as caught:
        SCENE.train_together(OPTIONS, start=far)
    assert caught.value.key == "scorecard_diverged"


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"degree": 4}, "scorecard_degree"),
        ({"degree": 7}, "scorecard_degree"),
        ({"passes": 0}, "scorecard_option"),
        ({"batches": 251}, "scorecard_option"),
        ({"l2": 0.0}, "scorecard_option"),
        ({"limit": float("nan")}, "scorecard_option"),
    ],
)
def test_options_out_of_range_are_refused(fields, key):
    with pytest.raises(ConfigInvalid) as caught:
        ScorecardOptions(**fields)
    assert caught.value.key == key


def test_a_batch_of_few_rows_is_refused_however_few_its_columns_are():
    scene = Scene(seed=4, partners=1, n_rows=240)  # 180 rows train, four columns with the intercept's
    enough = ScorecardOptions(degree=3, passes=1, batches=2, min_batch_rows=90)
    scene.label_holder(enough)
    with pytest.raises(ConfigInvalid) as caught:
        scene.label_holder(replace(enough, min_batch_rows=91))
    assert caught.value.key == "scorecard_batch_small"
