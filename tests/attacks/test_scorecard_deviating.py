"""Parties that deviate in scorecard training: outside the semi-honest model, not prevented, disclosed with numbers."""

import numpy as np
import pytest
from attacks.scorecard_deviating import labels_per_plaintext, opened_labels, oversized_coefficients
from attacks.tables import show
from scorecard_scene import Scene

from federation.scorecard_fit import ScorecardOptions
from federation.scorecard_layout import Layouts

OPTIONS = ScorecardOptions(degree=3, passes=1, batches=2)


def test_a_partner_that_deviates_reads_the_labels_of_a_whole_batch():
    found, truth, opened = opened_labels(Scene(seed=9, n_rows=400), OPTIONS)
    show("labels opened", right=np.mean(found == truth), rows=len(truth), plaintexts=opened)
    assert opened == 1
    assert (found == truth).all()
    assert len(set(truth.tolist())) == 2


def test_a_label_holder_that_deviates_reads_a_row_in_each_plaintext():
    found, truth, rows = oversized_coefficients(Scene(seed=9, n_rows=400), OPTIONS)
    show("oversized coefficients", right=np.mean(found == truth), read=len(found), rows=rows)
    assert (found == truth).all()
    assert len(set(truth.tolist())) > 5


@pytest.mark.parametrize("rows", [1_000, 21_000])
def test_the_numbers_of_the_documentation(rows):
    """Two parties at 2048 bit, ten columns of a partner, 16 of the label holder, three passes over five batches."""
    options = ScorecardOptions()
    layouts, bits = Layouts.of(options, 2, rows), 2048
    assert labels_per_plaintext(bits) == 1_023
    assert layouts.gradients(bits).slots.plaintexts(10) == 1
    assert bits // layouts.residual_bits == 26
    assert layouts.residuals(bits).slots.slots == 14
    assert layouts.mask_sums(bits).slots.plaintexts(options.passes) == 1
