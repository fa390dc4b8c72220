"""The measures of the validation report equal their twins in scikit-learn, SciPy and pandas."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2, ks_2samp
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score, roc_curve

from clients.validation import measures
from clients.validation.fairness import group_outcomes
from clients.validation.groups import (
    coarser,
    cut_near,
    hidden_bins,
    joined,
    make_grid,
    swap_sets,
)
from privacy.errors import ConfigInvalid

SEEDS = st.integers(0, 2**32 - 1)


def draw(seed: int, rows: int, levels: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Labels and risks with ties; both classes have at least two rows."""
    rng = np.random.default_rng(seed)
    risk = rng.integers(1, levels, rows) / levels
    label = (rng.random(rows) < risk).astype(np.int8)
    label[:4] = (0, 1, 0, 1)
    return label, risk


@given(SEEDS, st.integers(4, 200))
@settings(max_examples=60, deadline=None)
def test_discrimination_equals_scikit_learn_and_scipy(seed: int, rows: int) -> None:
    label, risk = draw(seed, rows)
    area = roc_auc_score(label, risk)
    assert measures.auc_interval(label, risk).value == pytest.approx(area)
    assert measures.gini(label, risk) == pytest.approx(2 * area - 1)
    ks, cut = measures.ks_cut(label, risk)
    assert ks == pytest.approx(ks_2samp(risk[label == 1], risk[label == 0]).statistic)
    distance = abs((risk[label == 1] <= cut).mean() - (risk[label == 0] <= cut).mean())
    assert distance == pytest.approx(ks)
    assert measures.brier(label, risk) == pytest.approx(brier_score_loss(label, risk))


@given(SEEDS, st.integers(4, 200))
@settings(max_examples=40, deadline=None)
def test_a_group_per_risk_makes_the_whole_roc_curve(seed: int, rows: int) -> None:
    label, risk = draw(seed, rows)
    _, place = np.unique(risk, return_inverse=True)
    counts = np.bincount(place * 2 + label, minlength=2 * (place.max() + 1)).reshape(-1, 2)
    fpr, tpr, _ = roc_curve(label, risk, drop_intermediate=False)
    points = np.array(measures.roc_of_groups(counts))
    assert points[:, 1:] == pytest.approx(np.column_stack([fpr, tpr]))
    assert points[:, 0] == pytest.approx(np.append(0, np.cumsum(counts.sum(axis=1)[::-1]) / rows))


@given(SEEDS, st.integers(6, 60))
@settings(max_examples=40, deadline=None)
def test_delong_equals_its_definition(seed: int, rows: int) -> None:
    """The structural components of DeLong et al. 1988, equations 4 to 6, pair by pair."""
    label, first = draw(seed, rows)
    second = np.random.default_rng(seed + 1).integers(0, 9, rows) / 9

    def kernel(risk: np.ndarray) -> np.ndarray:
        difference = risk[label == 1][:, None] - risk[label == 0][None, :]
        return (difference > 0) + 0.5 * (difference == 0)

    kernels = [kernel(first), kernel(second)]
    by_bad = np.cov([each.mean(axis=1) for each in kernels]) / (label == 1).sum()
    by_good = np.cov([each.mean(axis=0) for each in kernels]) / (label == 0).sum()
    covariance = by_bad + by_good
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    difference, p_value = measures.auc_difference(label, first, second)
    assert difference.value == pytest.approx(kernels[0].mean() - kernels[1].mean())
    reach = 1.959963984540054 * np.sqrt(max(variance, 0))
    assert difference.high == pytest.approx(min(difference.value + reach, 1.0), abs=1e-9)
    assert difference.low == pytest.approx(max(difference.value - reach, -1.0), abs=1e-9)
    if variance > 1e-9:
        assert p_value == pytest.approx(2 - 2 * _normal(abs(difference.value) / np.sqrt(variance)), abs=1e-9)


def _normal(z: float) -> float:
    return float((1 + chi2.cdf(z * z, 1)) / 2)


def test_the_same_score_twice_makes_no_difference() -> None:
    label, risk = draw(1, 300)
    difference, p_value = measures.auc_difference(label, risk, risk)
    assert (difference.value, difference.low, difference.high, p_value) == (0.0, 0.0, 0.0, 1.0)


def test_delongs_interval_covers_the_truth() -> None:
    """Normal scores one deviation apart: AUC is Phi(1 / sqrt 2)."""
    rng = np.random.default_rng(5)
    truth, inside = _normal(1 / np.sqrt(2)), 0
    for _ in range(300):
        label = (np.arange(200) < 60).astype(np.int8)
        found = measures.auc_interval(label, rng.normal(size=200) + label)
        inside += found.low <= truth <= found.high
    assert 0.91 <= inside / 300 <= 0.985


def test_one_class_is_refused() -> None:
    for measure in (measures.auc_interval, measures.ks_cut, measures.gini):
        with pytest.raises(ConfigInvalid):
            measure(np.zeros(9, dtype=np.int8), np.linspace(0, 1, 9))


