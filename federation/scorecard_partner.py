"""The feature holder's part of scorecard training. The protocol is described in `scorecard`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from gmpy2 import mpz

from federation.binning import Codes
from federation.encrypted_column import EncryptedColumn
from federation.group_by import CodedRows
from federation.messages import Message, Outgoing
from federation.roles import Decryptor, DirectZeros, Parties, Progress, ZeroSource, expect
from federation.scorecard_ciphers import add_modulo, column_sums, evaluate, pack, shift
from federation.scorecard_fit import Block, BlockWeights, ScorecardOptions, WoeTable, batch_rows
from federation.scorecard_layout import Layouts, integers_from_bytes, integers_to_bytes, uniform_masks
from federation.scorecard_messages import (
    Begin,
    Coefficients,
    Finish,
    MaskedGradient,
    MaskedResiduals,
    MaskSums,
    OpenedGradient,
    OpenedMaskSums,
    Residuals,
    RowMasks,
)
from federation.scorecard_polynomial import OFFSET
from federation.scoring import MODEL_ID_BYTES, flags_of
from privacy.errors import MessageInvalid
from privacy.paillier import PublicKey
from privacy.parallel import ALONE, Workers

OwnKey = Callable[[], tuple[Decryptor, PublicKey]]
"""Makes the party's own key when it is needed."""


