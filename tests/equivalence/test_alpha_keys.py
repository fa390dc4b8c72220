"""Under an alpha-key the protocols give what they give under an ordinary key, and only where the job names it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gmpy2
import numpy as np
import pytest
from gmpy2 import mpz

from federation import boosting, kmeans, wire
from federation.boosting_messages import Begin, CandidateSums
from federation.kmeans_messages import Key, TotalDistances
from federation.messages import COORDINATOR, Message
from federation.roles import Parties, Rehearsal, Role, View
from federation.trees import BoostingOptions
from privacy.errors import KeyMismatch
from privacy.paillier_secret import SecretKey
from privacy.parameters import TESTING_ONLY

PARTIES = Parties("bank", ("shop",))
KEYS = {alpha: SecretKey.generate(512, alpha=alpha, testing_only=True) for alpha in (False, True)}
RNG = np.random.default_rng(11)
ROWS = 120
VALUES = {name: RNG.normal(size=(ROWS, 2)) for name in PARTIES.all}
VIEWS = {name: View(tuple(f"{name}_{i}" for i in range(2)), values) for name, values in VALUES.items()}
LABEL = (VALUES["bank"][:, 0] + VALUES["shop"][:, 1] > 0).astype(np.int8)


def boosting_roles(*, alpha: bool, allowed: bool) -> Mapping[str, Role]:
    options = BoostingOptions(trees=2, depth=2, bins=6, min_child_rows=10, k_min=5, first_tree_local=False)
    key = KEYS[alpha]
    holder = boosting.LabelHolder(
        PARTIES,
        VIEWS["bank"],
        LABEL,
        np.arange(ROWS),
        options,
        decryptor=key,
        public_key=key.public,
    )
    partner = boosting.FeatureHolder(PARTIES, VIEWS["shop"], options, 512, alpha_keys=allowed)
    return {"bank": holder, "shop": partner}


def kmeans_roles(*, alpha: bool, allowed: bool) -> Mapping[str, Role]:
    options = kmeans.KMeansOptions(n_clusters=3, n_init=1, max_iter=4, seed=3)
    key = KEYS[alpha]
    return {
        "bank": kmeans.LabelHolder(
            PARTIES,
            VIEWS["bank"],
            decryptor=key,
            public_key=key.public,
            options=options,
            profile=TESTING_ONLY,
        ),
        COORDINATOR: kmeans.Coordinator(PARTIES, profile=TESTING_ONLY),
        "shop": kmeans.FeatureHolder(
            PARTIES, VIEWS["shop"], options=options, profile=TESTING_ONLY, alpha_keys=allowed
        ),
    }


def rehearse(roles: Mapping[str, Role]) -> tuple[dict[str, Any], list[Message]]:
    rehearsal = Rehearsal(roles, lambda message: wire.decode(wire.encode(message)))
    results = rehearsal.run()
    return results, [message for _, _, message in rehearsal.transcript]


def is_masked_by_the_generator(key: SecretKey, ciphertext: mpz) -> bool:
    """Whether c^(2 alpha) = 1 modulo p and q."""
    data = key.to_bytes()
    width = (len(data) - 1) // 6
    p, q, alpha_p, alpha_q = (
        mpz.from_bytes(data[1 + place * width : 1 + (place + 1) * width], "big") for place in range(4)
    )
    return all(
        gmpy2.powmod(ciphertext, 2 * alpha, prime) == 1 for prime, alpha in ((p, alpha_p), (q, alpha_q))
    )


@pytest.mark.parametrize("alpha", [False, True])
def test_trees_do_not_depend_on_the_kind_of_key(alpha: bool) -> None:
    results, messages = rehearse(boosting_roles(alpha=alpha, allowed=True))
    plain, _ = rehearse(boosting_roles(alpha=False, allowed=False))
    for ours, theirs in zip(results["bank"].trees, plain["bank"].trees, strict=True):
        assert (ours.left, ours.value, ours.gain) == (theirs.left, theirs.value, theirs.gain)
    generators = [message.generator for message in messages if isinstance(message, Begin)]
    assert generators == [KEYS[alpha].public.generator_bytes()]
    assert bool(generators[0]) is alpha
    # What comes back can be decrypted on the fast path.
    key = KEYS[True].public
    sums = [message.sums for message in messages if isinstance(message, CandidateSums)]
    width = key.ciphertext_bytes
    back = [c for data in sums for c in key.load(data, len(data) // width)] if alpha else []
    assert all(is_masked_by_the_generator(KEYS[True], c) for c in back)
    assert bool(back) is alpha


@pytest.mark.parametrize("alpha", [False, True])
def test_clusters_do_not_depend_on_the_kind_of_key(alpha: bool) -> None:
    results, messages = rehearse(kmeans_roles(alpha=alpha, allowed=True))
    plain, _ = rehearse(kmeans_roles(alpha=False, allowed=False))
    assert results["bank"].assignments.tolist() == plain["bank"].assignments.tolist()
    assert {message.generator for message in messages if isinstance(message, Key)} == {
        KEYS[alpha].public.generator_bytes()
    }
    if alpha:
        key = KEYS[True].public
        totals = [message for message in messages if isinstance(message, TotalDistances)]
        loaded = [
            c for m in totals for c in key.load(m.ciphertexts, len(m.ciphertexts) // key.ciphertext_bytes)
        ]
        assert loaded
        assert all(is_masked_by_the_generator(KEYS[True], c) for c in loaded)


@pytest.mark.parametrize("roles_of", [boosting_roles, kmeans_roles])
def test_a_generator_is_refused_where_the_job_does_not_name_it(roles_of: Any) -> None:
    with pytest.raises(KeyMismatch) as caught:
        rehearse(roles_of(alpha=True, allowed=False))
    assert caught.value.key == "paillier_generator_unasked"
