"""The trap: partial scores name the rows' bins; what crosses in our training does not."""

import numpy as np
import pytest
from attacks.partial_scores import decode, scores_from_gradient, scores_from_masked
from attacks.scorecard_views import by_the_protocol, by_the_twin
from attacks.tables import credit_table, most_frequent, right, show

from federation.scorecard_fit import WOE_BITS, ScorecardOptions

OPTIONS = ScorecardOptions()
ROWS = 400
NOISE = 0.025
"""Three standard deviations of the share of 4,000 cells that a guess of a third gets right."""


@pytest.fixture(scope="module")
def table():
    return credit_table(1, 4000)


@pytest.fixture(scope="module")
def view(table):
    return by_the_twin(table, OPTIONS)


def points_of(table, view):
    return [
        w * np.array(of_field) for w, of_field in zip(view.weights[1].weights, table.woe["shop"], strict=True)
    ]


def partial_scores(table, view, bits):
    """What descendants of Hardy et al. send, as fixed-point numbers with `bits` fraction bits."""
    scores = table.columns("shop") @ np.array(view.weights[1].weights)
    return np.rint(np.ldexp(scores, bits)) / 2.0**bits


@pytest.mark.parametrize(("bits", "least_rows"), [(32, 0.95), (24, 0.8)])
def test_before_partial_scores_give_nearly_every_row(table, view, bits, least_rows):
    scores = partial_scores(table, view, bits)[:ROWS]
    found = decode(scores, points_of(table, view), table.shares("shop"), 2.0**-bits)
    rows_right, cells_right = right(found, table.codes["shop"][:ROWS])
    show("partial scores in clear", bits=bits, rows=rows_right, cells=cells_right)
    assert most_frequent(table.codes["shop"])[0] < 0.01
    assert rows_right >= least_rows


def test_at_the_precision_of_training_few_rows_would_be_found_even_from_clear_scores(table, view):
    found = decode(
        partial_scores(table, view, 8)[:ROWS], points_of(table, view), table.shares("shop"), 2.0**-9
    )
    rows_right, cells_right = right(found, table.codes["shop"][:ROWS])
    show("partial scores in clear", bits=8, rows=rows_right, cells=cells_right)
    assert rows_right < 0.05


def test_after_masked_residuals_are_no_better_than_the_most_frequent_bin(table, view):
    step = OPTIONS.steps - 1
    rows = view.rows[step][:ROWS]
    points, shares = points_of(table, view), table.shares("shop")
    guess = scores_from_masked(view.masked[step], points, shares, np.random.default_rng(0))[:ROWS]
    found = decode(guess, points, shares, 2.0**-9)
    rows_right, cells_right = right(found, table.codes["shop"][rows])
    by_guessing = most_frequent(table.codes["shop"])
    show("masked residuals", rows=rows_right, cells=cells_right, most_frequent=by_guessing[1])
    assert rows_right <= 0.01
    assert cells_right <= by_guessing[1] + NOISE


def test_after_masked_residuals_do_not_go_with_the_true_scores(table, view):
    for step in (0, OPTIONS.steps - 1):
        true = view.bank.seen_residuals[step].astype(np.float64)
        masked = np.array(view.masked[step], dtype=np.float64)
        assert abs(np.corrcoef(true, masked)[0, 1]) < 4 / np.sqrt(len(true))


def test_after_the_own_gradient_is_no_better_than_the_most_frequent_bin(table, view):
    step = OPTIONS.steps - 1
    rows = view.rows[step]
    design = np.ldexp(view.bank.columns[rows].astype(float), -WOE_BITS)
    unit = 1 << (OPTIONS.polynomial.scale_bits + WOE_BITS)
    gradient = np.array([value / unit for value in view.own_gradient[step]])
    own = np.ldexp(view.bank.seen_scores[step].astype(float), -8)
    guess = scores_from_gradient(design, gradient, own, table.label[rows])[:ROWS]
    found = decode(guess, points_of(table, view), table.shares("shop"), 0.05)
    rows_right, cells_right = right(found, table.codes["shop"][rows[:ROWS]])
    show("own gradient", rows=rows_right, cells=cells_right)
    assert rows_right <= 0.01
    assert cells_right <= most_frequent(table.codes["shop"])[1] + NOISE


def test_the_twins_view_is_the_protocols():
    table, options = (
        credit_table(2, 120, fields=3, own_fields=2, bins=3),
        ScorecardOptions(passes=2, batches=2),
    )
    twin = by_the_twin(table, options)
    seen, row_masks, gradients = by_the_protocol(table, options, twin.batch)
    for step in range(options.steps):
        assert seen.rows[step].tolist() == twin.rows[step].tolist()
        unmasked = np.array(seen.masked[step], dtype=object) - np.array(row_masks[step], dtype=object)
        assert unmasked.tolist() == twin.bank.seen_residuals[step].tolist()
        assert gradients[step] == twin.partner_gradient[step]
        assert not set(seen.masked_gradient[step]) & set(gradients[step])
        assert not set(map(int, seen.masked[step])) & set(map(int, unmasked))
