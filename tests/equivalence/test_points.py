"""Points of a federated scorecard are the pooled table's, and what leaves a party is rounded."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from points_scene import NAMES, PointsScene, over_the_wire

from federation import points
from federation.point_scale import PointScale, deductions, most_deducted, sum_of
from federation.points import BATCH_ROWS, Answer, Ask, Done
from federation.points_models import FeatureHolderScorecard, LabelHolderScorecard
from federation.roles import Rehearsal
from federation.scorecard_fit import BlockWeights
from privacy.errors import ConfigInvalid, MessageInvalid, UnexpectedMessage


def test_every_score_is_the_sum_of_the_parties_rounded_tables():
    scene = PointsScene()
    results, _ = scene.score()
    found = results["bank"]
    for row in range(100):
        codes = {name: scene.codes(name)[row] for name in scene.parties.all}
        by_hand = {
            name: sum(table[c] for table, c in zip(scene.models[name].table, codes[name], strict=True))
            for name in codes
        }
        own = round(round(by_hand.pop("bank") + scene.models["bank"].constant, 1))
        assert found.total[row] == own + sum(round(round(value, 1)) for value in by_hand.values())
    assert found.answered.all()


def test_scores_rank_as_the_log_odds_do():
    scene = PointsScene()
    results, _ = scene.score()
    exact = sum(scene.log_odds(name) for name in scene.parties.all)
    near = scene.models["bank"].scale.log_odds(results["bank"].total)
    # Three parts rounded to whole points, tables of a few fields to tenths.
    assert np.abs(near - exact).max() < (3 * 0.5 + 8 * 0.05) / scene.models["bank"].scale.factor


@given(intercept=st.floats(-5, 5), pdo=st.floats(5, 100), odds=st.floats(1, 1000))
def test_pdo_points_double_the_odds(intercept, pdo, odds):
    scale = PointScale(pdo=pdo, odds=odds)
    assert scale.constant(-np.log(odds)) == pytest.approx(600, abs=0.05)
    assert scale.constant(intercept) - scale.constant(intercept + np.log(2)) == pytest.approx(pdo, abs=0.11)
    assert scale.log_odds(scale.constant(intercept)) == pytest.approx(
        intercept, abs=0.05 * np.log(2) / pdo + 1e-9
    )


def test_a_coarser_step_is_kept():
    scene = PointsScene(scale=PointScale(step=5))
    results, transcript = scene.score()
    answers = [message for _, _, message in transcript if isinstance(message, Answer)]
    assert all((answer.points % 5 == 0).all() for answer in answers)
    assert len(np.unique(results["bank"].total)) > 1


def test_reasons_are_the_largest_deductions_under_published_names_alone():
    scene = PointsScene()
    results, _ = scene.score(reasons=2)
    answered = results["bank"].partners["shop"]
    assert {name.en for name in answered.names} == {"How often you order", "How much you return"}
    table, codes = scene.models["shop"].table, scene.codes("shop")
    lost = deductions(table, codes)[:, :2]  # the third field has no published name
    for row in range(100):
        first = answered.reasons[row, 0]
        if first < 0:
            assert lost[row].max() == 0
        else:
            field = {"How often you order": 0, "How much you return": 1}[answered.names[first].en]
            assert lost[row, field] == lost[row].max() > 0


def test_no_reasons_and_no_names_where_none_are_asked_for():
    _, transcript = PointsScene().score(reasons=0)
    answers = [message for _, _, message in transcript if isinstance(message, Answer)]
    assert all(answer.names == () and answer.reasons.shape[1] == 0 for answer in answers)


def test_rows_that_may_not_be_answered_stay_without_points():
    scene = PointsScene()
    allowed = np.ones(len(scene.label), dtype=np.bool_)
    allowed[::3] = False
    results, transcript = scene.score(reasons=1, allowed={"shop": allowed})
    answer = next(message for sender, _, message in transcript if sender == "shop")
    assert not answer.points[::3].any()
    assert (answer.reasons[::3] == -1).all()
    assert results["bank"].answered.tolist() == allowed.tolist()
    assert results["shop"].tolist() == allowed.tolist()


def test_large_lists_go_in_batches(monkeypatch):
    monkeypatch.setattr(points, "BATCH_ROWS", 64)
    scene = PointsScene()
    whole, _ = scene.score()
    results, transcript = scene.score(rows=np.arange(0, 200, 2))
    assert results["bank"].total.tolist() == whole["bank"].total[::2].tolist()
    asked = [len(message.rows) for _, to, message in transcript if isinstance(message, Ask) and to == "shop"]
    assert asked == [64, 36]


def test_what_crosses_is_points_and_nothing_of_the_table():
    _, transcript = PointsScene().score()
    assert {type(message) for _, _, message in transcript} == {Ask, Answer, Done}
    for _, _, message in transcript:
        if isinstance(message, Answer):
            assert message.points.dtype.str == "<i2"
            assert set(message.__struct_fields__) == {"points", "answered", "reasons", "names"}


def ask(scene, **changes):
    fields = {"model": scene.models["shop"].model_id, "rows": np.arange(5, dtype="<i4"), "reasons": 0}
    return Ask(**(fields | changes))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"model": b"another model 16"}, "scoring_other_model"),
        ({"rows": np.array([1, 1], dtype="<i4")}, "scoring_rows_invalid"),
        ({"rows": np.array([3, 9999], dtype="<i4")}, "scoring_rows_invalid"),
        ({"rows": np.arange(5, dtype="<i8")}, "scoring_rows_invalid"),
        ({"reasons": 9}, "points_reasons"),
    ],
)
def test_a_partner_refuses_a_question_that_does_not_fit(changes, error):
    scene = PointsScene()
    with pytest.raises(MessageInvalid) as caught:
        scene.feature_holder("shop").receive("bank", ask(scene, **changes))
    assert caught.value.key == error


def test_a_partner_answers_a_row_once_and_only_the_label_holder():
    scene = PointsScene()
    role = scene.feature_holder("shop")
    role.receive("bank", ask(scene))
    with pytest.raises(MessageInvalid):
        role.receive("bank", ask(scene, rows=np.array([4], dtype="<i4")))
    with pytest.raises(UnexpectedMessage):
        role.receive("carrier", ask(scene, rows=np.array([7], dtype="<i4")))
    role.receive("bank", Done())
    with pytest.raises(UnexpectedMessage):
        role.receive("bank", ask(scene, rows=np.array([8], dtype="<i4")))


@pytest.mark.parametrize(
    "changes",
    [
        {"points": np.zeros(199, dtype="<i2")},
        {"points": np.zeros(200, dtype="<i4")},
        {"answered": np.ones(200, dtype=np.int8)},
        {"reasons": np.zeros((200, 1), dtype=np.int8)},
    ],
)
def test_the_label_holder_refuses_an_answer_that_does_not_fit(changes):
    scene = PointsScene()
    role = scene.label_holder()
    role.start()
    fields = {
        "points": np.zeros(200, dtype="<i2"), "answered": np.ones(200, dtype=np.bool_),
        "reasons": np.zeros((200, 0), dtype=np.int8),
    }  # fmt: skip
    with pytest.raises(MessageInvalid) as caught:
        role.receive("shop", Answer(**(fields | changes)))
    assert caught.value.key == "points_answer"
    role.receive("shop", Answer(**fields))
    with pytest.raises(UnexpectedMessage):
        role.receive("shop", Answer(**fields))


def test_a_model_of_other_fields_or_parties_is_refused():
    scene = PointsScene()
    with pytest.raises(ConfigInvalid):
        points.FeatureHolder(scene.parties, scene.view("bank"), scene.models["shop"])
    with pytest.raises(ConfigInvalid):
        points.LabelHolder(scene.parties, scene.view("shop"), scene.models["bank"])


def test_models_are_stored_and_read():
    scene = PointsScene()
    bank, shop = scene.models["bank"], scene.models["shop"]
    assert LabelHolderScorecard.from_bytes(bank.to_bytes()) == bank
    assert FeatureHolderScorecard.from_bytes(shop.to_bytes()) == shop
    with pytest.raises(MessageInvalid):
        FeatureHolderScorecard.from_bytes(b"\xc1")
    assert isinstance(shop.weights, BlockWeights)
    assert NAMES[0] == "bank"
    assert over_the_wire(Done()) is not None
    assert BATCH_ROWS > 1000


def test_the_most_deducted_come_in_turn():
    lost = np.array([[0.0, 3.0, 1.0], [0.0, 0.0, 0.0], [2.0, 2.0, 5.0]])
    assert most_deducted(lost, 2).tolist() == [[1, 2], [-1, -1], [2, 0]]
    assert most_deducted(np.zeros((2, 0)), 2).tolist() == [[-1, -1], [-1, -1]]
    assert sum_of((), np.zeros((2, 0), dtype=np.uint8)).tolist() == [0.0, 0.0]


def test_the_rehearsal_runs_over_the_wire():
    scene = PointsScene()
    rehearsal = Rehearsal(scene.roles(), over_the_wire)
    assert rehearsal.run()["bank"].total.dtype == np.int32
