"""How many rows can count in a tree of boosting: exactly what the draws give for some division into two classes."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from federation.boosting_options import BoostingOptions
from federation.row_weights import Draws, counted_rows, goss, validation_rows
from privacy.errors import ConfigInvalid

OPTIONS = BoostingOptions(min_child_rows=1, k_min=1)
SHARES = st.sampled_from([0.05, 0.1, 0.25, 0.3, 0.45])


def numbers_drawn(n_rows, options):
    """Rows that count in the first sample, for every number of rows with label 1."""
    draws = Draws.of(n_rows, 3)
    for positives in range(n_rows + 1):
        label = (np.arange(n_rows) < positives).astype(float)
        try:
            counted = ~validation_rows(label, options, draws)
        except ConfigInvalid:
            continue  # too few rows for one that validates
        if options.samples:
            counted = goss(label, np.arange(n_rows), counted, options, draws, 0) > 0
        yield int(counted.sum())


@given(n_rows=st.integers(1, 40), top=SHARES, other=SHARES)
def test_a_sample_has_from_the_fewest_to_the_most_rows(n_rows, top, other):
    options = replace(OPTIONS, goss_top=top, goss_other=other)
    drawn = set(numbers_drawn(n_rows, options))
    assert (min(drawn), max(drawn)) == counted_rows(n_rows, options)


@given(n_rows=st.integers(10, 40), share=SHARES, sampled=st.booleans(), left=st.integers(0, 9))
def test_rows_that_validate_do_not_count_until_they_leave(n_rows, share, sampled, left):
    options = replace(OPTIONS, patience=2, validation_share=share)
    if sampled:
        options = replace(options, goss_top=0.2, goss_other=0.3)
    fewest, most = counted_rows(n_rows, options)
    drawn = set(numbers_drawn(n_rows, options))
    assert not drawn or fewest <= min(drawn) <= max(drawn) <= most
    assert most == counted_rows(n_rows, replace(options, patience=0))[1]
    fewer, same = counted_rows(n_rows - left, options, n_rows)
    assert fewer <= fewest
    assert same == counted_rows(n_rows - left, options)[1]
    if drawn and not sampled:
        assert fewest == min(drawn)
        assert fewer == max(0, fewest - left)


def test_every_row_counts_where_nothing_leaves_any_out():
    assert counted_rows(70, OPTIONS) == (70, 70)