@given(SEEDS)
@settings(max_examples=25, deadline=None)
def test_calibration_line_equals_an_unpenalised_regression(seed: int) -> None:
    rng = np.random.default_rng(seed)
    odds = rng.normal(-1, 1.2, 400)
    label = (rng.random(400) < 1 / (1 + np.exp(-(0.7 * odds + 0.3)))).astype(np.int8)
    slope, intercept = measures.calibration_line(label, 1 / (1 + np.exp(-odds)))
    twin = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(odds[:, None], label)
    assert slope == pytest.approx(twin.coef_[0, 0], abs=1e-4)
    assert intercept == pytest.approx(twin.intercept_[0], abs=1e-4)


def test_calibration_line_that_does_not_exist_is_nan() -> None:
    label = np.array([0, 0, 1, 1], dtype=np.int8)
    assert np.isnan(measures.calibration_line(label, np.full(4, 0.3))).all()
    assert np.isnan(
        measures.calibration_line(np.zeros(4, dtype=np.int8), np.array([0.1, 0.2, 0.3, 0.4]))
    ).all()
    assert np.isnan(measures.calibration_line(label, np.array([0.1, 0.2, 0.8, 0.9]))).all(), "separated"


def test_hosmer_lemeshow_accepts_a_true_model_and_rejects_a_false_one() -> None:
    rng = np.random.default_rng(3)
    predicted, rows = np.linspace(0.05, 0.6, 10), np.full(10, 500)
    bads = rng.binomial(rows, predicted)
    statistic, p_value = measures.hosmer_lemeshow(rows, bads, predicted)
    expected = ((bads - rows * predicted) ** 2 / (rows * predicted * (1 - predicted))).sum()
    assert (statistic, p_value) == (pytest.approx(expected), pytest.approx(chi2.sf(expected, 10)))
    assert p_value > 0.01
    assert measures.hosmer_lemeshow(rows, bads, predicted * 0.8)[1] < 1e-6


@given(SEEDS, st.integers(2, 12))
@settings(max_examples=40, deadline=None)
def test_stability_equals_pandas(seed: int, bins: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, bins, 500), rng.integers(0, bins, 300)
    shares = pd.DataFrame(
        {
            "e": pd.Series(first).value_counts(normalize=True),
            "a": pd.Series(second).value_counts(normalize=True),
        }
    ).fillna(0)
    shares = shares.clip(lower=1e-4)
    twin = ((shares.a - shares.e) * np.log(shares.a / shares.e)).sum()
    counts = (np.bincount(each, minlength=bins) for each in (first, second))
    assert measures.stability_index(*counts) == pytest.approx(twin)


def test_stability_of_the_same_shares_is_zero_and_bins_must_fit() -> None:
    assert measures.stability_index(np.array([10, 20, 30]), np.array([1, 2, 3])) == pytest.approx(
        0, abs=1e-12
    )
    for actual in (np.array([1, 2]), np.zeros(3, dtype=np.int64)):
        with pytest.raises(ConfigInvalid):
            measures.stability_index(np.array([10, 20, 30]), actual)


# --- which people are counted together


@given(SEEDS, st.integers(1, 60), st.lists(st.floats(0.01, 0.99), max_size=4))
@settings(max_examples=60, deadline=None)
def test_every_group_of_a_grid_is_large_enough(seed: int, k_min: int, wanted: list[float]) -> None:
    label, risk = draw(seed, 600, levels=200)
    train = np.random.default_rng(seed).random(600) < 0.6
    grid = make_grid(risk, label, train, k_min, wanted)
    cells = [np.bincount(label[part], minlength=2).min() for part in (train, ~train)]
    if grid is None:
        assert min(cells) < k_min
        return
    assert min(cells) >= k_min
    assert (np.diff(grid.edges) > 0).all()
    for part in (train, ~train):
        counts = grid.counts(risk[part], label[part])
        assert counts.shape == (len(grid), 2)
        assert (counts >= k_min).all()
        assert counts.sum() == part.sum()
    if wanted:
        assert grid.outer[-1] == len(grid)
        inner = grid.edges[[end - 1 for end in grid.outer[:-1]]]
        assert set(inner.tolist()) <= set(np.round(wanted, 4).tolist())
    rows = grid.counts(risk, label).sum(axis=1)
    ends = coarser(rows, 5)
    assert ends[-1] == len(grid)
    assert ends == sorted(set(ends))
    assert len(ends) <= 5
    assert joined(rows, ends).sum() == 600
    if len(grid) > 1:
        cut = cut_near(rows, 0.7)
        gaps = [abs(rows[:place].sum() / 600 - 0.7) for place in range(1, len(grid))]
        assert gaps[cut - 1] == min(gaps)


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200)), min_size=1, max_size=8))
def test_hidden_bins_hide_what_is_small_and_never_one_alone(cells: list[tuple[int, int]]) -> None:
    counts = np.array(cells)
    hidden = hidden_bins(counts, 50)
    assert not ((counts < 50).any(axis=1) & ~hidden).any()
    if hidden.any() and not hidden.all():
        assert hidden.sum() > 1
        assert (counts[hidden].sum(axis=0) >= 50).all()


