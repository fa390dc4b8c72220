"""Bins, WOE and IV: the best merging there is, the counts that pandas finds, the bins that optbinning finds."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.woe import FieldOptions, WoeBinning, WoeOptions, fit_woe, iv_table
from federation.woe_merging import OPPOSITE, Rules, merge_cells
from federation.woe_prebins import codes_of, fit_pre_bins
from privacy.errors import ConfigInvalid, MessageInvalid

TRENDS = ("auto", "ascending", "descending", "none")


def table(seed, n_rows=700):
    """Fields of several kinds, and a label that depends on them: (names, values, labels)."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n_rows, 5))
    values[:, 1] = np.round(values[:, 1] * 2)  # few distinct values
    values[:, 2] = np.where(rng.random(n_rows) < 0.5, 0.0, values[:, 2])  # half of it zero
    values[:, 3] = np.where(rng.random(n_rows) < 0.2, -99.0, values[:, 3])  # a special value
    chance = 1 / (1 + np.exp(1.5 + values[:, 0] - values[:, 2] + 0.5 * (values[:, 3] < -50)))
    labels = (rng.random(n_rows) < chance).astype(np.int8)
    values[rng.random(n_rows) < 0.1, 0] = np.nan
    values[rng.random(n_rows) < 0.01, 1] = np.inf
    values[rng.random(n_rows) < 0.97, 4] = np.nan  # hardly any value
    return tuple("abcde"), values, labels


def pandas_table(column, labels, field):
    """Goods and bads per group of rows that `pd.cut` on the final edges and the loose values make."""
    edges = [-np.inf, *field.edges, np.inf]
    frame = pd.DataFrame({"value": column, "bad": labels == 1})
    frame["value"] = frame["value"].where(np.isfinite(frame["value"]))
    frame["bin"] = pd.cut(frame["value"].mask(frame["value"].isin(field.special)), edges, labels=False)
    frame["code"] = frame["bin"].map(dict(enumerate(field.final[1 : len(field.edges) + 2])))
    for place, value in enumerate(field.special, start=len(field.edges) + 2):
        frame.loc[frame["value"] == value, "code"] = field.final[place]
    frame.loc[frame["value"].isna(), "code"] = field.final[0]
    return frame.groupby("code")["bad"].agg(rows="size", bads="sum").sort_index()


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    trend=st.sampled_from(TRENDS),
    k_min=st.sampled_from([5, 30]),
    share=st.sampled_from([0.0, 0.05, 0.2]),
    max_bins=st.integers(2, 8),
)
def test_counts_woe_and_iv_equal_pandas(seed, trend, k_min, share, max_bins):
    names, values, labels = table(seed)
    options = WoeOptions(
        k_min=k_min, min_bin_share=share, max_bins=max_bins, trend=trend,
        fields={"d": FieldOptions(trend, (-99.0, -98.0))},
    )  # fmt: skip
    binning = fit_woe(names, values, labels, options)
    codes = binning.transform(values)
    for place, field in enumerate(binning.bins):
        found = pandas_table(values[:, place], labels, field)
        assert found.index.tolist() == list(range(len(field.woe)))
        assert found["rows"].tolist() == list(field.rows) == np.bincount(codes[:, place]).tolist()
        assert found["bads"].tolist() == list(field.bads)
        goods = found["rows"] - found["bads"]
        assert goods.tolist() == list(field.goods)
        shares = goods / goods.sum(), found["bads"] / found["bads"].sum()
        woe = np.log(shares[0] / shares[1])
        assert field.woe == pytest.approx(woe.tolist(), abs=1e-12)
        assert field.iv == pytest.approx(float(((shares[0] - shares[1]) * woe).sum()), abs=1e-12)
        # What every final bin promises.
        assert min(field.rows) >= max(k_min, share * len(values))
        assert min(*field.goods, *field.bads) >= 1
        assert len(field.edges) < max_bins
        if trend in {"ascending", "descending"}:
            assert field.trend in {trend, "flat"}
        if trend != "none":
            assert field.monotone
    assert binning.n_codes == tuple(map(len, binning.woe))
    kept = WoeBinning.from_bytes(binning.to_bytes())
    assert kept == binning
    assert (kept.transform(values) == codes).all()
    assert [row.iv for row in iv_table(binning)] == sorted(binning.iv, reverse=True)


def every_merging(goods, bads, rules, trend):
    """IV of the best merging, by trying them all."""
    best = 0.0 if len(goods) else -np.inf
    totals = goods.sum(), bads.sum()
    for n_cuts in range(min(rules.most, len(goods))):
        for cuts in itertools.combinations(range(1, len(goods)), n_cuts):
            bounds = [0, *cuts, len(goods)]
            good = np.add.reduceat(goods, bounds[:-1])
            bad = np.add.reduceat(bads, bounds[:-1])
            steps = bad[:-1] * good[1:] - bad[1:] * good[:-1]
            right = {"ascending": steps > 0, "descending": steps < 0, "none": np.isfinite(steps)}[trend]
            if (good > 0).all() and (bad > 0).all() and (good + bad >= rules.smallest).all() and right.all():
                shares = good / totals[0], bad / totals[1]
                best = max(best, float(((shares[0] - shares[1]) * np.log(shares[0] / shares[1])).sum()))
    return best