class FeatureHolder:
    """F's part. Result: `BlockWeights`. `model_id`: what L calls the model."""

    def __init__(
        self,
        parties: Parties,
        name: str,
        codes: Codes,
        woe: WoeTable,
        options: ScorecardOptions,
        minimum_key_bits: int,
        *,
        own_key: OwnKey,
        alpha_keys: bool = False,
        workers: Workers = ALONE,
        zeros: ZeroSource | None = None,
        start: BlockWeights | None = None,
    ) -> None:
        """codes: F's (n_rows, n_fields) of all aligned rows; woe: per field and code; minimum_key_bits: of L's key.

        own_key: asked for by the last partner alone. zeros: what hides how a result was made (default: drawn when it is
        needed). start: weights to go on from.
        """
        self.progress = Progress(total=options.steps, step="scorecard.steps")
        self.result: BlockWeights | None = None
        self.model_id = b""
        self._label_holder, partners = parties.label_holder, parties.feature_holders
        place = partners.index(name)
        self._name, self._others = name, partners[:-1]
        self._is_last = place == len(partners) - 1
        self._before = parties.all[place]
        self._after = None if self._is_last else partners[place + 1]
        self._last = partners[-1]
        self._n_parties = len(parties.all)
        self._codes, self._woe, self._options, self._start = codes, woe, options, start
        self._minimum_key_bits, self._alpha_keys = minimum_key_bits, alpha_keys
        self._own_key, self._workers, self._zeros = own_key, workers, zeros or DirectZeros()
        self._polynomial = options.polynomial
        self._step = -1
        self._has_begun = self._is_open = False
        self._awaits_residuals = False
        self._is_summed = not self._is_last
        self._held: Coefficients | None = None
        self._masks: list[int] = []

    def start(self) -> list[Outgoing]:
        return []

    def weights_now(self) -> BlockWeights:
        """What another role may start from when this one has to stop. Only after training has begun."""
        return self._block.now()

    @property
    def has_begun(self) -> bool:
        return self._has_begun

    def receive(self, sender: str, message: Message) -> list[Outgoing]:
        running = self._has_begun and self.result is None
        from_holder = sender == self._label_holder
        open_here = self._is_open and not self._awaits_residuals
        match message:
            case Begin() if from_holder and not self._has_begun:
                return self._begin(message)
            case MaskSums() if from_holder and running and not self._is_summed:
                return self._open_mask_sums(message)
            case Coefficients() if sender == self._before and self._held is None:
                self._hold(message)
                return self._take_held()
            case Residuals() if (
                sender == self._last and self._awaits_residuals and message.step == self._step
            ):
                values = self._key.load(message.ciphertexts, len(self._rows[self._batch]))
                self._awaits_residuals = False
                return [self._gradient(values)]
            case OpenedGradient() if from_holder and running and open_here and message.step == self._step:
                self._take_step(message)
                return self._take_held()
            case Finish():
                is_done = not self._is_open and self._step == self._options.steps - 1
                expect(from_holder and running and is_done, "scorecard.FeatureHolder", message, sender)
                self.progress.done = self.progress.total
                self.result = self._block.average()
            case _:
                expect(False, "scorecard.FeatureHolder", message, sender)
        return []

    @property
    def _batch(self) -> int:
        return self._step % self._options.batches

    def _begin(self, message: Begin) -> list[Outgoing]:
        sender = self._label_holder
        in_training = flags_of(message.train_rows, len(self._codes), sender)
        rows = np.flatnonzero(in_training)
        batch = message.batch
        fits = batch.dtype == np.uint8 and batch.ndim == 1 and len(message.model) == MODEL_ID_BYTES
        if not fits or not len(batch) or not len(rows) or message.columns < 1:
            raise MessageInvalid("training_begin", sender=sender)
        # L may have dealt fewer batches than the job's, for the sake of their size.
        dealt = min(int(batch.max()) + 1, self._options.batches)
        options = self._options.with_batches(dealt)
        self._key = PublicKey.from_bytes(
            message.public_key, self._minimum_key_bits, message.generator, alpha_keys=self._alpha_keys
        )
        codes = self._codes[rows]
        self._block = Block(self._name, codes, self._woe, options, has_intercept=False, start=self._start)
        columns = max(message.columns, self._block.columns.shape[1])
        self._rows = batch_rows(batch.astype(np.int64), len(rows), columns, options)
        self._block.check(self._rows)
        n_codes = [len(table) for table in self._woe]
        self._coded = [CodedRows(codes[of_batch], n_codes) for of_batch in self._rows]
        self._layouts = Layouts.of(options, self._n_parties, len(rows))
        self._layouts.gradients(self._key.bits)
        self._options, self.progress.total = options, options.steps
        self.model_id, self._columns, self._has_begun = message.model, message.columns, True
        return [Outgoing(sender, self._row_masks(len(rows)))] if self._is_last else self._take_held()

    # The last partner alone: masks of single rows.

    def _row_masks(self, n_rows: int) -> RowMasks:
        self._decryptor, self._own = self._own_key()
        passes, slots = self._options.passes, self._layouts.mask_sums(self._own.bits).slots
        masks = self._layouts.residuals(self._key.bits).draw(n_rows * passes)
        self._row_mask = [masks[number * n_rows : (number + 1) * n_rows] for number in range(passes)]
        packed = [slots.pack([of_pass[row] for of_pass in self._row_mask]) for row in range(n_rows)]
        plaintexts = [of_row[pack] for pack in range(slots.plaintexts(passes)) for of_row in packed]
        return RowMasks(
            public_key=self._own.to_bytes(),
            generator=self._own.generator_bytes(),
            ciphertexts=self._own.dump(self._decryptor.encrypt(plaintexts)),
        )

    def _open_mask_sums(self, message: MaskSums) -> list[Outgoing]:
        """Decrypt as many sums as L has columns in all batches, once."""
        slots = self._layouts.mask_sums(self._own.bits).slots
        count = self._options.batches * self._columns * slots.plaintexts(self._options.passes)
        opened = self._decryptor.decrypt(self._own.load(message.ciphertexts, count))
        self._is_summed = True
        values = integers_to_bytes(opened, self._own.bits)
        return [Outgoing(self._label_holder, OpenedMaskSums(values=values))]

    # Step by step.

    def _hold(self, message: Coefficients) -> None:
        """Keep the next step's polynomials. Another partner's may overtake what L sends here; L's own may not."""
        is_next = self._is_summed and message.step == self._step + 1 < self._options.steps
        is_early = self._is_open or not self._has_begun
        may_wait = self._before != self._label_holder and not self._awaits_residuals
        expect(is_next and (may_wait or not is_early), "scorecard.FeatureHolder", message, self._before)
        self._held = message

    def _take_held(self) -> list[Outgoing]:
        """Work on the polynomials that have come, unless the step before is still open here."""
        message = self._held
        if message is None or self._is_open or not self._has_begun:
            return []
        self._held = None
        rows, degree = self._rows[message.step % self._options.batches], self._polynomial.degree
        loaded = self._key.load(message.ciphertexts, degree * len(rows))
        coefficients = [loaded[power * len(rows) : (power + 1) * len(rows)] for power in range(degree)]
        by = self._block.scores(rows) + OFFSET
        self._step, self._is_open = message.step, True
        self.progress.done = self._step
        if self._after is not None:
            shifted = shift(coefficients, by, self._polynomial, self._key, self._workers)
            sent = self._hidden([c for of_power in shifted for c in of_power])
            self._awaits_residuals = True
            return [Outgoing(self._after, Coefficients(step=self._step, ciphertexts=sent))]
        values = evaluate(coefficients, by, self._polynomial, self._key, self._workers)
        out = [
            Outgoing(name, Residuals(step=self._step, ciphertexts=self._hidden(values)))
            for name in self._others
        ]
        out.append(Outgoing(self._label_holder, self._masked_residuals(values)))
        return [*out, self._gradient(values)]

    def _masked_residuals(self, values: list[mpz]) -> MaskedResiduals:
        layout = self._layouts.residuals(self._key.bits)
        of_pass = self._row_mask[self._step // self._options.batches]
        masks = [of_pass[row] for row in self._rows[self._batch].tolist()]
        packed = pack(values, layout.slot_bits, layout.slots, self._key, self._workers)
        masked = add_modulo(packed, layout.pack(masks, self._key.n), self._key)
        return MaskedResiduals(step=self._step, ciphertexts=self._hidden(masked))

    def _gradient(self, values: list[mpz]) -> Outgoing:
        slots = self._layouts.gradients(self._key.bits).slots
        column = EncryptedColumn.of(values, self._key)
        sums = column_sums(column, self._coded[self._batch], self._block.integer_woe, workers=self._workers)
        packed = pack(sums, slots.slot_bits, slots.slots, self._key)
        self._masks = uniform_masks(len(packed), self._key.n)
        sent = self._hidden(add_modulo(packed, self._masks, self._key))
        return Outgoing(self._label_holder, MaskedGradient(step=self._step, ciphertexts=sent))

    def _take_step(self, message: OpenedGradient) -> None:
        layout, sender, key = self._layouts.gradients(self._key.bits), self._label_holder, self._key
        opened = integers_from_bytes(message.values, len(self._masks), key.bits, sender)
        gradient = layout.unmask(opened, self._masks, self._block.columns.shape[1], key.n, sender)
        self._masks, self._is_open = [], False
        self._block.step(gradient, self._step // self._options.batches == self._options.passes - 1)

    def _hidden(self, ciphertexts: list[mpz]) -> bytes:
        """Re-randomised, as bytes."""
        zeros = self._zeros.zeros(self._key, len(ciphertexts))
        return self._key.dump(self._key.rerandomize(ciphertexts, zeros))