@given(SEEDS, st.integers(0, 40))
@settings(max_examples=40, deadline=None)
def test_swap_sets_equal_pandas_and_are_shown_whole_or_not_at_all(seed: int, k_min: int) -> None:
    label, risk = draw(seed, 400)
    rng = np.random.default_rng(seed)
    other = np.clip(risk + rng.normal(0, 0.2, 400), 0, 1)
    pairs = [(risk <= cut, other <= np.quantile(other, (risk <= cut).mean())) for cut in (0.5, 0.7)]
    for (joint, alone), swap in zip(pairs, swap_sets(label, pairs, k_min), strict=True):
        frame = pd.DataFrame({"joint": joint, "alone": alone, "bad": label == 1})
        table = frame.groupby(["joint", "alone", "bad"]).size()
        assert swap.joint.tolist() == [int((joint & (label == side)).sum()) for side in (0, 1)]
        assert swap.alone.tolist() == [int((alone & (label == side)).sum()) for side in (0, 1)]
        for cells in (swap.rows, swap.cells):
            assert cells is None or (cells >= k_min).all()
        if swap.cells is not None:
            for (a, b, c), count in table.items():
                assert swap.cells[int(a), int(b), int(c)] == count


def test_swap_sets_hide_cuts_that_nearly_coincide() -> None:
    rng = np.random.default_rng(2)
    label = rng.integers(0, 2, 4000).astype(np.int8)
    risk, other = rng.random((2, 4000))
    near = [(risk <= cut, other <= cut) for cut in (0.5, 0.502)]
    first, second = swap_sets(label, near, 50)
    assert first.cells is not None
    assert second.cells is None
    assert second.rows is None


# --- fairness


def fair_frame(seed: int, rows: int, groups: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    label, risk = draw(seed, rows)
    return pd.DataFrame(
        {"group": rng.choice(groups, rows, p=rng.dirichlet(np.ones(groups))), "bad": label, "risk": risk}
    )


@given(SEEDS, st.integers(2, 5), st.integers(0, 40))
@settings(max_examples=60, deadline=None)
def test_fairness_equals_pandas_where_it_is_shown(seed: int, n_groups: int, k_min: int) -> None:
    frame = fair_frame(seed, 800, n_groups)
    frame["approved"] = frame.risk <= 0.6
    names = [f"g{number}" for number in range(n_groups)]
    found, reference = group_outcomes(
        names,
        frame.group.to_numpy(),
        frame.bad.to_numpy(),
        frame.approved.to_numpy(),
        frame.risk.to_numpy(),
        max(k_min, 1),
    )
    rates = {}
    for number, group in enumerate(found):
        own = frame[frame.group == number]
        goods = own[own.bad == 0]
        if group.rows is not None:
            assert group.rows == len(own) >= k_min
        else:
            assert group.approval is None
            assert group.bad_rate is None
        if group.approval is not None:
            rates[group.name] = own.approved.mean()
            assert group.approval == pytest.approx(rates[group.name])
            assert min(own.approved.sum(), (~own.approved).sum()) >= k_min
        if group.bad_rate is not None:
            assert group.bad_rate == pytest.approx(own.bad.mean())
            assert group.auc == pytest.approx(roc_auc_score(own.bad, own.risk))
        if group.good_approval is not None:
            assert group.good_approval == pytest.approx(goods.approved.mean())
            assert own.groupby(["approved", "bad"]).size().min() >= k_min
    assert (reference is None) == (not rates)
    if reference is not None:
        assert rates[reference] == max(rates.values())
        for group in found:
            if group.approval is not None:
                assert group.impact_ratio == pytest.approx(rates[group.name] / rates[reference])


@given(SEEDS, st.integers(2, 6))
@settings(max_examples=60, deadline=None)
def test_hidden_decisions_never_follow_from_the_totals(seed: int, n_groups: int) -> None:
    frame = fair_frame(seed, 1500, n_groups)
    frame["approved"] = frame.risk <= 0.6
    names = [str(number) for number in range(n_groups)]
    columns = [frame[name].to_numpy() for name in ("group", "bad", "approved", "risk")]
    found, _ = group_outcomes(names, *columns, 50)
    hidden = [number for number, group in enumerate(found) if group.good_approval is None]
    if 0 < len(hidden) < n_groups:
        left = frame[frame.group.isin(hidden)]
        assert len(hidden) > 1
        assert left.groupby(["approved", "bad"]).size().reindex(
            pd.MultiIndex.from_product([[False, True], [0, 1]]), fill_value=0
        ).min() >= 50  # fmt: skip
