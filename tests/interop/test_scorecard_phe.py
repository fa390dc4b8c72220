"""`phe` reads what a scorecard's label holder writes, and can do all that the label holder does with its secret key."""

import numpy as np
import phe
import pytest
from gmpy2 import mpz
from scorecard_delivery import run_until
from scorecard_scene import KEY_BITS, Scene, over_the_wire

from federation.roles import Rehearsal
from federation.scorecard_ciphers import evaluate, shift
from federation.scorecard_fit import ScorecardOptions, batch_rows, prevalence_log_odds
from federation.scorecard_layout import Layouts
from federation.scorecard_messages import Coefficients, MaskedResiduals, Residuals
from federation.scorecard_polynomial import OFFSET, LogisticPolynomial
from privacy.paillier import PublicKey
from privacy.paillier_secret import SecretKey

OPTIONS = ScorecardOptions(degree=3, passes=1, batches=2)
BATCH = 41


class Phe:
    """A `Decryptor` that is phe and nothing else."""

    def __init__(self):
        self.their_public, self.private = phe.generate_paillier_keypair(n_length=KEY_BITS)
        self.public = PublicKey.from_phe(self.their_public)

    def encrypt(self, plaintexts):
        n = self.their_public.n
        return [mpz(self.their_public.raw_encrypt(int(m) % n)) for m in plaintexts]

    def decrypt(self, ciphertexts):
        n = self.their_public.n
        raw = [self.private.raw_decrypt(int(c)) for c in ciphertexts]
        return [m - n if m > n // 2 else m for m in raw]


@pytest.fixture(scope="module")
def theirs():
    return Phe()


@pytest.fixture(scope="module")
def scene():
    return Scene(seed=2, partners=2, n_rows=110)


def roles_with(scene, decryptor, public, last=None):
    changes = {} if last is None else {"own_key": lambda: (last, last.public)}
    return {
        "bank": scene.label_holder(OPTIONS, decryptor=decryptor, public_key=public),
        "shop": scene.feature_holder("shop", OPTIONS),
        "carrier": scene.feature_holder("carrier", OPTIONS, **changes),
    }


def expected_start(scene):
    """Labels and scores at L of the first batch's rows, when weights are zero."""
    labels = scene.label[scene.train].astype(np.int64)
    rows = batch_rows(scene.batch(OPTIONS), len(labels), 1, OPTIONS)[0]
    score = round(prevalence_log_odds(labels) * 256)
    return labels[rows], np.full(len(rows), score)


def test_phe_decrypts_the_coefficients_and_the_residuals_that_we_made(theirs, scene):
    ours = SecretKey.from_phe(theirs.private)
    labels, scores = expected_start(scene)
    residuals = OPTIONS.polynomial.residuals(scores, labels).tolist()
    for recipient, partners_to_come in (("shop", 2), ("carrier", 1)):
        _, _, message = run_until(roles_with(scene, ours, ours.public), Coefficients, recipient)
        read = theirs.decrypt(theirs.public.load(message.ciphertexts, OPTIONS.degree * BATCH))
        wanted = OPTIONS.polynomial.coefficients_at(scores - partners_to_come * OFFSET, labels)
        assert read == [value for of_power in wanted for value in of_power]
    _, _, message = run_until(roles_with(scene, ours, ours.public), Residuals)
    assert theirs.decrypt(theirs.public.load(message.ciphertexts, BATCH)) == residuals
    roles = roles_with(scene, ours, ours.public)
    _, _, message = run_until(roles, MaskedResiduals)
    layout = Layouts.of(OPTIONS, 3, len(scene.train)).residuals(KEY_BITS)
    packed = theirs.decrypt(theirs.public.load(message.ciphertexts, layout.plaintexts(BATCH)))
    assert packed == ours.decrypt(ours.public.load(message.ciphertexts, layout.plaintexts(BATCH)))
    assert len(layout.unpack(packed, BATCH, ours.public.n)) == BATCH


@pytest.mark.parametrize("degree", [3, 5])
def test_polynomials_that_phe_encrypted_are_shifted_and_evaluated_exactly(theirs, degree):
    polynomial, key = LogisticPolynomial.fit(degree, 5.0), theirs.public
    labels = np.array([0, 1, 1, 0])
    own, one, other = (
        np.array([-700, 900, 0, 4096]),
        np.array([0, 8192, 4000, 17]),
        np.array([8192, 0, 1, 5000]),
    )
    plain = polynomial.coefficients_at(own - 2 * OFFSET, labels)
    encrypted = [theirs.encrypt(of_power) for of_power in plain]
    shifted = shift(encrypted, one, polynomial, key)
    assert [theirs.decrypt(of_power) for of_power in shifted] == [
        of_power.tolist() for of_power in polynomial.shifted(plain, one)
    ]
    values = evaluate(shifted, other, polynomial, key)
    total = own + one + other - 2 * OFFSET
    assert theirs.decrypt(values) == polynomial.residuals(total, labels).tolist()


def test_training_with_phe_at_both_key_holders_gives_the_plaintext_weights(theirs, scene):
    roles = roles_with(scene, theirs, theirs.public, last=Phe())
    results = Rehearsal(roles, over_the_wire).run()
    for name, expected in zip(scene.parties.all, scene.train_in_the_clear(OPTIONS), strict=True):
        assert results[name].weights == pytest.approx(expected.weights, abs=1e-9)
