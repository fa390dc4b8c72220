"""One boosted tree of SecureBoost, the cryptography of both sides: what a label holder and a partner compute.

The tree's shape is drawn once and is the same for all, so that everybody sums the same rows: the root's, and those of
the smaller child of every split (the sibling is a plain difference at the label holder). Gradient and Hessian share
a plaintext for everybody. The label holder encrypts a value per row, the partner sums them per feature and bin, the
label holder decrypts. Ours goes on as the product does: packed, re-randomised, dumped and loaded with the checks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from gmpy2 import mpz

from benchmarks.cases import (
    OU_NOTE,
    SEED,
    Case,
    Claim,
    Way,
    fill,
    heu_peers,
    key_of,
    partner_of,
    race,
    rows_of,
)
from benchmarks.group_by import N_BINS, N_CODES, N_FEATURES, Codes, Integers, plain_sums
from benchmarks.measure import MICROSECONDS, timed
from benchmarks.peers import HEU_OU, HEU_ZPAILLIER, Heu
from benchmarks.results import SECONDS_UNIT, Row
from benchmarks.settings import Settings, size_name
from federation.encrypted_column import EncryptedColumn
from federation.group_by import CodedRows, sum_by
from federation.pair_layout import PairLayout
from privacy.fixed_point import encode
from privacy.mask_pool import MaskPool, uniform_masks
from privacy.paillier import PublicKey, shift_pack
from privacy.paillier_secret import SecretKey
from privacy.parameters import STANDARD
from privacy.random_powers import WIDE_TABLE_PAYS_FROM

DEPTH: Final = 5
SMALLER_SHARE: Final = 0.45
"""Splits are a little uneven, as real ones are."""


Encrypt = Callable[[list[int]], list[mpz]]


@dataclass(frozen=True, slots=True)
class Task:
    """The rows of one tree. nodes: the rows of every histogram that is summed."""

    layout: PairLayout
    gradients: Integers
    hessians: Integers
    codes: Codes
    nodes: tuple[Integers, ...]

    @classmethod
    def draw(cls, rows: int, key_bits: int) -> Task:
        """Gradients of a logistic loss, codes, and a random tree of `DEPTH` levels."""
        rng = np.random.default_rng(SEED)
        layout = PairLayout.for_gradients(key_bits, STANDARD.gradient_scale_bits, rows)
        gradients = encode(rng.uniform(-1, 1, rows), STANDARD.gradient_scale_bits)
        hessians = encode(rng.uniform(0, 0.25, rows), STANDARD.gradient_scale_bits)
        codes: Codes = rng.integers(0, N_BINS, (rows, N_FEATURES)).astype(np.uint8)
        level: list[Integers] = [np.arange(rows)]
        nodes = [*level]
        for _ in range(1, DEPTH):
            following = []
            for node in level:
                left = rng.random(len(node)) < SMALLER_SHARE
                children = [node[left], node[~left]]
                nodes.append(min(children, key=len))
                following += children
            level = following
        return cls(layout, gradients, hessians, codes, tuple(nodes))

    @property
    def plaintexts(self) -> list[int]:
        """(g, h) of every row in one integer."""
        return self.layout.join(self.gradients, self.hessians)

    @property
    def answer(self) -> list[int]:
        """All sums of (g, h) pairs, node by node, feature by feature."""
        found: list[int] = []
        for rows in self.nodes:
            gradients = plain_sums(self.gradients[rows], self.codes[rows])
            hessians = plain_sums(self.hessians[rows], self.codes[rows])
            found += [(g << self.layout.low_bits) + h for g, h in zip(gradients, hessians, strict=True)]
        return found


def our_tree(task: Task, owner: SecretKey, partner: PublicKey, encrypt: Encrypt, mask: Encrypt) -> list[int]:
    """Both sides of ours, from plaintexts to sums. encrypt: the owner's; mask: the partner's, of zeros."""
    sent = owner.public.dump(encrypt(task.plaintexts))
    column = EncryptedColumn.load(sent, len(task.codes), partner)
    coded = CodedRows(task.codes, N_CODES)
    tables = [sum_by(column, coded, rows) for rows in task.nodes]
    cells = [cell for table in tables for feature in table for cell in feature]
    slots = task.layout.slots
    packed = shift_pack(cells, slots.slot_bits, slots.slots, partner)
    packed = partner.rerandomize(packed, mask([0] * len(packed)))
    received = owner.public.load(partner.dump(packed), slots.plaintexts(len(cells)))
    return slots.unpack(owner.decrypt(received), len(cells))


def their_tree(task: Task, peer: Heu, encoded: Any) -> list[int]:
    """Both sides of HEU: one ciphertext per sum."""
    column = peer.encrypt(encoded)
    codes, found = task.codes.astype(np.int8), []
    for rows in task.nodes:
        chosen = np.zeros(len(codes), np.int8)
        chosen[rows] = 1
        found.append(peer.bucket_sums(column, chosen, codes, N_BINS))
    return [value for sums in found for value in peer.decrypt(sums)]


def tree(settings: Settings) -> list[Row]:
    """The tree with masks from pools, with their filling counted, with an alpha-key, and by HEU."""
    task = Task.draw(settings.tree_rows, settings.key_bits)
    owner, alpha = key_of(settings.key_bits), key_of(settings.key_bits, alpha=True)
    partner, alpha_partner = partner_of(owner), partner_of(alpha)
    pool, partner_pool = owner.mask_pool(), MaskPool(uniform_masks(partner))
    alpha.encrypt(
        [0] * WIDE_TABLE_PAYS_FROM
    )  # its table; the other key's is built when the pool is filled first
    returned = task.layout.slots.plaintexts(len(task.nodes) * sum(N_CODES))

    def filling() -> None:
        fill(pool, len(task.codes))
        fill(partner_pool, returned)

    ways = {
        "online": Way(
            partial(our_tree, task, owner, partner, pool.encrypt, partner_pool.encrypt),
            task.answer,
            1,
            prepare=filling,
        ),
        "alpha": Way(
            partial(our_tree, task, alpha, alpha_partner, alpha.encrypt, alpha_partner.encrypt_uniformly),
            task.answer,
            1,
        ),
    }
    for peer in heu_peers(settings.key_bits):
        ways[peer.name] = Way(partial(their_tree, task, peer, peer.encode(task.plaintexts)), task.answer, 1)
    times = {name: time / MICROSECONDS for name, time in race(ways, 1).items()}
    times["offline"] = times["online"] + timed(filling)
    name = f"tree {size_name(settings.tree_rows)} x {N_FEATURES} x {N_BINS}"
    moonshot = ("what we hope to reach is 1x", OU_NOTE)
    return rows_of(
        [
            Claim(f"{name}: from a pool", "online", HEU_ZPAILLIER, 5),
            Claim(f"{name}: from a pool", "online", HEU_OU, None, moonshot),
            Claim(f"{name}: pool counted", "offline", HEU_ZPAILLIER),
            Claim(f"{name}: pool counted", "offline", HEU_OU, None, moonshot),
            Claim(f"{name}: alpha-key, no pool", "alpha", HEU_ZPAILLIER),
            Claim(f"{name}: alpha-key, no pool", "alpha", HEU_OU, None, moonshot),
        ],
        times,
        SECONDS_UNIT,
    )


CASES: Final = (Case("tree", "boosted tree", tree),)
