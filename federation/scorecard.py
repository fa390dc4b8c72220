"""A scorecard's logistic regression over columns of several parties, labels at one, no score of a row at anybody.

Parties. Label holder L (labels, columns, a Paillier key), feature holders F1..Fm in the job's order (columns of
    the same rows); the last one has a Paillier key of its own. The coordinator relays.
Rounds. Once: L deals the training rows into batches; the last F draws a mask per row and pass and sends them
    encrypted under its own key; L forms, per batch and own column, the weighted sums of the masks, hides them under
    masks of its own, uniform modulo n, lets F decrypt them, and so knows what to take off later.
    Per step (a pass over one batch): L sends, per row, the residual d = p(u_L + u_F1 + ...) - y as a polynomial in the
    partners' scores, its coefficients encrypted under L's key. F1 shifts it by its own score, re-randomises, hands it
    to F2; the last evaluates it: Enc(d). It sends Enc(d) to the other F's, and Enc(d + mask), packed, with a random
    number above the rows of each plaintext, to L. Every F forms the encrypted gradient of its own columns by its bins
    (`group_by`), packs it, adds a mask uniform modulo n to each plaintext, lets L decrypt, takes the masks off. L
    decrypts d + mask row by row, forms its gradient, takes the sums of the masks off. All take their step
    (`scorecard_fit.Block`).
What each party learns. L: the gradient of its own columns per step (so many sums over a batch, none of which comes
    near a single row: `Block.check`), and numbers that are uniform to it. F: the gradient of its own columns per step
    (likewise); which rows train and in which batch. Nobody: a score, a weight or a residual of another party's row.
    Coordinator: sizes.
    Not prevented: L and F are taken to follow the protocol. An F that has other ciphertexts opened than its gradient
    learns labels: at the first step, where residuals differ by nothing else, a thousand with each plaintext (2048 bits;
    as many plaintexts as its columns' sums take), later two dozen residuals. An L whose coefficients are larger than
    residuals have them sees nothing over the masks (within 2^-59 of uniform modulo n at 2048 bits), but can take the
    sums of masks off what its own columns then add up: some three rows' scores per column. An L that asks for single
    rows' masks (three per column and batch) learns these rows' residuals, and through each of them some four scores.
    After a step with larger coefficients F's gradient is out of range, and it stops. Measured in `tests/attacks`. L and
    any one F together learn every residual (each F sees it encrypted, the last knows the masks), hence the sum of the
    other partners' scores, and with a later F also the scores of the F's before it.
Source. Approximate residuals under additive encryption: Hardy et al., arXiv 1711.10677, section 4, and Kim et al. 2018
    (`scorecard_polynomial`); masked opening of sums: Yang et al., "A quasi-Newton method based vertical federated
    learning framework for logistic regression", arXiv 1912.00513. Masks whose sums are worked out beforehand: Beaver,
    "Efficient multiparty protocols using circuit randomization", CRYPTO 1991.
Deviations. In Hardy et al. and its descendants L, or a third party, sees a partner's score of every row: with binned
    features a score names the row's bins (`tests/attacks`). Here a score exists only under encryption.
Equals. `scorecard_fit.fit_scorecard` on the pooled columns: the same integers in every step, the same weights.
Cost. Per row and step `degree` encryptions at L, degree - 1 short powers, one addition and the share of a packed
    ciphertext at the last F, one share of a decryption at L. Per row once an encryption at the last F. With m partners,
    m - 1 Taylor shifts and re-randomisations of `degree` ciphertexts more, and m - 1 of Enc(d).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

import numpy as np
from gmpy2 import mpz

from federation.binning import Codes, Integers
from federation.encrypted_column import EncryptedColumn
from federation.group_by import CodedRows
from federation.messages import Message, Outgoing
from federation.roles import Decryptor, Parties, Progress, expect
from federation.scorecard_ciphers import add_modulo, column_sums
from federation.scorecard_fit import (
    Block,
    BlockWeights,
    ScorecardOptions,
    WoeTable,
    batch_rows,
    max_columns,
    prevalence_log_odds,
)
from federation.scorecard_layout import Layouts, integers_from_bytes, integers_to_bytes, uniform_masks
from federation.scorecard_messages import (
    DISCLOSES,
    MESSAGES,
    Begin,
    Coefficients,
    Finish,
    MaskedGradient,
    MaskedResiduals,
    MaskSums,
    OpenedGradient,
    OpenedMaskSums,
    RowMasks,
)
from federation.scorecard_partner import FeatureHolder
from federation.scorecard_polynomial import OFFSET, BigIntegers
from federation.scoring import MODEL_ID_BYTES, bits_of, increasing_below
from privacy.errors import ConfigInvalid, MessageInvalid
from privacy.paillier import PublicKey
from privacy.parallel import ALONE, Workers

__all__ = ["DISCLOSES", "MESSAGES", "FeatureHolder", "LabelHolder", "ScorecardOptions"]


class LabelHolder:
    """L's part. Result: `BlockWeights`, with the intercept. `model_id`: random, the same at all parties."""

    def __init__(
        self,
        parties: Parties,
        codes: Codes,
        woe: WoeTable,
        label: np.ndarray[Any, Any],
        train_rows: Integers,
        batch: Integers,
        options: ScorecardOptions,
        *,
        decryptor: Decryptor,
        public_key: PublicKey,
        minimum_key_bits: int,
        alpha_keys: bool = False,
        workers: Workers = ALONE,
        start: BlockWeights | None = None,
        partner_columns: Mapping[str, int] | None = None,
    ) -> None:
        """codes: L's (n_rows, n_fields) of all aligned rows; woe: per field and code; label: 0 or 1 per aligned row.

        train_rows: increasing; batch: of every training row (`scorecard_fit.deal_batches`). minimum_key_bits,
        alpha_keys: for the last partner's key, as in `PublicKey.from_bytes`. start: weights to go on from.
        partner_columns: how many columns each partner has, so that no more of its sums are opened (default: as many as
        a batch has rows for).

        Raises `ConfigInvalid` when these do not fit each other, a label is not 0 or 1, or a batch has too few rows or
        one that L's own sums would single out (`Block.check`); `PackingOverflow` when the key is too small.
        """
        rows = np.asarray(train_rows, dtype=np.int64)
        if len(label) != len(codes) or not len(rows) or not increasing_below(rows, len(codes)):
            raise ConfigInvalid("training_rows")
        if not codes.shape[1]:
            raise ConfigInvalid("scorecard_no_fields", party=parties.label_holder)
        self.model_id = secrets.token_bytes(MODEL_ID_BYTES)
        self.progress = Progress(total=options.steps, step="scorecard.steps")
        self.result: BlockWeights | None = None
        self._parties, self._options = parties, options
        self._decryptor, self._key, self._workers = decryptor, public_key, workers
        self._minimum_key_bits, self._alpha_keys = minimum_key_bits, alpha_keys
        self._partner_columns = partner_columns or {}
        self._polynomial = options.polynomial
        self._in_training = np.zeros(len(codes), dtype=np.bool_)
        self._in_training[rows] = True
        log_odds = prevalence_log_odds(np.asarray(label)[rows])
        self._labels = np.asarray(label)[rows].astype(np.int64)
        self._block = Block(parties.label_holder, codes[rows], woe, options, has_intercept=True, start=start)
        if start is None:
            self._block.set_intercept(log_odds)
        self._width = self._block.columns.shape[1]
        self._coded = CodedRows(codes[rows], [len(table) for table in woe])
        self._batch = np.asarray(batch, dtype=np.int64)
        self._rows = batch_rows(self._batch, len(rows), self._width, options)
        self._block.check(self._rows)
        self._layouts = Layouts.of(options, len(parties.all), len(rows))
        for needed in (self._layouts.residuals, self._layouts.gradients):
            needed(public_key.bits)
        self._step = -1
        self._removed: list[list[list[int]]] = []
        self._own_masks: list[int] = []
        self._gradient: list[int] | None = None
        self._silent: set[str] = set()

    def weights_now(self) -> BlockWeights:
        """What another role may start from when this one has to stop."""
        return self._block.now()

    def start(self) -> list[Outgoing]:
        begin = Begin(
            model=self.model_id,
            public_key=self._key.to_bytes(),
            generator=self._key.generator_bytes(),
            train_rows=bits_of(self._in_training),
            batch=self._batch.astype(np.uint8),
            columns=self._width,
        )
        return [Outgoing(name, begin) for name in self._parties.feature_holders]

    def receive(self, sender: str, message: Message) -> list[Outgoing]:
        last, running = self._parties.feature_holders[-1], self.result is None
        step = self._step
        match message:
            case RowMasks() if running and sender == last and step == -1 and not self._own_masks:
                return [Outgoing(sender, self._sum_masks(sender, message))]
            case OpenedMaskSums() if running and sender == last and step == -1 and self._own_masks:
                self._read_mask_sums(sender, message)
                return self._next_step()
            case MaskedResiduals() if running and sender == last and message.step == step >= 0:
                expect(self._gradient is None, "scorecard.LabelHolder", message, sender)
                self._gradient = self._own_gradient(sender, message)
                return self._go_on()
            case MaskedGradient() if running and sender in self._silent and message.step == step:
                opened = OpenedGradient(step=step, values=self._open(sender, message))
                self._silent.discard(sender)
                return [Outgoing(sender, opened), *self._go_on()]
            case _:
                expect(False, "scorecard.LabelHolder", message, sender)
                return []

    # Once: what the last partner's masks sum to over L's columns.

    def _sum_masks(self, sender: str, message: RowMasks) -> MaskSums:
        key = PublicKey.from_bytes(
            message.public_key, self._minimum_key_bits, message.generator, alpha_keys=self._alpha_keys
        )
        if key == self._key:
            raise MessageInvalid("scorecard_key_reused", sender=sender)
        self._partner_key, self._opening = key, self._layouts.mask_sums(key.bits)
        slots, n_rows = self._opening.slots, len(self._coded)
        packs, size = slots.plaintexts(self._options.passes), n_rows * key.ciphertext_bytes
        received = len(message.ciphertexts)
        if received != packs * size:
            raise MessageInvalid(
                "scorecard_values_length", sender=sender, expected=packs * size, received=received
            )
        by_pack = [
            self._column_sums(message.ciphertexts[pack * size : (pack + 1) * size]) for pack in range(packs)
        ]
        sums = [of_pack[place] for place in range(len(self._rows) * self._width) for of_pack in by_pack]
        self._own_masks = uniform_masks(len(sums), key.n)
        return MaskSums(ciphertexts=key.dump(key.rerandomize(add_modulo(sums, self._own_masks, key))))

    def _column_sums(self, ciphertexts: bytes) -> list[mpz]:
        """Of one ciphertext per row, the sums over every batch and column, batch after batch."""
        column = EncryptedColumn.load(ciphertexts, len(self._coded), self._partner_key, self._workers)
        woe, workers = self._block.integer_woe, self._workers
        return [
            total
            for rows in self._rows
            for total in column_sums(column, self._coded, woe, rows, has_intercept=True, workers=workers)
        ]

    def _read_mask_sums(self, sender: str, message: OpenedMaskSums) -> None:
        """Keep, per batch and pass, what to take off the gradient of each column."""
        passes, width, key, masks = self._options.passes, self._width, self._partner_key, self._own_masks
        packs = self._opening.slots.plaintexts(passes)
        opened = integers_from_bytes(message.values, len(masks), key.bits, sender)
        by_place = [
            self._opening.unmask(opened[at : at + packs], masks[at : at + packs], passes, key.n, sender)
            for at in range(0, len(masks), packs)
        ]
        self._removed = [
            [[by_place[batch * width + place][number] for place in range(width)] for number in range(passes)]
            for batch in range(len(self._rows))
        ]
        self._own_masks = []

    # Step by step.

    @property
    def _place(self) -> tuple[int, int]:
        """(pass, batch) of the step."""
        return divmod(self._step, self._options.batches)

    def _next_step(self) -> list[Outgoing]:
        self._step += 1
        self.progress.done = self._step
        if self._step == self._options.steps:
            self.result = self._block.average()
            return [Outgoing(name, Finish()) for name in self._parties.feature_holders]
        rows = self._rows[self._place[1]]
        partners = self._parties.feature_holders
        scores = self._block.scores(rows) - len(partners) * OFFSET
        coefficients = self._polynomial.coefficients_at(scores, self._labels[rows])
        plaintexts = [int(value) for of_power in coefficients for value in of_power]
        self._silent, self._gradient = set(partners), None
        sent = self._key.dump(self._decryptor.encrypt(plaintexts))
        return [Outgoing(partners[0], Coefficients(step=self._step, ciphertexts=sent))]

    def _own_gradient(self, sender: str, message: MaskedResiduals) -> list[int]:
        number, batch = self._place
        rows, layout = self._rows[batch], self._layouts.residuals(self._key.bits)
        ciphertexts = self._key.load(message.ciphertexts, layout.plaintexts(len(rows)))
        masked = layout.unpack(self._decryptor.decrypt(ciphertexts), len(rows), self._key.n)
        residuals: BigIntegers = np.array(masked, dtype=object)
        gradient = [
            value - taken
            for value, taken in zip(
                self._block.gradient(rows, residuals), self._removed[batch][number], strict=True
            )
        ]
        if any(abs(value) >> self._layouts.gradient_bits for value in gradient):
            raise MessageInvalid("scorecard_values_range", sender=sender)
        return gradient

    def _open(self, sender: str, message: MaskedGradient) -> bytes:
        """A partner's gradient under its masks: as many numbers as it has columns, no more; none without any."""
        width, count = self._key.ciphertext_bytes, -(-len(message.ciphertexts) // self._key.ciphertext_bytes)
        most = max_columns(len(self._rows[self._place[1]]), self._options)
        most = min(most, self._partner_columns.get(sender, most))
        slots = self._layouts.gradients(self._key.bits).slots
        if count > slots.plaintexts(most) or len(message.ciphertexts) != count * width:
            raise MessageInvalid("scorecard_gradient_size", sender=sender, most=most)
        opened = self._decryptor.decrypt(self._key.load(message.ciphertexts, count))
        return integers_to_bytes(opened, self._key.bits)

    def _go_on(self) -> list[Outgoing]:
        """The next step, once every partner has its gradient and L its own."""
        if self._silent or self._gradient is None:
            return []
        self._block.step(self._gradient, self._place[0] == self._options.passes - 1)
        return self._next_step()
