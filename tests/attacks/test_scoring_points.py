"""Reconstruction at scoring time: what rounded points, reasons and split sides tell the label holder."""

import numpy as np
import pytest
from attacks.partial_scores import decode
from attacks.scoring_points import (
    assumed_table,
    bounds_from_sides,
    codes_with_reasons,
    combinations_of,
    posterior_codes,
)
from attacks.tables import credit_table, most_frequent, right, show, train
from points_scene import PointsScene

from federation.point_scale import PointScale, deductions, most_deducted, sum_of
from federation.scorecard_fit import ScorecardOptions
from federation.trees import BoostingOptions, fit_trees

ROWS = 1500


@pytest.fixture(scope="module")
def scored():
    """(table, codes of the rows that are scored, the partner's points per bin)."""
    table = credit_table(21, 6000, bins=6)
    _, _, weights, _ = train(table, ScorecardOptions())
    return table, table.codes["shop"][:ROWS], PointScale().table(weights[1].weights, table.woe["shop"])


def measured(codes, table, shares, scale, assumed=None):
    """(rows right, cells right, share of cells with a probability of .99, share of rows with one combination)."""
    seen = scale.rounded(sum_of(table, codes))
    found, sure = posterior_codes(seen, assumed or table, shares, scale.step)
    only = combinations_of(seen, table, scale.step) == 1
    return *right(found, codes), float((sure > 0.99).mean()), float(only.mean())


def test_before_unrounded_points_give_nearly_every_row(scored):
    table, codes, _ = scored
    _, _, weights, _ = train(table, ScorecardOptions())
    exact = [
        -PointScale().factor * w * np.array(woe)
        for w, woe in zip(weights[1].weights, table.woe["shop"], strict=True)
    ]
    scores = np.array(sum_of(tuple(map(tuple, exact)), codes[:300]))
    rows, cells = right(decode(scores, exact, table.shares("shop"), 1e-9), codes[:300])
    show("points, not rounded, table known", rows=rows, cells=cells)
    assert rows > 0.95


@pytest.mark.parametrize(("step", "most"), [(1, 0.5), (2, 0.5), (5, 0.5)])
def test_after_rounded_points_say_a_little_to_who_knows_the_table(scored, step, most):
    table, codes, points = scored
    rows, cells, sure, only = measured(codes, points, table.shares("shop"), PointScale(step=step))
    by_guessing = most_frequent(codes)[1]
    show(
        f"points, step {step}, table known",
        rows=rows,
        cells=cells,
        guess=by_guessing,
        sure=sure,
        only_one=only,
    )
    assert by_guessing < cells < most
    assert rows < 0.02
    assert only == 0


@pytest.mark.parametrize("step", [1, 5])
def test_after_rounded_points_say_little_without_the_table(scored, step):
    table, codes, points = scored
    scale, shares = PointScale(step=step), table.shares("shop")
    assumed = assumed_table(shares, scale.rounded(sum_of(points, codes)))
    rows, cells, _, _ = measured(codes, points, shares, scale, assumed)
    show(f"points, step {step}, table unknown", rows=rows, cells=cells, guess=most_frequent(codes)[1])
    assert rows < 0.02
    assert cells < most_frequent(codes)[1] + 0.03


@pytest.mark.parametrize("step", [1, 5])
def test_after_weights_of_evidence_without_weights_say_a_little(scored, step):
    """After binning by WOE the label holder knows a partner's WOE and shares, of unnamed bins; weights are near -1."""
    table, codes, points = scored
    scale, shares = PointScale(step=step), table.shares("shop")
    assumed = scale.table((-0.9,) * codes.shape[1], table.woe["shop"])
    rows, cells, _, _ = measured(codes, points, shares, scale, assumed)
    show(f"points, step {step}, WOE known", rows=rows, cells=cells, guess=most_frequent(codes)[1])
    assert rows < 0.02
    assert cells < 0.5


@pytest.mark.parametrize(("fields", "least"), [(1, 0.99), (2, 0.55), (3, 0.45)])
def test_a_partner_of_few_fields_is_read_from_its_points(scored, fields, least):
    """Not prevented: the points of one field name its bin, rounded or not. Disclosed."""
    table, codes, points = scored
    codes = codes[:, :fields]
    rows, cells, _, only = measured(codes, points[:fields], table.shares("shop")[:fields], PointScale())
    show(
        f"points, {fields} fields, table known",
        rows=rows,
        cells=cells,
        guess=most_frequent(codes)[1],
        only_one=only,
    )
    assert rows >= least


def test_reasons_add_to_what_points_say(scored):
    table, codes, points = scored
    codes, scale = codes[:500], PointScale()
    seen, reasons = scale.rounded(sum_of(points, codes)), most_deducted(deductions(points, codes), 4)
    rows, cells = right(codes_with_reasons(seen, reasons, points, table.shares("shop"), scale), codes)
    show("points and four reasons, table known", rows=rows, cells=cells, guess=most_frequent(codes)[1])
    assert most_frequent(codes)[1] + 0.1 < cells < 0.75


@pytest.mark.parametrize("trees", [20, 50])
def test_split_sides_bound_the_codes_for_who_knows_the_splits(trees):
    """L has split numbers without a meaning. Who knew fields and thresholds would know this much."""
    table = credit_table(22, 1500, bins=8)
    pooled = np.hstack([table.codes["bank"], table.codes["shop"]]) + np.uint8(1)
    n_local = table.codes["bank"].shape[1]
    model = fit_trees(pooled, table.label, BoostingOptions(trees=trees, depth=4), n_local)
    own = set(range(n_local, pooled.shape[1]))
    low, high, bits = bounds_from_sides(model, pooled, own)
    codes, shares = pooled[:, n_local:].astype(int), table.shares("shop")
    assert (low <= codes).all()
    assert (codes <= high).all()
    found = np.empty_like(codes)
    for field, share in enumerate(shares):
        code = np.arange(1, len(share) + 1)
        inside = (code >= low[:, [field]]) & (code <= high[:, [field]])
        found[:, field] = code[np.where(inside, share, -1).argmax(axis=1)]
        high[:, field] = np.minimum(high[:, field], len(share))
    fixed = float((low == high).mean())
    rows, cells = right(found, codes)
    show(f"split sides, {trees} trees, splits known", bits_per_row=float(bits.mean()), rows=rows, cells=cells,
         cells_fixed=fixed, guess=most_frequent(codes)[1])  # fmt: skip
    assert cells > most_frequent(codes)[1]
    assert rows < 0.6


def test_the_twins_view_is_the_protocols():
    scene = PointsScene(PointScale(step=2))
    results, _ = scene.score(reasons=3)
    for name in ("shop", "carrier"):
        table, codes = scene.models[name].table, scene.codes(name)
        answered = results["bank"].partners[name]
        assert answered.points.tolist() == PointScale(step=2).rounded(sum_of(table, codes)).tolist()
        assert len(answered.names) <= 3
