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

    Per step: rows; masked (what L decrypts of the residuals), own_gradient (L's), masked_gradient (F's, as L decrypts
    it), partner_gradient (as F reads it). And bank, shop: the watched blocks; weights: of both.
    """
    bank, shop, weights, batch = train(table, options)
    layouts = Layouts.of(options, len(PARTIES.all), len(table.label))
    rows_layout, sums_layout = layouts.residuals(REAL_KEY_BITS), layouts.gradients(REAL_KEY_BITS)

    drawn = random.Random(0)

    def masked(values, layout):
        return [int(value) + drawn.getrandbits(layout.mask_bits) for value in values]

    return SimpleNamespace(
        bank=bank, shop=shop, weights=weights, batch=batch,
        rows=bank.seen_rows,
        masked=[masked(values, rows_layout) for values in bank.seen_residuals],
        own_gradient=bank.seen_gradients,
        masked_gradient=[masked(values, sums_layout) for values in shop.seen_gradients],
        partner_gradient=shop.seen_gradients,
    )  # fmt: skip


def by_the_protocol(table, options, batch):
    """The same from a real run under small keys: (view, F's masks of rows, F's masks of its gradients), per step.

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
    layouts = Layouts.of(options, len(PARTIES.all), len(table.label))
    rows = [np.flatnonzero(batch == step % options.batches) for step in range(options.steps)]
    masked, masked_gradient = [], []
    for _, to, message in rehearsal.transcript:
        if to == "bank" and isinstance(message, MaskedResiduals | MaskedGradient):
            is_rows = isinstance(message, MaskedResiduals)
            layout = (layouts.residuals if is_rows else layouts.gradients)(keys["bank"].public.bits).slots
            count = len(rows[message.step]) if is_rows else table.codes["shop"].shape[1]
            loaded = keys["bank"].public.load(message.ciphertexts, layout.plaintexts(count))
            (masked if is_rows else masked_gradient).append(
                layout.unpack(keys["bank"].decrypt(loaded), count)
            )
    masks = [
        [shop._row_mask[step // options.batches][row] for row in rows[step].tolist()]
        for step in range(options.steps)
    ]
    return SimpleNamespace(rows=rows, masked=masked, masked_gradient=masked_gradient), masks, drawn
