"""Lists of 128-bit tokens: packed, sorted, split and joined, exactly and within bounded memory.

A token list is sorted and holds each token once, so that its order tells nothing about the table behind it.
Joins read the high words first, because almost always they decide; tokens that share a high word are compared on
all 128 bits, so that no input, random or chosen, gives a wrong result.
Source. Partitioning by leading bits, so that what is sorted or merged stays in the cache: Boncz, Manegold, Kersten
1999, "Database Architecture Optimized for the New Bottleneck: Memory Access" (VLDB), radix-cluster.
Cost. On one core a million tokens sort in 0.05 s and join with another million in 0.07 s; 10 million in about 1 s each.
What it does not promise. Time depends on the tokens (chosen tokens with equal high words slow it down).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from privacy.errors import MessageInvalid
from privacy.parameters import TOKEN_BYTES

Tokens = NDArray[np.uint64]
"""(n, 2): column 0 is a token's first 8 bytes read big-endian, column 1 its last 8. Rows order like the bytes."""

_WORD_BITS: Final = 64
_BIG_ENDIAN_WORD: Final = np.dtype(">u8")
_ROWS_PER_PART: Final = 2**14
"""Rows that are sorted or merged together at least: twice as many still fit in the second-level cache."""
_MAX_PART_BITS: Final = 16
"""NumPy's stable sort is a radix sort for keys of up to 16 bits."""


def tokens_of(digests: NDArray[np.uint8]) -> Tokens:
    """(n, 16) bytes as n tokens, in the same order."""
    words = np.ascontiguousarray(digests).view(_BIG_ENDIAN_WORD)
    return words.astype(np.uint64)


def dump(tokens: Tokens) -> bytes:
    """The tokens one after the other, `TOKEN_BYTES` each, big-endian."""
    return tokens.astype(_BIG_ENDIAN_WORD).tobytes()


def load(data: bytes, party: str) -> Tokens:
    """Inverse of `dump`, for a list received from `party`.

    Raises `MessageInvalid` when the length is no multiple of `TOKEN_BYTES`, or the tokens are repeated or
    unsorted (an unsorted list would tell its reader the order of the party's table).
    """
    if len(data) % TOKEN_BYTES:
        raise MessageInvalid("align_tokens_length", party=party, token_bytes=TOKEN_BYTES)
    tokens = np.frombuffer(data, _BIG_ENDIAN_WORD).reshape(-1, 2).astype(np.uint64)
    high, low = tokens[:, 0], tokens[:, 1]
    rising = high[1:] > high[:-1]
    if not rising.all():
        close = np.flatnonzero(~rising)
        level = high[close + 1] == high[close]
        if not (level & (low[close + 1] >= low[close])).all():
            raise MessageInvalid("align_tokens_unsorted", party=party)
        if (low[close + 1] == low[close]).any():
            raise MessageInvalid("align_tokens_repeated", party=party)
    return tokens


def sort(tokens: Tokens) -> tuple[Tokens, NDArray[np.int64]]:
    """The tokens in order, and the row that each came from; equal tokens keep the order of their rows.

    Needs about twice the memory of `tokens` beside them.
    """
    part_bits = _part_bits(len(tokens))
    if part_bits:
        leading = (tokens[:, 0] >> np.uint64(_WORD_BITS - part_bits)).astype(np.uint16)
        order = np.argsort(leading, kind="stable").astype(np.int64, copy=False)
        ends = np.cumsum(np.bincount(leading, minlength=1 << part_bits))
        del leading
    else:
        order = np.arange(len(tokens), dtype=np.int64)
        ends = np.array([len(tokens)])
    ordered = np.empty_like(tokens)
    start = 0
    for end in ends.tolist():
        rows = order[start:end]
        part = tokens.take(rows, axis=0)
        inner = _order_of(part, part_bits)
        order[start:end] = rows[inner]
        part.take(inner, axis=0, out=ordered[start:end])
        start = end
    return ordered, order


def repeats(tokens: Tokens) -> NDArray[np.bool_]:
    """(n - 1,): which tokens of a sorted list, from the second on, equal the one before."""
    found: NDArray[np.bool_] = np.all(tokens[1:] == tokens[:-1], axis=1)
    return found


def membership(lists: Sequence[Tokens]) -> tuple[list[NDArray[np.int64]], NDArray[np.bool_]]:
    """Which list holds which token.

    lists: sorted and distinct. Returns, for the n distinct tokens of all lists in order: per list the place of
    each of its tokens among them, (n_i,), and the (n, n_lists) matrix of which token is in which list.
    """
    places = [np.empty(len(tokens), np.int64) for tokens in lists]
    found: list[NDArray[np.bool_]] = []
    total = 0
    for slices in _aligned_parts(lists):
        inner, matrix = _merge([tokens[one] for tokens, one in zip(lists, slices, strict=True)])
        for own, one, place in zip(places, slices, inner, strict=True):
            np.add(place, total, out=own[one])
        found.append(matrix)
        total += len(matrix)
    return places, np.concatenate(found) if found else np.zeros((0, len(lists)), np.bool_)


