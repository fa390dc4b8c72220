"""What a party reads in scorecard training that does not follow the protocol: real roles, small keys.

Who. A partner that has something else opened than its masked gradient; a label holder that sends larger coefficients
than residuals have, or asks for single rows' masks. Ours: nobody sees what is encrypted.
"""

from __future__ import annotations

from collections import deque

import gmpy2
import numpy as np
from gmpy2 import mpz
from scorecard_delivery import changed
from scorecard_scene import KEY_BITS, keys

from federation.scorecard_ciphers import evaluate
from federation.scorecard_fit import WOE_BITS
from federation.scorecard_layout import integers_from_bytes, integers_to_bytes
from federation.scorecard_messages import Coefficients, MaskedGradient, MaskedResiduals, OpenedGradient
from federation.scorecard_polynomial import OFFSET
from privacy.errors import MessageInvalid, PackingOverflow
from privacy.paillier import shift_pack

LABEL_BITS = 2
"""Room for a difference of two labels: -1, 0 or 1."""
SCORE_SPACE = 14
"""Room for a score and its offset: 0 to 8,192."""


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
    """Scores of the partner that a label holder looks for in the second step: (found, truth, rows in the batch).

    It makes the residual of one row in each plaintext, the uppermost, the row's score times more than a mask covers.
    """
    roles = scene.roles(options)
    _sent(roles, Coefficients, step=1)
    layout = roles["bank"]._layouts.residuals(KEY_BITS)
    rows = np.flatnonzero(scene.batch(options) == 1)
    uppermost = np.arange(layout.slots - 1, len(rows), layout.slots)
    factors = [0] * len(rows)
    for row in uppermost:
        factors[row] = 1 << layout.slot_bits
    opened, _ = _opened_rows(roles, 1, factors, layout.plaintexts(len(rows)), options)
    found = [(opened[row // layout.slots] >> (layout.slot_bits * layout.slots)) - OFFSET for row in uppermost]
    return np.array(found, dtype=object), roles["shop"]._block.scores(rows)[uppermost], len(rows)


def own_sums(scene, options):
    """Scores that a label holder reads in the sum of a single column of its own: (found, truth, step's error at F).

    It knows that column's sum of masks, as it should. In the second step it makes all residuals but two no larger than
    the public last term has them, and these two the rows' scores, one above the other and both above that.
    """
    roles = scene.roles(options)
    _sent(roles, Coefficients, step=1)
    bank, shop, key = roles["bank"], roles["shop"], keys()["bank"].public
    layout, rows = bank._layouts.residuals(KEY_BITS), np.flatnonzero(scene.batch(options) == 1)
    lowest = layout.value_bits + len(rows).bit_length()
    marked, factors = (0, len(rows) // 2), [0] * len(rows)
    for place, row in enumerate(marked):
        factors[row] = 1 << (lowest + SCORE_SPACE * place)
    plaintexts = layout.plaintexts(len(rows))
    opened, others = _opened_rows(roles, 1, factors, plaintexts, options)
    of_intercept = (sum(layout.unpack(opened, len(rows), key.n)) << WOE_BITS) - bank._removed[1][0][0]
    scores = ((of_intercept >> WOE_BITS) + (1 << (lowest - 1))) >> lowest
    found = [(scores >> (SCORE_SPACE * place)) % (1 << SCORE_SPACE) - OFFSET for place in range(2)]
    truth = shop._block.scores(rows)[list(marked)]
    (gradient,) = [answer for answer in others if isinstance(answer, MaskedGradient)]
    count = len(gradient.ciphertexts) // key.ciphertext_bytes
    values = integers_to_bytes(keys()["bank"].decrypt(key.load(gradient.ciphertexts, count)), key.bits)
    try:
        shop.receive("bank", OpenedGradient(step=1, values=values))
    except (MessageInvalid, PackingOverflow) as error:
        return np.array(found), truth, error.key
    return np.array(found), truth, None


def known_masks(scene, options, start):
    """Scores that a label holder reads through rows whose masks it knows: (found, truth, rows with a known mask).

    In place of sums over its columns it asks for the masks of single rows of the first batch, the lowest of a plaintext
    each. Then it moves the scores of all the plaintext's rows into that slot: coefficients may be any numbers modulo n.
    start: weights, so that scores differ in the first step.
    """
    roles = scene.roles(options, start)
    bank, shop = roles["bank"], roles["shop"]
    (begin,) = bank.start()
    (masks,) = shop.receive("bank", begin.message)
    (asked,) = bank.receive("shop", masks.message)
    own, rows = keys()["shop"].public, np.flatnonzero(scene.batch(options) == 0)
    layout, slots = bank._layouts.residuals(KEY_BITS), bank._layouts.mask_sums(KEY_BITS).slots
    sums = len(asked.message.ciphertexts) // own.ciphertext_bytes
    lowest = np.arange(0, len(rows) - layout.slots, layout.slots)[:sums]
    of_rows = own.load(masks.message.ciphertexts, len(bank._coded))
    single = [of_rows[row] for row in rows[np.resize(lowest, sums)]]
    (answer,) = shop.receive("bank", changed(asked.message, ciphertexts=own.dump(own.rerandomize(single))))
    values = integers_from_bytes(answer.message.values, sums, KEY_BITS, "shop")
    known = [slots.unpack([value], options.passes)[0] for value in values[: len(lowest)]]
    n, factors = int(keys()["bank"].public.n), [0] * len(rows)
    for row in lowest:
        for place in range(layout.slots):
            lower = pow(2, -layout.slot_bits * place, n)
            factors[row + place] = (lower << (layout.value_bits + SCORE_SPACE * place)) % n
    opened, _ = _opened_rows(roles, 0, factors, layout.plaintexts(len(rows)), options)
    found = []
    for row, mask in zip(lowest, known, strict=True):
        digit = opened[row // layout.slots] % n % (1 << layout.slot_bits) - mask
        scores = (digit + (1 << (layout.value_bits - 1))) >> layout.value_bits
        found += [
            (scores >> (SCORE_SPACE * place)) % (1 << SCORE_SPACE) - OFFSET for place in range(layout.slots)
        ]
    read = [row + place for row in lowest for place in range(layout.slots)]
    return np.array(found), shop._block.scores(rows)[read], len(lowest)


def _opened_rows(roles, step, factors, plaintexts, options):
    """What L decrypts when a row's polynomial is its factor times the partner's score, plus the public last term.

    And F's messages of this step.
    """
    secret = keys()["bank"]
    n = int(secret.public.n)
    linear = [factor - n if factor > n // 2 else factor for factor in factors]
    coefficients = [0] * len(linear) + linear + [0] * (len(linear) * (options.degree - 2))
    chosen = Coefficients(step=step, ciphertexts=secret.public.dump(secret.encrypt(coefficients)))
    answers = [out.message for out in roles["shop"].receive("bank", chosen)]
    masked = next(answer for answer in answers if isinstance(answer, MaskedResiduals))
    return secret.decrypt(secret.public.load(masked.ciphertexts, plaintexts)), answers


def _sent(roles, kind, step):
    """Deliver until a message of `kind` of this step is about to arrive."""
    queue = deque((name, out) for name, role in roles.items() for out in role.start())
    while queue:
        sender, out = queue.popleft()
        if isinstance(out.message, kind) and out.message.step == step:
            return out.message
        queue.extend((out.to, reply) for reply in roles[out.to].receive(sender, out.message))
    raise AssertionError(f"no {kind.__name__} of step {step} was sent")
