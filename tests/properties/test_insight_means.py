"""A released mean gives no hidden cell and no single row away: leaks that were shown once stay closed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation import insight
from federation.roles import View
from privacy.small_cells import DOMINANCE_SHARE, hidden_means

K_MIN = 50


def profile_of(values, segments, n_segments, k_min=K_MIN):
    view = View(("field",), np.asarray(values, dtype=float)[:, None])
    return insight.segment_profile(view, np.asarray(segments), n_segments, k_min).fields[0]


def yes_and_no(*cells):
    """A 0/1 field with (zeros, ones) per segment."""
    values = [value for zeros, ones in cells for value in [0] * zeros + [1] * ones]
    segments = [place for place, cell in enumerate(cells) for _ in range(sum(cell))]
    return values, segments


def test_mean_times_count_does_not_give_three_people_away():
    # The bands hide (797, 3); a mean of 0.00375 over 800 people says three.
    field = profile_of(*yes_and_no((797, 3), (600, 200), (650, 150)), 3)
    assert field.bands[0] == (None, None)
    assert field.counts[0] == 800
    assert field.means[0] is None


def test_the_segment_that_hides_with_another_one_hides_its_mean_too():
    # The bands' totals are taken as known: 150 of the second segment would leave 3 for the first.
    field = profile_of(*yes_and_no((797, 3), (650, 150)), 2)
    assert field.bands == ((None, None), (None, None))
    assert field.means == (None, None)


@pytest.mark.parametrize("cell", [(3, 797), (0, 800), (800, 0), (751, 49)])
def test_nearly_constant_segments_show_no_mean(cell):
    assert profile_of(*yes_and_no(cell, (600, 600), (600, 600)), 3).means[0] is None


def counts_that_fit(mean, candidates, step=1):
    """Counts for which some sum on the grid of `step` has this released mean (rounded to its last digit)."""
    digits = len(repr(mean).partition(".")[2])
    return [
        count
        for count in candidates
        if any(
            round(float(f"{(total * step) / count:.4g}"), digits) == mean
            for total in {int(mean * count / step) + shift for shift in (-1, 0, 1, 2)}
        )
    ]


@pytest.mark.parametrize("missing", [1, 3, 49])
@pytest.mark.parametrize("rate", [0.3, 1.35, 12.0])
def test_a_hidden_count_does_not_follow_from_the_mean(missing, rate):
    # size - count would say how many values are missing; an exact mean of whole numbers fits few counts only.
    generator = np.random.default_rng(3)
    values = generator.poisson(rate, 700).astype(float)
    values[:missing] = np.nan
    others = generator.poisson(rate, 900).astype(float)
    others[:200] = np.nan
    field = profile_of(np.append(values, others), [0] * 700 + [1] * 900, 2)
    assert field.counts[0] is None
    assert field.means[0] is not None  # a report without means would be of no use
    assert field.means[0] == pytest.approx(np.nanmean(values), rel=0.05)
    assert len(counts_that_fit(field.means[0], range(700 - K_MIN, 701))) == K_MIN + 1


def test_amounts_keep_their_digits():
    generator = np.random.default_rng(8)
    values = np.round(generator.lognormal(9, 0.5, 1400), 2)
    values[:20] = np.nan
    field = profile_of(values, [0] * 700 + [1] * 700, 2)
    assert field.counts[0] is None
    assert field.means[0] == float(f"{np.nanmean(values[:700]):.4g}")


def test_one_outlier_does_not_show_its_balance():
    generator = np.random.default_rng(1)
    values = np.append(generator.lognormal(9, 0.5, 799), 9.3e8)
    field = profile_of(np.append(values, generator.lognormal(9, 0.5, 800)), [0] * 800 + [1] * 800, 2)
    assert field.means[0] is None
    assert field.means[1] == float(f"{field.means[1]:.4g}")
    negative = profile_of(-np.append(values, generator.lognormal(9, 0.5, 800)), [0] * 800 + [1] * 800, 2)
    assert negative.means[0] is None
    assert negative.means[1] is not None


@pytest.mark.parametrize(("largest", "hidden"), [(24.9, False), (25.1, True)])
def test_the_dominance_rule_ends_at_a_fifth(largest, hidden):
    # 100 others hold 100 together: a row of 25 has exactly a fifth of 125.
    rest = np.linspace(0.5, 1.5, 100)
    assert rest.sum() == pytest.approx(100)
    values = np.append(rest, largest)
    found = hidden_means(values, np.zeros(101, dtype=np.int64), K_MIN, np.zeros(1, dtype=np.bool_))
    assert found.tolist() == [hidden]
    assert DOMINANCE_SHARE == 0.2


# At least six ones: the dominance rule stays out of it.
cells_of_segments = st.lists(st.tuples(st.integers(0, 60), st.integers(6, 60)), min_size=2, max_size=4)


@settings(max_examples=80, deadline=None)
@given(cells_of_segments, st.integers(1, 30))
def test_means_of_two_values_hide_with_their_cells(cells, k_min):
    field = profile_of(*yes_and_no(*cells), len(cells), k_min)
    for (zeros, ones), mean in zip(cells, field.means, strict=True):
        if min(zeros, ones) < k_min:
            assert mean is None
    assert field.means.count(None) != 1  # one hidden mean alone would follow from the total
