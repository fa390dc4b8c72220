"""Residue label inference: how well a partner guesses labels from its own gradients, beside its own final score."""

import numpy as np
import pytest
from attacks.residue_labels import guesses, labels_by_subsets
from attacks.tables import credit_table, show, train

from federation.metrics import auc
from federation.scorecard_fit import ScorecardOptions, batch_rows
from privacy.errors import ConfigInvalid

FIELDS = 10


def measured(table, options):
    """AUC on the training rows of the guess, of the partner's part of the finished score, and of both added."""
    _, shop, weights, _ = train(table, options)
    own = table.columns("shop") @ np.array(weights[1].weights)
    guess = guesses(shop, options)
    both = guess / guess.std() + own / own.std()
    return [auc(table.label, score) for score in (guess, own, both)]


def test_before_batches_of_fewer_rows_than_columns_give_every_label():
    table, options = credit_table(6, 1600, fields=FIELDS), ScorecardOptions(batches=200, passes=1, l2=1000.0)
    guess, own, both = measured(table, options)
    show("residues, 8 rows per batch of 10 columns", guess=guess, own_score=own, both=both)
    assert guess > 0.97 > own + 0.1


def test_such_batches_are_refused():
    options = ScorecardOptions(batches=200)
    with pytest.raises(ConfigInvalid, match=r"."):
        batch_rows(np.arange(1600) % 200, 1600, FIELDS, options)


@pytest.mark.parametrize(("rows_per_column", "above"), [(10, 0.04), (20, 0.03), (100, 0.01)])
def test_after_the_guess_adds_little_to_the_partners_own_score(rows_per_column, above):
    batches = 4
    options = ScorecardOptions(batches=batches, passes=3)
    table = credit_table(7, rows_per_column * FIELDS * batches, fields=FIELDS)
    guess, own, both = measured(table, options)
    show(f"residues, {rows_per_column} rows per column", guess=guess, own_score=own, both=both)
    assert guess < own
    assert both < own + above


@pytest.mark.parametrize(("rows_per_column", "most"), [(10, 0.75), (100, 0.58)])
def test_after_columns_that_say_nothing_still_fit_the_labels_of_a_small_batch(rows_per_column, most):
    """What is left of the attack: a regression of few rows on ten columns of noise fits them. Disclosed."""
    options = ScorecardOptions(batches=4, passes=3)
    table = credit_table(8, rows_per_column * FIELDS * 4, fields=FIELDS)
    noise = credit_table(9, len(table.label), fields=FIELDS, strength=0.0)
    mixed = type(table)(
        table.codes | {"shop": noise.codes["shop"]}, table.woe | {"shop": noise.woe["shop"]}, table.label
    )
    guess, own, both = measured(mixed, options)
    show(f"residues, noise, {rows_per_column} rows per column", guess=guess, own_score=own, both=both)
    assert 0.5 < guess < most


@pytest.mark.parametrize(("rows", "columns", "least"), [(20, 2, 0.6), (30, 3, 0.8), (40, 4, 1.0)])
def test_ten_rows_per_column_do_not_protect_a_tiny_batch(rows, columns, least):
    """Exact sums of 10-bit weights of evidence hold more than one bit per row: labels are found by trying all."""
    share, majority, solutions = tried(rows, columns)
    show(f"all subsets, {rows} rows, {columns} columns", right=share, majority=majority, solutions=solutions)
    assert 1 <= solutions < 100
    assert share >= least
    assert share > majority


def test_forty_rows_per_column_leave_many_labellings():
    _, _, solutions = tried(40, 1)
    show("all subsets, 40 rows, 1 column", solutions=solutions)
    assert solutions > 10_000


def tried(rows, columns):
    """(share of the first batch's labels found, by saying what most are, how many labellings fit)."""
    options = ScorecardOptions(batches=20, passes=1)
    table = credit_table(10, rows * options.batches, fields=columns)
    batch_rows(np.arange(len(table.label)) % options.batches, len(table.label), columns, options)
    _, shop, _, batch = train(table, options)
    first = np.flatnonzero(batch == 0)
    polynomial = options.polynomial
    # p_0 rests on the default rate alone, which the partner is told or tries out.
    intercept = round(np.log(table.label.mean() / (1 - table.label.mean())) * 256)
    chance = int(polynomial.residuals(np.array([intercept]), np.array([0]))[0])
    seen = shop.columns[first], shop.seen_gradients[0]
    found, solutions = labels_by_subsets(*seen, chance, polynomial.scale_bits)
    label = table.label[first]
    return float((found == label).mean()), float(max(label.mean(), 1 - label.mean())), solutions