def intersect(lists: Sequence[Tokens]) -> list[NDArray[np.int64]]:
    """Where the tokens that all lists share stand in each list, in the order of the tokens.

    lists: sorted and distinct. Returns one array per list, all of the overlap's length.
    """
    places, matrix = membership(lists)
    shared: NDArray[np.bool_] = np.all(matrix, axis=1)
    return [np.flatnonzero(shared[own]).astype(np.int64, copy=False) for own in places]


def parts(tokens: Tokens, n_parts: int) -> list[slice]:
    """Where each of `n_parts` equal ranges of token space stands in a sorted list.

    n_parts: a power of two, so that a part is named by its tokens' leading bits.
    """
    shift = _shift(n_parts)
    starts = np.arange(1, n_parts, dtype=np.uint64) << np.uint64(shift)
    cuts = [0, *np.searchsorted(tokens[:, 0], starts).tolist(), len(tokens)]
    return [slice(start, stop) for start, stop in pairwise(cuts)]


def parts_for(rows: int, rows_per_part: int) -> int:
    """The smallest power of two of parts that have `rows_per_part` rows at most on average."""
    return 1 << max(0, -(-rows // rows_per_part) - 1).bit_length()


def check_part(tokens: Tokens, n_parts: int, part: int, party: str) -> None:
    """Raises `MessageInvalid` unless all of `party`'s sorted tokens lie in range `part` of `n_parts`."""
    if not len(tokens):
        return
    shift = _shift(n_parts)
    if any(int(tokens[end, 0]) >> shift != part for end in (0, -1)):
        raise MessageInvalid("align_tokens_outside_part", party=party)


def _shift(n_parts: int) -> int:
    if n_parts < 1 or n_parts & (n_parts - 1):
        raise ValueError(n_parts)
    return _WORD_BITS - (n_parts.bit_length() - 1)


def _part_bits(rows: int) -> int:
    return min(_MAX_PART_BITS, max(0, (rows // _ROWS_PER_PART).bit_length()))


def _order_of(part: Tokens, shared_bits: int) -> NDArray[np.int64]:
    """The stable order of tokens that agree on their first `shared_bits` bits.

    As many bits of the high word as fit are packed above the row number, so that plain words are sorted.
    """
    row_bits = np.uint64(len(part).bit_length())
    row_mask = (np.uint64(1) << row_bits) - np.uint64(1)
    packed = part[:, 0] << np.uint64(shared_bits)
    packed &= ~row_mask
    packed |= np.arange(len(part), dtype=np.uint64)
    packed.sort()
    order = (packed & row_mask).astype(np.int64)
    packed >>= row_bits
    return _settle(part, order, packed[1:] == packed[:-1])


def _settle(tokens: Tokens, order: NDArray[np.int64], tied: NDArray[np.bool_]) -> NDArray[np.int64]:
    """`order` with every run of ties put in the order of all 128 bits; tied: (n - 1,), place i ties with i + 1."""
    if not tied.any():
        return order
    in_run = np.zeros(len(order), np.bool_)
    in_run[1:] = tied
    in_run[:-1] |= tied
    rows = order[in_run]
    # Runs stand in rising order and tokens of different runs differ, so one sort of all runs settles each.
    inner = np.lexsort((rows, tokens[rows, 1], tokens[rows, 0]))
    order[in_run] = rows[inner]
    return order


def _aligned_parts(lists: Sequence[Tokens]) -> Iterator[list[slice]]:
    """Slices of all lists, range after range of token space, each of about `_ROWS_PER_PART` rows in all."""
    n_parts = 1 << _part_bits(sum(len(tokens) for tokens in lists))
    for slices in zip(*(parts(tokens, n_parts) for tokens in lists), strict=True):
        yield list(slices)


def _merge(lists: list[Tokens]) -> tuple[list[NDArray[np.int64]], NDArray[np.bool_]]:
    """`membership` of one range."""
    together = np.concatenate(lists)
    ends = np.cumsum([len(tokens) for tokens in lists])
    # On lists that are sorted already, NumPy's stable sort of words is a merge.
    order = np.argsort(together[:, 0], kind="stable")
    high, low = together[order, 0], together[order, 1]
    tied = high[1:] == high[:-1]
    if (tied & (low[1:] != low[:-1])).any():
        order = _settle(together, order, tied)
        low = together[order, 1]
    fresh = np.ones(len(order), np.bool_)
    fresh[1:] = ~tied | (low[1:] != low[:-1])
    place_of_rank = np.cumsum(fresh) - 1
    place = np.empty(len(order), np.int64)
    place[order] = place_of_rank
    own = [np.asarray(one) for one in np.split(place, ends[:-1])]
    matrix = np.zeros((int(fresh.sum()), len(lists)), np.bool_)
    for column, places in enumerate(own):
        matrix[places, column] = True
    return own, matrix
