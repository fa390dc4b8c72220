"""What a party reads in scorecard training that does not follow the protocol: real roles, small keys.

Who. A partner that has something else opened than its masked gradient; a label holder that sends larger coefficients
than residuals have. Ours: masks hide numbers of the size that the protocol promises, and nobody sees what is encrypted.
"""

from __future__ import annotations

from collections import deque

import gmpy2
import numpy as np
from gmpy2 import mpz
from scorecard_delivery import changed
from scorecard_scene import KEY_BITS, keys

from federation.scorecard_ciphers import evaluate
from federation.scorecard_layout import integers_from_bytes
from federation.scorecard_messages import Coefficients, MaskedGradient, MaskedResiduals
from federation.scorecard_polynomial import OFFSET
from privacy.paillier import shift_pack

LABEL_BITS = 2
"""Room for a difference of two labels: -1, 0 or 1."""


def labels_per_plaintext(key_bits):
    """How many labels one opened plaintext holds."""
    return (key_bits - 2) // LABEL_BITS


def opened_labels(scene, options):
    """The first batch's labels as a partner finds them, up to its first row's: (found, truth, plaintexts opened).

    At the first step all scores are the same, so that residuals differ by labels alone, in units of the scale.
    """
    roles = scene.roles(options)
    message = _sent(roles, Coefficients, step=0)
    bank, key, polynomial = roles["bank"], keys()["bank"].public, options.polynomial
    rows = np.flatnonzero(scene.batch(options) == 0)
    loaded = key.load(message.ciphertexts, polynomial.degree * len(rows))
    by_power = [loaded[start : start + len(rows)] for start in range(0, len(loaded), len(rows))]
    residuals = evaluate(by_power, np.full(len(rows), OFFSET), polynomial, key)
    differences = key.subtract([residuals[0]] * len(rows), residuals)
    unit = gmpy2.invert(mpz(1) << polynomial.scale_bits, key.n)
    labels = [gmpy2.powmod(c, unit, key.n_squared) for c in differences]
    packed = shift_pack(labels, LABEL_BITS, labels_per_plaintext(key.bits), key)
    asked = MaskedGradient(step=0, ciphertexts=key.dump(key.rerandomize(packed)))
    opened = bank.receive("shop", asked)[0].message
    values = integers_from_bytes(opened.values, len(packed), KEY_BITS, "bank")
    found = []
    for value in values:
        for _ in range(labels_per_plaintext(key.bits)):
            digit = (value + 1) % (1 << LABEL_BITS) - 1
            found.append(digit)
            value = (value - digit) >> LABEL_BITS  # noqa: PLW2901
    truth = scene.label[scene.train][rows].astype(np.int64)
    return np.array(found[: len(rows)]), truth - truth[0], len(packed)


def oversized_coefficients(scene, options):
    """Scores of the partner that a label holder reads in the second step: (found, truth, rows in the batch).

    It makes the residual of one row in each plaintext, the uppermost, the row's score times more than a mask covers.
    """
    roles = scene.roles(options)
    message = _sent(roles, Coefficients, step=1)
    bank, secret = roles["bank"], keys()["bank"]
    layout = bank._layouts.residuals(KEY_BITS)
    slots, slot_bits, unit = layout.slots.slots, layout.slots.slot_bits, 1 << layout.slots.value_bits
    rows = np.flatnonzero(scene.batch(options) == 1)
    uppermost = np.arange(slots - 1, len(rows), slots)
    linear = np.zeros(len(rows), dtype=object)
    linear[uppermost] = unit
    plaintexts = [0] * len(rows) + linear.tolist() + [0] * (len(rows) * (options.degree - 2))
    chosen = changed(message, ciphertexts=secret.public.dump(secret.encrypt(plaintexts)))
    answers = [out.message for out in roles["shop"].receive("bank", chosen)]
    masked = next(answer for answer in answers if isinstance(answer, MaskedResiduals))
    count = layout.slots.plaintexts(len(rows))
    opened = secret.decrypt(secret.public.load(masked.ciphertexts, count))
    found = [(opened[row // slots] >> (slot_bits * (slots - 1))) // unit - OFFSET for row in uppermost]
    return np.array(found), roles["shop"]._block.scores(rows)[uppermost], len(rows)


def _sent(roles, kind, step):
    """Deliver until a message of `kind` of this step is about to arrive."""
    queue = deque((name, out) for name, role in roles.items() for out in role.start())
    while queue:
        sender, out = queue.popleft()
        if isinstance(out.message, kind) and out.message.step == step:
            return out.message
        queue.extend((out.to, reply) for reply in roles[out.to].receive(sender, out.message))
    raise AssertionError(f"no {kind.__name__} of step {step} was sent")
