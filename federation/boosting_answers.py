"""What the label holder reads in a feature holder's answers in `boosting`, and refuses in them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from federation.binning import Bools, Integers
from federation.boosting_messages import CandidateSums, SplitSides
from federation.pair_layout import PairLayout
from federation.roles import Decryptor
from federation.scoring import flags_of
from federation.tree_builder import TreeBuilder
from privacy.errors import MessageInvalid
from privacy.paillier import PublicKey


def read_offer(
    message: CandidateSums,
    sender: str,
    builder: TreeBuilder,
    layout: PairLayout,
    key: PublicKey,
    decryptor: Decryptor,
) -> list[tuple[Integers, Integers]]:
    """The sums of g and h on the left of the partner's candidates, per open node.

    Raises `MessageInvalid` for sums that no rows of the node can have, and for counts that do not fit.
    """
    counts, nodes = message.counts, builder.open
    if counts.dtype.str != "<i4" or counts.shape != (len(nodes),) or (counts < 0).any():
        raise MessageInvalid("boosting_candidate_counts", sender=sender, nodes=len(nodes))
    total = int(counts.sum(dtype=np.int64))
    ciphertexts = key.load(message.sums, layout.slots.plaintexts(total))
    pairs = layout.slots.unpack(decryptor.decrypt(ciphertexts), total)
    gradients, hessians = (np.array(part, dtype=np.int64) for part in layout.separate(pairs))
    ends = np.cumsum(counts)[:-1]
    # Leaf-wise an exchange may be about no new node: then there is nothing to split.
    offers = list(zip(np.split(gradients, ends), np.split(hessians, ends), strict=True))[: len(nodes)]
    for node, (left_gradients, left_hessians) in zip(nodes, offers, strict=True):
        size, weight = builder.sizes(node)
        within = (np.abs(left_gradients) <= size) & (left_hessians >= 0) & (left_hessians <= weight)
        if not within.all():
            raise MessageInvalid("boosting_sums_out_of_range", sender=sender)
    return offers


def read_sides(
    message: SplitSides,
    sender: str,
    builder: TreeBuilder,
    nodes: Sequence[int],
    sums: Sequence[frozenset[tuple[int, int]]],
    known: set[int],
) -> list[Bools]:
    """Which rows of every node go left, (n_rows_of_node,) each.

    nodes: those that this partner has won; sums: per node, (G, H) on the left of the candidates that tied for the best;
    known: the partner's split numbers so far. Raises `MessageInvalid` when numbers are not new, or a partition does
    not match the sums that were sent before.
    """
    fresh = set(message.splits)
    if len(message.splits) != len(nodes) or len(fresh) != len(nodes) or fresh & known:
        raise MessageInvalid("boosting_split_numbers", sender=sender, nodes=len(nodes))
    sizes = [len(builder.rows(node)) for node in nodes]
    flags = flags_of(message.left, sum(sizes), sender)
    sides = np.split(flags, np.cumsum(sizes)[:-1])
    for node, left, allowed in zip(nodes, sides, sums, strict=True):
        if builder.sums(builder.rows(node)[left]) not in allowed:
            raise MessageInvalid("boosting_sides_do_not_match", sender=sender)
    return sides
