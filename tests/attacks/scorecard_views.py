"""What the parties see while a scorecard is trained: by the twin, which is fast, and by the protocol itself."""

from __future__ import annotations

import random
from functools import cache
from types import SimpleNamespace

import numpy as np
from attacks.tables import train

from federation import scorecard, wire
from federation.roles import Parties, Rehearsal
from federation.scorecard_layout import Layouts
from federation.scorecard_messages import MaskedGradient, MaskedResiduals
from privacy.paillier_secret import SecretKey

KEY_BITS = 512
REAL_KEY_BITS = 2048
PARTIES = Parties("bank", ("shop",))


@cache
def _keys():
    return {name: SecretKey.generate(KEY_BITS, testing_only=True) for name in PARTIES.all}


def by_the_twin(table, options):
    """The views of one training in the clear, masks of the protocol's size (from a seed, so that a test repeats).

    Per step: rows; masked (what L decrypts of the residuals), own_gradient (L's), masked_gradient (F's, what L finds
    in its slots), partner_gradient (as F reads it). And bank, shop: the watched blocks; weights: of both.
    """
    bank, shop, weights, batch = train(table, options)
    layouts = Layouts.of(options, len(PARTIES.all), len(table.label))
    rows_layout, sums_layout = layouts.residuals(REAL_KEY_BITS), layouts.gradients(REAL_KEY_BITS)

    drawn = random.Random(0)

    def masked_rows(values):
        low, high = 1 << rows_layout.value_bits, 1 << rows_layout.slot_bits
        return [int(value) + drawn.randrange(low, high - low) for value in values]

    def masked_sums(values):
        slot = 1 << sums_layout.slots.slot_bits
        return [(int(value) + drawn.randrange(slot)) % slot for value in values]

    return SimpleNamespace(
        bank=bank, shop=shop, weights=weights, batch=batch,
        rows=bank.seen_rows,
        masked=[masked_rows(values) for values in bank.seen_residuals],
        own_gradient=bank.seen_gradients,
        masked_gradient=[masked_sums(values) for values in shop.seen_gradients],
        partner_gradient=shop.seen_gradients,
    )  # fmt: skip


def by_the_protocol(table, options, batch):
    """The same from a real run under small keys: (view, F's masks of rows, F's gradients without masks), per step.

    masked_gradient: here L's whole plaintexts.
    The masks are F's secrets: only a test of this module may look at them.
    """
    keys, everyone = _keys(), np.arange(len(table.label))
    bank = scorecard.LabelHolder(
        PARTIES, table.codes["bank"], table.woe["bank"], table.label, everyone, batch, options,
        decryptor=keys["bank"], public_key=keys["bank"].public, minimum_key_bits=KEY_BITS,
    )  # fmt: skip
    shop = scorecard.FeatureHolder(
        PARTIES, "shop", table.codes["shop"], table.woe["shop"], options, KEY_BITS,
        own_key=lambda: (keys["shop"], keys["shop"].public),
    )  # fmt: skip
    drawn, real_gradient = [], shop._gradient

    def gradient(values):
        out = real_gradient(values)
        drawn.append(list(shop._masks))
        return out

    shop._gradient = gradient
    rehearsal = Rehearsal({"bank": bank, "shop": shop}, lambda message: wire.decode(wire.encode(message)))
    rehearsal.run()
    layouts, key = Layouts.of(options, len(PARTIES.all), len(table.label)), keys["bank"].public
    rows_layout, sums_layout = layouts.residuals(key.bits), layouts.gradients(key.bits)
    width = table.codes["shop"].shape[1]
    rows = [np.flatnonzero(batch == step % options.batches) for step in range(options.steps)]
    masked, masked_gradient, gradients = [], [], []
    for _, to, message in rehearsal.transcript:
        if to == "bank" and isinstance(message, MaskedResiduals):
            count = len(rows[message.step])
            loaded = key.load(message.ciphertexts, rows_layout.plaintexts(count))
            masked.append(rows_layout.unpack(keys["bank"].decrypt(loaded), count, key.n))
        elif to == "bank" and isinstance(message, MaskedGradient):
            opened = keys["bank"].decrypt(key.load(message.ciphertexts, sums_layout.slots.plaintexts(width)))
            masked_gradient.append(opened)
            gradients.append(sums_layout.unmask(opened, drawn[message.step], width, key.n, "shop"))
    masks = [
        [shop._row_mask[step // options.batches][row] for row in rows[step].tolist()]
        for step in range(options.steps)
    ]
    return SimpleNamespace(rows=rows, masked=masked, masked_gradient=masked_gradient), masks, gradients
