"""Hidden cells stay hidden: an attacker who knows all totals cannot compute one."""

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.optimize import linprog

from federation import insight
from federation.roles import View
from privacy.small_cells import hidden_cells, hidden_totals, pinned_cells

K_MIN = 10
tables = arrays.arrays(np.int64, st.tuples(st.integers(1, 5), st.integers(1, 5)), elements=st.integers(0, 40))


def feasible_range(counts, hidden, row, column, known_rows=None):
    """Least and largest value a hidden cell can have, given the shown cells and the totals (by LP)."""
    places = [tuple(place) for place in np.argwhere(hidden)]
    equations, totals = [], []
    for axis in (0, 1):
        for line in range(counts.shape[axis]):
            if axis == 0 and known_rows is not None and not known_rows[line]:
                continue
            equations.append([float(place[axis] == line) for place in places])
            totals.append(float((counts * hidden).take(line, axis).sum()))
    target = np.array([float(place == (row, column)) for place in places])
    ends = []
    for sign in (1, -1):
        solved = linprog(sign * target, A_eq=np.array(equations), b_eq=np.array(totals), method="highs")
        ends.append(sign * solved.fun)
    return ends


def test_a_single_small_cell_takes_a_cycle_of_four_with_it():
    counts = np.array([[60, 70, 3, 90], [80, 55, 100, 66], [77, 88, 99, 111]])
    hidden = hidden_cells(counts, 50)
    assert hidden.tolist() == [
        [True, False, True, False],
        [False, False, False, False],
        [True, False, True, False],
    ]


@given(tables)
def test_small_cells_are_hidden_and_no_line_gives_one_away(counts):
    hidden = hidden_cells(counts, K_MIN)
    assert hidden[counts < K_MIN].all()
    if not (counts < K_MIN).any():
        assert not hidden.any()
    for lines, masks in ((counts, hidden), (counts.T, hidden.T)):
        for line, mask in zip(lines, masks, strict=True):
            if mask.any() and not mask.all():
                assert mask.sum() >= 2
                assert line[mask].sum() >= K_MIN


@settings(max_examples=60, deadline=None)
@given(tables)
# Found by search: only the signs of the other cells pin the empty ones here.
@example(np.array([[0, 40, 13], [3, 11, 21], [39, 9, 11], [28, 0, 19], [0, 34, 25]]))
@example(np.array([[0, 13, 15, 0], [27, 27, 15, 0], [6, 24, 37, 40], [0, 16, 0, 22]]))
def test_an_attacker_with_all_totals_is_left_with_a_range(counts):
    # An empty line or a table of one line says it all by its total.
    assume(min(counts.shape) > 1 and counts.sum(axis=0).all() and counts.sum(axis=1).all())
    hidden = hidden_cells(counts, K_MIN)
    for row, column in np.argwhere(counts < K_MIN):
        low, high = feasible_range(counts, hidden, row, column)
        assert high - low > 0.5


@settings(max_examples=60, deadline=None)
@given(tables, st.data())
def test_pinned_cells_are_those_that_linear_programming_pins_down(counts, data):
    hidden = data.draw(arrays.arrays(np.bool_, counts.shape))
    known_rows = data.draw(arrays.arrays(np.bool_, len(counts)))
    counts = counts * data.draw(arrays.arrays(np.bool_, counts.shape))
    pinned = pinned_cells(counts, hidden, known_rows)
    assert not pinned[~hidden].any()
    for row, column in np.argwhere(hidden):
        low, high = feasible_range(counts, hidden, row, column, known_rows)
        assert pinned[row, column] == (high - low < 1e-6)


def test_two_cycles_joined_by_one_cell_do_not_give_it_away():
    # Every line has two hidden cells or more, yet the cell that joins the two blocks follows from the totals.
    hidden = np.zeros((4, 4), dtype=np.bool_)
    hidden[:2, :2] = hidden[2:, 2:] = True
    hidden[1, 2] = True
    all_known = np.ones(4, dtype=np.bool_)
    counts = np.where(hidden, 7, 90)
    assert np.argwhere(pinned_cells(counts, hidden, all_known)).tolist() == [[1, 2]]
    assert not pinned_cells(counts, hidden_cells(counts, 8), all_known).any()


@given(st.lists(st.integers(0, 60), min_size=1, max_size=6))
def test_totals_never_hide_one_alone(totals):
    hidden = hidden_totals(np.array(totals), K_MIN)
    shown = [total for total, mask in zip(totals, hidden, strict=True) if not mask]
    assert all(total >= K_MIN for total in shown)
    assert hidden.any() == (min(totals) < K_MIN)
    if hidden.any() and shown:
        assert hidden.sum() >= 2
        assert sum(totals) - sum(shown) >= K_MIN


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.integers(30, 200), st.integers(1, 5))
def test_a_profile_shows_nothing_about_fewer_than_k_min(seed, n_rows, n_clusters):
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(n_rows, 2)).round(1)
    values[generator.random(values.shape) < 0.15] = np.nan
    segments = generator.choice(n_clusters, n_rows, p=generator.dirichlet(np.ones(n_clusters)))
    profile = insight.segment_profile(View(("a", "b"), values), segments, n_clusters, K_MIN)
    for segment in range(n_clusters):
        size = profile.sizes[segment]
        assert size is None or size >= K_MIN
        for place, field in enumerate(profile.fields):
            own = values[segments == segment, place]
            cells = [field.counts[segment], *field.bands[segment]]
            assert all(count is None or count >= K_MIN for count in cells)
            if size is None:
                assert cells == [None] * len(cells)
            if size is not None and field.counts[segment] is not None and "missing" in field.band_names:
                assert size - field.counts[segment] == field.bands[segment][-1] >= K_MIN
            if field.means[segment] is None:
                continue
            shown = own[~np.isnan(own)]
            assert len(shown) >= K_MIN
            assert field.counts[segment] in (None, len(shown))
            _, frequencies = np.unique(shown, return_counts=True)
            assert len(shown) - frequencies.max() >= K_MIN
            assert np.abs(shown).max() <= 0.2 * np.abs(shown).sum()
            # Values lie on a grid of 0.1: with a hidden count the mean is no finer than the unit above 0.2 / count.
            coarse = 0.0 if field.counts[segment] is not None else 10.0 ** np.ceil(np.log10(0.2 / len(shown)))
            tolerance = 0.51 * coarse + 1e-9
            assert field.means[segment] == pytest.approx(np.mean(shown), rel=5.01e-4, abs=tolerance)
            assert field.means[segment] == float(f"{field.means[segment]:.4g}")
