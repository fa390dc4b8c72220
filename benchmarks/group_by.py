"""Encrypted group-by: histograms per (row x feature), and X.[v], a plain matrix times an encrypted vector."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import numpy as np

from benchmarks.cases import (
    OU_NOTE,
    SEED,
    Case,
    Claim,
    Way,
    heu_peers,
    key_of,
    quick_ciphertexts,
    race,
    rows_of,
)
from benchmarks.paillier import as_phe
from benchmarks.peers import HEU_OU, HEU_ZPAILLIER, PHE_NAME
from benchmarks.results import Row
from benchmarks.settings import Settings, size_name
from federation.encrypted_column import EncryptedColumn
from federation.group_by import CodedRows, sum_by
from federation.joint_cells import Table
from privacy.paillier import to_half_form
from privacy.weighted_sums import weighted_sums

N_FEATURES: Final = 10
N_BINS: Final = 32
N_CODES: Final = (N_BINS,) * N_FEATURES
FACTOR_BITS: Final = 16
MATRIX_ROWS: Final = 10
VALUE_LIMIT: Final = 1 << 40

Integers = np.ndarray[Any, np.dtype[np.int64]]
Codes = np.ndarray[Any, np.dtype[np.uint8]]


def plain_sums(values: Integers, codes: Codes) -> list[int]:
    """The answer: the sum of the values per (feature, bin), feature by feature."""
    table = np.zeros((codes.shape[1], N_BINS), np.int64)
    for feature, column in enumerate(codes.T):
        np.add.at(table[feature], column, values)
    found: list[int] = table.ravel().tolist()
    return found


def histogram(settings: Settings) -> list[Row]:
    """The sum of an encrypted column per bin of every feature: ten features of 32 bins."""
    owner, rng = key_of(settings.key_bits), np.random.default_rng(SEED)
    codes: Codes = rng.integers(0, N_BINS, (settings.rows, N_FEATURES)).astype(np.uint8)
    values: Integers = rng.integers(0, VALUE_LIMIT, settings.rows)
    column = quick_ciphertexts(owner.public, values.tolist())
    halves = EncryptedColumn.of(column, owner.public)

    def read(table: Table) -> list[int]:
        return owner.decrypt([cell for feature in table for cell in feature])

    ways = {
        "ours": Way(
            lambda: sum_by(halves, CodedRows(codes, N_CODES)), plain_sums(values, codes), codes.size, read
        ),
        "half form": Way(lambda: to_half_form(column, owner.public), [], len(column), lambda _: []),
    }
    fewer, everyone = codes[: settings.peer_rows].astype(np.int8), np.ones(settings.peer_rows, np.int8)
    for peer in heu_peers(settings.key_bits):
        encrypted = peer.encrypt(peer.encode(values[: settings.peer_rows].tolist()))
        ways[peer.name] = Way(
            partial(peer.bucket_sums, encrypted, everyone, fewer, N_BINS),
            plain_sums(values[: settings.peer_rows], codes[: settings.peer_rows]),
            fewer.size,
            peer.decrypt,
        )
    times = race(ways, settings.repetitions)
    name = f"histogram {size_name(settings.rows)} x {N_FEATURES} x {N_BINS}"
    note = f"HEU on {settings.peer_rows:,} rows: its time is linear in them"
    return rows_of(
        [
            Claim(name, "ours", HEU_ZPAILLIER, 2.4, (note,)),
            Claim(name, "ours", HEU_OU, None, (note, OU_NOTE)),
            Claim("half form of a row", "half form", ""),
        ],
        times,
    )


def products(settings: Settings) -> list[Row]:
    """X.[v] with 16-bit signed X, per term."""
    owner, rng = key_of(settings.key_bits), np.random.default_rng(SEED)
    limit = 1 << (FACTOR_BITS - 1)
    matrix: Integers = rng.integers(-limit, limit, (MATRIX_ROWS, settings.terms))
    vector: Integers = rng.integers(0, limit, settings.terms)
    column = quick_ciphertexts(owner.public, vector.tolist())
    few = settings.peer_terms
    fewer, answer = matrix[:, :few], (matrix[:, :few] @ vector[:few]).tolist()
    for_phe, private = as_phe(owner, column[:few]), owner.to_phe()

    def by_phe() -> list[Any]:
        found = []
        for row in fewer.tolist():
            terms = [c * factor for c, factor in zip(for_phe, row, strict=True)]
            found.append(sum(terms[1:], terms[0]))
        return found

    ways = {
        "ours": Way(
            lambda: weighted_sums(matrix, *to_half_form(column, owner.public), owner.public),
            (matrix @ vector).tolist(),
            matrix.size,
            owner.decrypt,
        ),
        PHE_NAME: Way(by_phe, answer, fewer.size, lambda found: [private.decrypt(c) for c in found]),
    }
    for peer in heu_peers(settings.key_bits):
        encoded, encrypted = peer.encode(fewer), peer.encrypt(peer.encode(vector[:few].tolist()))
        ways[peer.name] = Way(partial(peer.multiply, encoded, encrypted), answer, fewer.size, peer.decrypt)
    times = race(ways, settings.repetitions)
    name = f"X.[v], {FACTOR_BITS}-bit signed X"
    note = f"peers on {few} terms: their time is linear in them"
    return rows_of(
        [
            Claim(name, "ours", PHE_NAME, None, (note,)),
            Claim(name, "ours", HEU_ZPAILLIER, 20, (note,)),
            Claim(name, "ours", HEU_OU, None, (note, OU_NOTE)),
        ],
        times,
    )


CASES: Final = (Case("group_by", "histogram", histogram), Case("group_by", "products", products))
