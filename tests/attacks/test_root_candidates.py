"""A partner's root candidates: shuffling does not hide them, and their rows can be solved for. Disclosed."""

import numpy as np
import pytest
from attacks.root_candidates import attack, gradients_by_tree, memberships_right, solve, sums_at_roots
from attacks.tables import credit_table, show

from federation import boosting
from federation.boosting import BoostingOptions
from federation.boosting_messages import CandidateSums
from federation.pair_layout import PairLayout
from federation.roles import Parties, Rehearsal, View
from federation.trees import fit_trees
from privacy.paillier_secret import SecretKey


def trained(seed, n_rows, options, fields=4):
    table = credit_table(seed, n_rows, fields=fields, bins=8)
    pooled = np.hstack([table.codes["bank"], table.codes["shop"]]) + np.uint8(1)
    n_local = table.codes["bank"].shape[1]
    model = fit_trees(pooled, table.label, options, n_local)
    gradients, hessians = gradients_by_tree(model, pooled, table.label, options)
    return table, pooled[:, n_local:], gradients, hessians


@pytest.mark.parametrize(
    ("rows", "trees", "depth", "least", "most"), [(400, 60, 3, 0.97, 1.0), (1000, 20, 4, 0.7, 0.9)]
)
def test_after_memberships_are_found_from_shuffled_sums(rows, trees, depth, least, most):
    options = BoostingOptions(trees=trees, depth=depth)
    _, codes, gradients, hessians = trained(31, rows, options)
    sums, orders, truth = sums_at_roots(codes, gradients, hessians, options, seed=0)
    found, ordered = attack(sums, gradients, hessians)
    first = truth[orders[0]]
    true_sums = np.stack([gradients @ first.T, hessians @ first.T], axis=2)
    matched = float((np.abs(ordered - true_sums).max(axis=2) < 1e-9).mean())
    right, guess = memberships_right(found, first)
    show(f"root candidates, {rows} rows, {trees} trees", right=right, guess=guess, matched=matched)
    assert matched > 0.95
    assert guess + 0.03 < right
    assert least <= right <= most


@pytest.mark.parametrize(("rows", "joint_trees"), [(400, 1), (1000, 3)])
def test_few_trees_tell_little(rows, joint_trees):
    options = BoostingOptions(trees=1 + joint_trees, depth=3)
    _, codes, gradients, hessians = trained(31, rows, options)
    _, _, truth = sums_at_roots(codes, gradients, hessians, options, seed=0)
    values = np.concatenate([truth @ gradients.T, truth @ hessians.T], axis=1)
    right, guess = memberships_right(solve(np.concatenate([gradients, hessians]), values), truth)
    show(f"root candidates, {rows} rows, {joint_trees} joint trees", right=right, guess=guess)
    assert right < guess + 0.06


def test_the_twins_sums_are_the_protocols():
    options = BoostingOptions(trees=3, depth=2, bins=8, min_child_rows=15, k_min=15)
    table, codes, gradients, hessians = trained(32, 150, options, fields=2)
    secret, parties = SecretKey.generate(512, testing_only=True), Parties("bank", ("shop",))
    views = {}
    for name in parties.all:
        names = tuple(f"{name}{place}" for place in range(table.codes[name].shape[1]))
        views[name] = View(names, table.codes[name].astype(np.float64))
    holder = boosting.LabelHolder(
        parties,
        views["bank"],
        table.label,
        np.arange(150),
        options,
        decryptor=secret,
        public_key=secret.public,
    )
    rehearsal = Rehearsal(
        {"bank": holder, "shop": boosting.FeatureHolder(parties, views["shop"], options, 512)}
    )
    rehearsal.run()
    layout, unit = PairLayout.for_gradients(512, options.scale_bits, 150), 2.0**-options.scale_bits
    seen = []
    for _, _, message in rehearsal.transcript:
        if isinstance(message, CandidateSums) and message.level == 0:
            count = int(message.counts.sum())
            opened = secret.decrypt(secret.public.load(message.sums, layout.slots.plaintexts(count)))
            seen.append(sorted(zip(*layout.separate(layout.slots.unpack(opened, count)), strict=True)))
    sums, _, _ = sums_at_roots(codes, gradients, hessians, options, seed=0)
    by_twin = [sorted(map(tuple, np.rint(of_tree / unit).astype(int).tolist())) for of_tree in sums]
    assert len(seen) == options.trees - 1
    assert by_twin == seen
