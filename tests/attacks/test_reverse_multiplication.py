"""Reverse multiplication: exact where scores and gradients are opened, at chance with what our training shows."""

import numpy as np
import pytest
from attacks.reverse_multiplication import (
    closest_correlation,
    columns_from_steps,
    explained,
    space_of_columns,
    textbook_descent,
)
from attacks.scorecard_views import by_the_twin
from attacks.tables import credit_table, show

from federation.scorecard_fit import ScorecardOptions

FIELDS = 10
OPTIONS = ScorecardOptions(passes=20, batches=5)


@pytest.fixture(scope="module")
def table():
    return credit_table(4, 2000, fields=FIELDS)


@pytest.fixture(scope="module")
def view(table):
    return by_the_twin(table, OPTIONS)


def test_before_opened_scores_and_gradients_give_the_columns_exactly(table):
    columns = table.columns("shop")
    seen = textbook_descent(table.columns("bank"), columns, table.label, steps=30, rate=0.5)
    found = columns_from_steps(seen.gradients, seen.scores, rate=0.5)
    cells = float((np.abs(found - columns) < 1e-3).mean())
    show("reverse multiplication, textbook", cells=cells, correlation=closest_correlation(found, columns))
    assert cells > 0.99


def of_one_batch(view, values):
    """Every step that used batch 0."""
    return [values[step] for step in range(0, OPTIONS.steps, OPTIONS.batches)]


def test_before_opened_residuals_alone_give_the_space_of_the_columns(table, view):
    """A variant that masks gradients but opens residuals: the label holder inverts p, and has every score."""
    columns = table.columns("shop")[view.rows[0]]
    rounded = np.array(of_one_batch(view, view.shop.seen_scores), dtype=float)
    exact = np.array(of_one_batch(view, view.shop.seen_weights)) @ columns.T
    inside = explained(space_of_columns(exact, FIELDS), columns)
    inside_rounded = explained(space_of_columns(rounded, FIELDS), columns)
    random = np.linalg.qr(np.random.default_rng(0).normal(size=(len(columns), FIELDS)))[0]
    chance = explained(random, columns)
    show("opened residuals, columns explained", exact=inside, eight_bits=inside_rounded, chance=chance)
    assert inside > 0.99
    assert 0.2 < inside_rounded < inside
    assert chance < 0.05


def test_after_masked_residuals_and_gradients_give_nothing(table, view):
    columns = table.columns("shop")[view.rows[0]]
    masked = np.array(of_one_batch(view, view.masked), dtype=float)
    gradients = np.array(of_one_batch(view, view.masked_gradient), dtype=float)
    masked /= masked.max()
    gradients /= gradients.max()
    found = columns_from_steps(gradients, masked, rate=1.0)
    correlation = closest_correlation(found, columns)
    chance = 0.8 / np.sqrt(len(columns))  # E|r| of two independent columns: sqrt(2 / pi n)
    inside = explained(space_of_columns(masked - masked.mean(), FIELDS), columns)
    show("reverse multiplication, ours", correlation=correlation, chance=chance, columns_explained=inside)
    assert correlation < 2 * chance
    assert inside < 2 * FIELDS / len(columns) + 0.02
