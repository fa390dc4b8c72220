"""ID2Graph: what a partner guesses about labels from the nodes that rows reach together. Above chance: disclosed."""

from dataclasses import replace

import numpy as np
import pytest
from attacks.id2graph import (
    best_direction,
    embedding,
    guess_labels,
    nodes_of_protocol,
    nodes_of_twin,
)
from attacks.tables import credit_table, show
from sklearn.linear_model import LogisticRegression

from federation import boosting
from federation.boosting import BoostingOptions
from federation.metrics import auc
from federation.roles import Parties, Rehearsal, View
from federation.trees import fit_trees
from privacy.paillier_secret import SecretKey

OPTIONS = BoostingOptions(trees=50, depth=5)
VARIANTS = {
    "textbook": replace(OPTIONS, first_tree_local=False, min_child_rows=1, k_min=1),
    "first tree joint": replace(OPTIONS, first_tree_local=False),
    "ours": OPTIONS,
}


@pytest.fixture(scope="module")
def table():
    """The partner's columns say something about the label only through what they share with the bank's."""
    return credit_table(11, 1500, strength=1.5, partner_strength=0.0, bins=8)


@pytest.fixture(scope="module")
def pooled(table):
    return np.hstack([table.codes["bank"], table.codes["shop"]]) + np.uint8(1)


@pytest.fixture(scope="module")
def models(table, pooled):
    n_local = table.codes["bank"].shape[1]
    return {name: fit_trees(pooled, table.label, options, n_local) for name, options in VARIANTS.items()}


def attacked(table, pooled, models, name, trees, label=None):
    options = replace(VARIANTS[name], trees=trees)
    own = set(range(table.codes["bank"].shape[1], pooled.shape[1]))
    rows = embedding(nodes_of_twin(models[name], pooled, own, options, textbook=name == "textbook"))
    label = table.label if label is None else label
    ari, _ = guess_labels(rows, label)
    return ari, best_direction(rows, label)


@pytest.mark.parametrize("trees", [20, 50])
@pytest.mark.parametrize("name", VARIANTS)
def test_a_partner_guesses_labels_above_chance_in_every_variant(table, pooled, models, name, trees):
    """Neither `first_tree_local` nor `min_child_rows` brings this to chance: the number is in docs/attacks.md."""
    ari, direction = attacked(table, pooled, models, name, trees)
    columns = table.columns("shop")
    own = auc(table.label, LogisticRegression().fit(columns, table.label).decision_function(columns))
    show(f"ID2Graph, {name}, {trees} trees", ari=ari, auc=direction, own_columns_with_labels=own)
    assert ari < 0.35
    assert 0.65 < direction < 0.87


def test_chance_level(table, pooled, models):
    shuffled = np.random.default_rng(0).permutation(table.label)
    ari, direction = attacked(table, pooled, models, "ours", 20, shuffled)
    show("ID2Graph, labels shuffled", ari=ari, auc=direction)
    assert abs(ari) < 0.02
    assert direction < 0.55


def test_clusters_of_the_partners_own_columns_say_less(table):
    ari, direction = guess_labels(table.codes["shop"].astype(float), table.label)
    show("own columns, clustered", ari=ari, auc=direction)
    assert ari < 0.1
    assert direction < 0.65


@pytest.mark.parametrize("first_tree_local", [True, False])
def test_the_twins_view_is_the_protocols(first_tree_local):
    small = credit_table(12, 160, fields=3, own_fields=3, bins=4, strength=1.5)
    options = BoostingOptions(
        trees=3, depth=3, bins=8, min_child_rows=12, k_min=5, first_tree_local=first_tree_local
    )
    secret, parties = SecretKey.generate(512, testing_only=True), Parties("bank", ("shop",))
    views = {
        name: View(tuple(f"{name}{i}" for i in range(3)), small.codes[name].astype(np.float64))
        for name in parties.all
    }
    rehearsal = Rehearsal({
        "bank": boosting.LabelHolder(
            parties, views["bank"], small.label, np.arange(160), options, decryptor=secret, public_key=secret.public
        ),
        "shop": boosting.FeatureHolder(parties, views["shop"], options, 512),
    })  # fmt: skip
    rehearsal.run()
    pooled = np.hstack([small.codes["bank"], small.codes["shop"]]) + np.uint8(1)
    model = fit_trees(pooled, small.label, options, 3)
    by_twin = {
        place: {frozenset(np.flatnonzero(nodes == node).tolist()) for node in np.unique(nodes[nodes >= 0])}
        for place, nodes in nodes_of_twin(model, pooled, {3, 4, 5}, options).items()
    }
    by_protocol = nodes_of_protocol(rehearsal.transcript, 160)
    assert len(by_protocol) >= 6
    assert by_twin == by_protocol
