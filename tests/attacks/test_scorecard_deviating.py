"""Parties that deviate in scorecard training: outside the semi-honest model, not prevented, disclosed with numbers."""

import numpy as np
import pytest
from attacks.scorecard_deviating import (
    SCORE_SPACE,
    known_masks,
    labels_per_plaintext,
    opened_labels,
    oversized_coefficients,
    own_sums,
)
from attacks.tables import show
from scorecard_scene import Scene

from federation import scorecard_layout
from federation.scorecard_fit import BlockWeights, ScorecardOptions
from federation.scorecard_layout import Layouts

OPTIONS = ScorecardOptions(degree=3, passes=1, batches=2)


def test_a_partner_that_deviates_reads_the_labels_of_a_whole_batch():
    found, truth, opened = opened_labels(Scene(seed=9, n_rows=400), OPTIONS)
    show("labels opened", right=np.mean(found == truth), rows=len(truth), plaintexts=opened)
    assert opened == 1
    assert (found == truth).all()
    assert len(set(truth.tolist())) == 2


def test_before_a_label_holder_that_deviates_read_a_row_in_each_plaintext(monkeypatch):
    """With nothing above the rows, as it was."""
    monkeypatch.setattr(scorecard_layout, "_above", lambda n, bits: 0)
    found, truth, rows = oversized_coefficients(Scene(seed=9, n_rows=400), OPTIONS)
    show("oversized coefficients, before", right=np.mean(found == truth), read=len(found), rows=rows)
    assert (found == truth).all()
    assert len(set(truth.tolist())) > 5


def test_a_label_holder_with_oversized_coefficients_reads_random_numbers():
    found, truth, rows = oversized_coefficients(Scene(seed=9, n_rows=400), OPTIONS)
    correlation = abs(np.corrcoef(found.astype(float), truth.astype(float))[0, 1])
    show("oversized coefficients", right=np.mean(found == truth), correlation=correlation, rows=rows)
    assert not (found == truth).any()
    assert correlation < 5 / np.sqrt(len(truth))
    # Nor are they near: the numbers above the rows have 64 bits and more.
    assert min(abs(found - truth)) > 1 << 32


def test_a_label_holder_with_oversized_coefficients_reads_rows_in_its_own_sums_and_stops_the_training():
    """The sums of masks that it knows open sums of its columns, of whatever it has had evaluated."""
    found, truth, error = own_sums(Scene(seed=9, n_rows=400), OPTIONS)
    show("own sums", right=np.mean(found == truth), read=len(found), columns=1)
    assert (found == truth).all()
    assert truth[0] != truth[1]
    assert error in {"scorecard_values_range", "slot_overflow"}


def test_a_label_holder_that_asks_for_single_rows_masks_reads_the_rows_around_them():
    scene = Scene(seed=9, n_rows=400)
    found, truth, known = known_masks(scene, OPTIONS, {"shop": BlockWeights(0.0, (0.8, -1.1))})
    show("known masks", right=np.mean(found == truth), read=len(found), known=known)
    assert (found == truth).all()
    assert len(found) > 2 * known
    assert len(set(truth.tolist())) > 5


@pytest.mark.parametrize("rows", [1_000, 21_000])
def test_the_numbers_of_the_documentation(rows):
    """Two parties at 2048 bit, ten columns of a partner, 16 of the label holder, three passes over five batches."""
    options = ScorecardOptions()
    layouts, bits = Layouts.of(options, 2, rows), 2048
    assert labels_per_plaintext(bits) == 1_023
    assert layouts.gradients(bits).slots.plaintexts(17) == 1
    assert bits // layouts.residual_bits == 26
    held, sums = layouts.residuals(bits), layouts.mask_sums(bits).slots
    assert held.slots == 13
    assert sums.slots // options.passes == 3
    assert (held.slot_bits - held.value_bits) // SCORE_SPACE == 4
    batch = rows // options.batches
    assert (held.slot_bits - held.value_bits - batch.bit_length() - 1) // SCORE_SPACE == 3
