"""Path attributions add up to the log-odds, and equal those of the pooled trees, walked row by row."""

import numpy as np
import pytest
from boosting_scene import OPTIONS, Scene, over_the_wire, replace
from hypothesis import given, settings
from hypothesis import strategies as st

from federation import scoring
from federation.boosting_options import Growth
from federation.path_attributions import largest
from federation.roles import Rehearsal
from federation.trees import fit_trees
from privacy.paillier_secret import SecretKey


@pytest.fixture(scope="module")
def secret():
    return SecretKey.generate(512, testing_only=True)


def walked(twin, codes, column_of):
    """The reference: per row a walk through every tree; (base, {column: contribution} per row)."""
    base = twin.base_score + sum(tree.value[0] for tree in twin.trees)
    found = []
    for row in range(len(codes)):
        credit = {}
        for tree in twin.trees:
            node = 0
            while tree.left[node] >= 0:
                split = twin.splits[tree.split[node]]
                goes_left = split.goes_left(codes[row : row + 1])[0]
                child = tree.left[node] + (0 if goes_left else 1)
                column = column_of(split.feature)
                credit[column] = credit.get(column, 0.0) + tree.value[child] - tree.value[node]
                node = child
        found.append(credit)
    return base, found


def scored(scene, models, rows):
    """The label holder's role after scoring, and what was sent."""
    roles = {"bank": scoring.LabelHolder(scene.parties, scene.view("bank"), models["bank"], rows)}
    for name in scene.parties.feature_holders:
        roles[name] = scoring.FeatureHolder(scene.parties, scene.view(name), models[name])
    rehearsal = Rehearsal(roles, over_the_wire)
    rehearsal.run()
    return roles["bank"], rehearsal.transcript


@settings(max_examples=6, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    partners=st.integers(1, 2),
    missing_share=st.sampled_from([0.0, 0.2]),
    with_levels=st.booleans(),
    growth=st.sampled_from(Growth),
)
def test_contributions_are_those_of_the_pooled_trees(
    secret, seed, partners, missing_share, with_levels, growth
):
    scene = Scene(seed, partners, missing_share, with_levels=with_levels)
    options = replace(OPTIONS, growth=growth)
    models, _ = scene.rehearse(options, secret)
    twin, codes = scene.twin(options)
    role, _ = scored(scene, models, scene.test)
    found = role.contributions()
    assert found.fields == ("bank_0", "bank_1", "bank_2")
    assert found.partners == scene.parties.feature_holders
    names = (*found.fields, *found.partners)

    def column_of(feature):
        owner = int(np.searchsorted(scene.starts, feature, side="right")) - 1
        return names.index(f"bank_{feature}") if owner == 0 else names.index(scene.parties.all[owner])

    base, of_rows = walked(twin, codes[scene.test], column_of)
    assert found.base == pytest.approx(base, abs=1e-12)
    expected = np.array([[credit.get(column, 0.0) for column in range(len(names))] for credit in of_rows])
    np.testing.assert_allclose(found.values, expected, atol=1e-12, rtol=0)
    log_odds = twin.decision_function(codes[scene.test])
    np.testing.assert_allclose(found.log_odds, log_odds, atol=1e-12, rtol=0)
    assert role.result.tolist() == twin.predict_proba(codes[scene.test]).tolist()


def test_reasons_need_no_message_of_their_own(secret):
    scene = Scene(4)
    models, _ = scene.rehearse(OPTIONS, secret)
    role, transcript = scored(scene, models, None)
    before = len(transcript)
    found = role.contributions()
    assert {type(message) for _, _, message in transcript} == {scoring.Ask, scoring.Sides, scoring.Done}
    assert len(transcript) == before
    assert len(found.values) == len(scene.view("bank"))
    assert np.ptp(found.values, axis=0).max() > 0.1
    for column in (0, 3):  # fields that the label was made of, one of them a partner's
        assert np.abs(found.values[:, column]).max() > 0


def test_an_inner_node_has_the_value_that_it_would_have_as_a_leaf():
    scene = Scene(5, missing_share=0.0)
    codes = scene.binning(OPTIONS).transform(scene.values)
    deep, shallow = (
        fit_trees(codes, scene.label, replace(OPTIONS, depth=depth, trees=1)).trees[0] for depth in (3, 1)
    )
    assert deep.left[0] == 1
    assert shallow.left == (1, -1, -1)
    assert deep.value[:3] == shallow.value
    assert any(deep.left[node] >= 0 for node in (1, 2))


def test_the_largest_are_those_above_zero():
    values = np.array([[0.2, -1.0, 0.5, 0.0], [-1.0, -2.0, 0.0, -0.1], [0.1, 0.1, 0.3, 0.2]])
    assert largest(values, 3).tolist() == [[2, 0, -1], [-1, -1, -1], [2, 3, 0]]
    assert largest(values[:, :1], 3).tolist() == [[0], [-1], [0]]