COUNTS = st.lists(st.tuples(st.integers(0, 25), st.integers(0, 12)), min_size=1, max_size=7)


def arrays(counts):
    pairs = np.array(counts, dtype=np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


@settings(max_examples=150, deadline=None)
@given(
    counts=COUNTS,
    trend=st.sampled_from(TRENDS),
    smallest=st.integers(1, 40),
    most=st.integers(2, 6),
)
def test_no_other_merging_has_a_higher_iv(counts, trend, smallest, most):
    goods, bads = arrays([*counts, (30, 30)])
    rules = Rules(smallest, most, trend)
    merging = merge_cells(goods, bads, len(goods), rules)
    directions = ("ascending", "descending") if trend == "auto" else (trend,)
    best = max(every_merging(goods, bads, rules, direction) for direction in directions)
    assert merging.iv == pytest.approx(best, abs=1e-9)
    assert (np.diff(merging.final) >= 0).all()


@settings(max_examples=150, deadline=None)
@given(
    counts=COUNTS,
    mirrored=st.booleans(),
    loose=st.lists(st.tuples(st.integers(0, 25), st.integers(0, 12)), max_size=4),
    trend=st.sampled_from(TRENDS),
    smallest=st.integers(1, 40),
    data=st.data(),
)
def test_the_result_does_not_depend_on_the_direction_or_on_the_order_of_loose_cells(
    counts, mirrored, loose, trend, smallest, data
):
    """What lets a partner hide both: read back, the bins are the same."""
    ordered = [*counts, *counts[::-1]] if mirrored else counts
    loose = [*loose, (30, 30)]
    order = data.draw(st.permutations(range(len(loose))))
    n = len(ordered)
    merging = merge_cells(*arrays(ordered + loose), n, Rules(smallest, 4, trend))
    shuffled = ordered[::-1] + [loose[place] for place in order]
    other = merge_cells(*arrays(shuffled), n, Rules(smallest, 4, OPPOSITE[trend]))
    assert merging.symmetric == other.symmetric
    assert merging.iv == other.iv
    back = other.final[:n] if merging.symmetric else other.final[:n][::-1]
    of_loose = dict(zip(order, other.final[n:], strict=True))
    found = (*back, *(of_loose[place] for place in range(len(loose))))

    def content(final):
        """The bin of every cell as its WOE and counts: equal loose cells may change places."""
        result = merging if final is merging.final else other
        bins = list(zip(result.goods, result.bads, strict=True))
        return [bins[code] for code in final[:n]], sorted(
            (loose[place], bins[code]) for place, code in enumerate(final[n:])
        )

    assert content(merging.final) == content(found)


# What optbinning 1.0.0 found (`OptimalBinning`, divergence "iv", solvers cp and mip) for 12 pre-bins with these rows
# and bads, at most 6 bins: (rows, bads, loose cell, trend of the WOE, share, bads per bin, WOE, IV).
OPTBINNING = [
    ([319, 318, 373, 351, 325, 315, 334, 344, 344, 345, 322, 310],
     [50, 56, 62, 36, 40, 72, 93, 105, 133, 113, 125, 109], None, "descending", 0.05,
     (244, 72, 93, 105, 246, 234),
     [0.6699897288953467, 0.1097669606681475, -0.15443092331894648, -0.28412516188235815,
      -0.5183901295435729, -0.5754974737296092], 0.27852771068837334),
    ([423, 421, 415, 375, 398, 399, 432, 418, 467, 418, 420, 414],
     [184, 133, 91, 132, 114, 114, 110, 83, 63, 28, 9, 25], None, "auto", 0.05,
     (184, 694, 83, 63, 28, 34),
     [-1.0205308531396158, -0.3594478715693977, 0.1132312765663277, 0.5762215041074767,
      1.3518835814863477, 1.8761925555896253], 0.6316285346323338),
    ([498, 479, 497, 509, 480, 539, 504, 455, 517, 508, 504, 510],
     [214, 163, 112, 124, 103, 101, 138, 67, 65, 7, 90, 13], 5, "none", 0.05,
     (377, 477, 132, 7, 90, 13, 101),
     [-0.9247378283387157, -0.23508907320683647, 0.46117767314413727, 2.8812736559227,
      0.13663400738819798, 2.254218372528241, 0.07767609742833548], 0.7196621180241562),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "bads", "loose", "trend", "share", "found", "woe", "iv"), OPTBINNING)
