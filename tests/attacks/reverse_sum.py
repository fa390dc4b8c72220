"""Reverse sum: which rows are in a partner's sums, read from what the label holder put into the ciphertexts.

Who. A label holder. Source: Weng et al., arXiv 2011.09290: numbers of its choice ("magic numbers") in the
high digits of the gradients name the rows in a sum. That is a label holder that *deviates*. Besides: one that sends
true gradients, but chooses the randomness of its ciphertexts, which nobody could notice; and one that follows the
protocol and looks up differences of sums among its gradients.
"""

from __future__ import annotations

from collections import Counter

import gmpy2
import numpy as np
from gmpy2 import mpz

from federation.binning import fit_bins
from federation.boosting import FeatureHolder
from federation.boosting_messages import Begin, Gradients, Level
from federation.pair_layout import PairLayout
from federation.roles import Parties, View
from federation.scoring import bits_of
from federation.trees import offer_of


def rows_per_tree(key_bits, options, n_rows):
    """How many rows' marks fit into a sum that our partner sends, and into one of a ciphertext of its own."""
    return PairLayout.for_gradients(key_bits, options.scale_bits, n_rows).slots.value_bits, key_bits - 2


def ask_our_partner(secret, codes, options, marked):
    """One tree of our protocol with marks 2^i for gradients: (memberships (candidates, len(marked)), truth).

    truth: the memberships of F's candidates, in F's order; ours come shuffled.
    """
    key, n_rows = secret.public, len(codes)
    view = View(tuple(map(str, range(codes.shape[1]))), codes.astype(np.float64))
    partner = FeatureHolder(Parties("bank", ("shop",)), view, options, key.bits)
    everyone = bits_of(np.ones(n_rows, dtype=np.bool_))
    partner.receive("bank", Begin(model=bytes(16), public_key=key.to_bytes(), train_rows=everyone))
    plaintexts = [0] * n_rows
    for place, row in enumerate(marked):
        plaintexts[row] = 1 << place
    partner.receive("bank", Gradients(tree=0, ciphertexts=key.dump(secret.encrypt(plaintexts))))
    nothing = np.zeros(0, dtype=np.bool_)
    level = Level(tree=0, level=0, split=nothing, left=b"", ask=np.ones(1, dtype=np.bool_))
    [answer] = partner.receive("bank", level)
    slots = PairLayout.for_gradients(key.bits, options.scale_bits, n_rows).slots
    count = int(answer.message.counts.sum())
    opened = slots.unpack(secret.decrypt(key.load(answer.message.sums, slots.plaintexts(count))), count)
    found = np.array([[mask >> place & 1 for place in range(len(marked))] for mask in opened], dtype=bool)
    binned = fit_bins(view.fields, view.values, options.bins).transform(view.values)
    candidates = options.candidates(binned, 0)
    truth = np.stack([candidates[number].goes_left(binned)[marked] for number in range(len(candidates))])
    return found, truth


def same_sets(found, truth):
    """The share of memberships that are right, rows of both in any order."""
    order = [np.lexsort(one.T) for one in (found, truth)]
    return float((found[order[0]] == truth[order[1]]).mean())


def encrypt_with(key, plaintexts, nonces):
    """(1 + m n) r^n mod n^2 with the r given."""
    return [
        (1 + key.n * m) * gmpy2.powmod(r, key.n, key.n_squared) % key.n_squared
        for m, r in zip(plaintexts, nonces, strict=True)
    ]


def nonce_of(ciphertext, p, q):
    """The r of a ciphertext, by who knows the primes."""
    n = p * q
    root = gmpy2.invert(n, (p - 1) * (q - 1))
    return int(gmpy2.powmod(mpz(ciphertext) % n, root, n))


def rows_in_nonce(nonce, primes):
    """Which marks divide the nonce: (n_marks,) bool."""
    return np.array([nonce % prime == 0 for prime in primes])


def node_rows(model, tree, codes, options):
    """The nodes of a tree that are asked about: {node: (level, rows, parent or None)}."""
    found = {0: (0, np.arange(len(codes)), None)}
    for node, left in enumerate(tree.left):
        level, rows, _ = found.get(node, (options.depth, None, None))
        if left < 0 or level + 1 >= options.depth:
            continue
        goes_left = model.splits[tree.split[node]].goes_left(codes[rows])
        for child, of_child in ((left, rows[goes_left]), (left + 1, rows[~goes_left])):
            if len(of_child) >= 2 * options.min_child_rows:
                found[child] = level + 1, of_child, node
    return found


def single_rows(codes, gradients, hessians, options, nodes, *, nested=False):
    """Rows that differences of two sums name: the difference is their (g, h), and no other row has it.

    Of all pairs of a node's candidates, as their order is not known; nested: of a node's and its child's.
    nodes: `node_rows`.
    """
    pairs = Counter(zip(gradients.tolist(), hessians.tolist(), strict=True))
    place = {
        pair: row
        for row, pair in enumerate(zip(gradients.tolist(), hessians.tolist(), strict=True))
        if pairs[pair] == 1
    }
    offers = {
        node: offer_of(codes[rows], gradients[rows], hessians[rows], options, level)
        for node, (level, rows, _) in nodes.items()
    }
    named = set()
    for node, (_, rows, parent) in nodes.items():
        if nested and parent is None:
            continue
        one, other = (offers[parent] if nested else offers[node]), offers[node]
        inside = set((nodes[parent][1] if nested else rows).tolist())
        g = np.subtract.outer(one.gradients, other.gradients).ravel().tolist()
        h = np.subtract.outer(one.hessians, other.hessians).ravel().tolist()
        named |= {place[pair] for pair in zip(g, h, strict=True) if place.get(pair) in inside}
    return named
