"""The messages of vertical scorecard training, and what they tell each role; `scorecard` describes the protocol."""

from __future__ import annotations

from typing import Final

from federation.messages import Array, Message
from federation.roles import Disclosure, Disclosures


class Begin(Message, frozen=True, tag="scorecard.begin/1"):
    """L to F: model: random identifier; public_key, generator: L's, as in `boosting.begin`.

    train_rows: one bit per aligned row; batch: u1 per training row; columns: how many sums per batch L will ask for.
    """

    model: bytes
    public_key: bytes
    train_rows: bytes
    batch: Array
    columns: int
    generator: bytes = b""


class RowMasks(Message, frozen=True, tag="scorecard.row_masks/1"):
    """Last F to L: a mask per training row and pass under F's own key; passes that fit are packed, pack after pack."""

    public_key: bytes
    ciphertexts: bytes
    generator: bytes = b""


class MaskSums(Message, frozen=True, tag="scorecard.mask_sums/1"):
    """L to last F: per batch and column of L the weighted sum of the rows' masks, each plaintext under a mask of L's.

    It is uniform modulo n.
    """

    ciphertexts: bytes


class OpenedMaskSums(Message, frozen=True, tag="scorecard.opened_mask_sums/1"):
    """Last F to L: the same, decrypted."""

    values: bytes


class Coefficients(Message, frozen=True, tag="scorecard.coefficients/1"):
    """L to the first F, each F to the next: a batch's residuals as polynomials, without the leading coefficient.

    ciphertexts: power after power from 0, each for all rows; re-randomised by every F.
    """

    step: int
    ciphertexts: bytes


class Residuals(Message, frozen=True, tag="scorecard.residuals/1"):
    """Last F to each other F: the encrypted residual per row, re-randomised."""

    step: int
    ciphertexts: bytes


class MaskedResiduals(Message, frozen=True, tag="scorecard.masked_residuals/1"):
    """Last F to L: residual plus that row's mask for this pass, packed under a random number, re-randomised."""

    step: int
    ciphertexts: bytes


class MaskedGradient(Message, frozen=True, tag="scorecard.masked_gradient/1"):
    """F to L: the gradient of F's columns, packed, each plaintext under a fresh mask modulo n, re-randomised."""

    step: int
    ciphertexts: bytes


class OpenedGradient(Message, frozen=True, tag="scorecard.opened_gradient/1"):
    """L to F: the same, decrypted."""

    step: int
    values: bytes


class Finish(Message, frozen=True, tag="scorecard.finish/1"):
    """L to F: all steps are taken."""


MESSAGES: Final[tuple[type[Message], ...]] = (
    Begin, RowMasks, MaskSums, OpenedMaskSums, Coefficients, Residuals, MaskedResiduals, MaskedGradient,
    OpenedGradient, Finish,
)  # fmt: skip

DISCLOSES: Final = Disclosures(
    protocol="scorecard",
    label_holder=(
        Disclosure("masked_residuals", ("scorecard.row_masks/1", "scorecard.masked_residuals/1"), per_row=True),
        Disclosure("own_gradient", ("scorecard.opened_mask_sums/1",)),
        Disclosure("masked_gradient", ("scorecard.masked_gradient/1",)),
    ),
    feature_holder=(
        Disclosure("training_rows", ("scorecard.begin/1",), per_row=True),
        Disclosure(
            "encrypted_residuals", ("scorecard.coefficients/1", "scorecard.residuals/1"), per_row=True
        ),
        Disclosure("masked_mask_sums", ("scorecard.mask_sums/1",)),
        Disclosure("own_gradient", ("scorecard.opened_gradient/1",)),
        Disclosure("end", ("scorecard.finish/1",)),
    ),
    coordinator=(Disclosure("sizes", tuple(f"scorecard.{name}/1" for name in (
        "begin", "row_masks", "mask_sums", "opened_mask_sums", "coefficients", "residuals", "masked_residuals",
        "masked_gradient", "opened_gradient", "finish",
    ))),),
)  # fmt: skip