def test_the_bins_are_those_of_optbinning(rows, bads, loose, trend, share, found, woe, iv):
    order = [place for place in range(len(rows)) if place != loose] + ([] if loose is None else [loose])
    rows, bads = np.array(rows)[order], np.array(bads)[order]
    n_ordered = len(rows) - (loose is not None)
    rules = Rules(int(np.ceil(share * rows.sum())), 6, trend)
    merging = merge_cells(rows - bads, bads, n_ordered, rules)
    assert merging.bads == found
    assert merging.woe == pytest.approx(woe, abs=1e-12)
    assert merging.iv == pytest.approx(iv, abs=1e-12)


@pytest.mark.parametrize(("share", "iv"), [(0.05, 0.46415089447089686), (0.08, 0.42356441618560486)])
def test_the_iv_is_never_below_optbinnings(share, iv):
    """With 8 % of the rows optbinning misses a better merging (0.4259) that keeps all its rules."""
    rows = np.array([272, 251, 249, 246, 233, 246, 256, 267, 238, 276, 243, 223])
    bads = np.array([118, 100, 78, 86, 58, 48, 62, 63, 39, 22, 34, 10])
    merging = merge_cells(rows - bads, bads, 12, Rules(int(share * rows.sum()), 6, "ascending"))
    assert merging.iv > iv - 1e-12
    assert share != 0.05 or merging.iv == pytest.approx(iv, abs=1e-12)


def test_a_small_loose_cell_joins_the_bin_with_the_nearest_woe_or_the_worse_of_two():
    goods, bads = np.array([90, 50, 10, 4]), np.array([10, 50, 90, 1])
    rules = Rules(20, 4, "descending")
    assert merge_cells(goods, bads, 3, rules).final == (0, 1, 2, 0)
    # Between two bins at the same distance: ln 3 and -ln 3.
    goods, bads = np.array([75, 25, 3]), np.array([25, 75, 3])
    assert merge_cells(goods, bads, 2, rules).final == (0, 1, 1)
    # Without a bad it is nearest to the best, without a good to the worst.
    assert merge_cells(np.array([75, 25, 30]), np.array([25, 75, 0]), 2, rules).final == (0, 1, 0)
    assert merge_cells(np.array([75, 25, 0]), np.array([25, 75, 30]), 2, rules).final == (0, 1, 1)


def test_pre_bins_hold_k_min_rows_and_fewer_join_the_fullest():
    rng = np.random.default_rng(4)
    column = np.concatenate([rng.normal(size=300), np.full(200, 7.0), np.full(60, -1.0), np.full(3, -2.0)])
    column = np.append(column, np.full(4, np.nan))[:, None]
    options = WoeOptions(k_min=50, special=(-1.0, -2.0), pre_bins=20)
    (field,) = fit_pre_bins(("a",), column, options)
    assert field.special == (-2.0, -1.0)
    rows = np.bincount(field.cells_of(column[:, 0]))
    assert rows.min() >= 50
    assert len(rows) == field.n_cells == field.n_ordered + 1  # -1 alone stands apart
    fullest = int(codes_of(np.array([7.0]), field.edges, field.special)[0]) - 1
    assert field.cells[0] == field.cells[len(field.edges) + 2] == fullest
    nothing = np.full((60, 1), np.nan)
    assert fit_pre_bins(("a",), nothing, options)[0].n_cells == 1


def test_a_value_on_an_edge_belongs_below_it_and_an_unseen_one_has_a_bin():
    names, values, labels = table(9)
    binning = fit_woe(names, values, labels, WoeOptions(k_min=20))
    edge = binning.edges[0][1]
    row = np.array([[edge, 1e300, -1e300, np.nan, -np.inf]])
    codes = binning.transform(row)
    assert codes[0, 0] == 1
    assert codes[0, 1] == binning.bins[1].final[len(binning.edges[1]) + 1]
    assert codes[0, 4] == binning.bins[4].final[0]
    assert binning.woe_of(codes)[0, 0] == binning.woe[0][1]
    assert binning.keep(("c", "a")).fields == ("a", "c")


def test_tables_labels_and_options_that_do_not_fit_are_refused():
    names, values, labels = table(1)
    options = WoeOptions()
    for fields, rows, of_rows in [
        (names[:-1], values, labels),
        (names, values[:-1], labels),
        (names, values[:40], labels[:40]),
        (names, values, labels * 2),
        (names, values, labels * 0),
    ]:
        with pytest.raises(ConfigInvalid):
            fit_woe(fields, rows, of_rows, options)
    for wrong in (
        {"pre_bins": 1}, {"max_bins": 1}, {"min_bin_share": 0.6}, {"k_min": 0}, {"trend": "up"},
        {"special": (1.0, 1.0)}, {"special": (np.nan,)}, {"special": tuple(range(60))},
    ):  # fmt: skip
        with pytest.raises(ConfigInvalid) as caught:
            WoeOptions(**wrong)
        assert caught.value.render("zh-CN")
    with pytest.raises(ConfigInvalid):
        fit_woe(names, values, labels, options).transform(values[:, :2])
    with pytest.raises(MessageInvalid):
        WoeBinning.from_bytes(b"\x93\x01")
