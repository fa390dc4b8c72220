"""The messages of vertical boosting, and what they tell each role; `boosting` describes the protocol."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from federation.messages import Array, Message
from federation.roles import Disclosure, Disclosures

Place = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
"""A place in a list. Whatever a list may hold, it is compared with array indices, which are signed."""


class Begin(Message, frozen=True, tag="boosting.begin/1"):
    """L to F: model: random identifier; public_key: n; train_rows: one bit per aligned row, 1 also where it validates.

    generator: of an alpha-key's masks (`privacy.alpha_keys`), else empty. trees: how many of the model's trees stand
    already, from a training that was stopped; 0 also when F has no split in them.
    """

    model: bytes
    public_key: bytes
    train_rows: bytes
    generator: bytes = b""
    trees: int = 0


class Gradients(Message, frozen=True, tag="boosting.gradients/1"):
    """L to F: a new tree; ciphertexts: one per row that counts in it, fresh for every tree.

    sample: one bit per training row, which of them count; empty: all do.
    """

    tree: int
    ciphertexts: bytes
    sample: bytes = b""


class Level(Message, frozen=True, tag="boosting.level/1"):
    """L to F: which nodes were split and how, and which of their children to work on.

    level: the exchange's number in its tree; level-wise it is the nodes' depth. split: one flag per waiting node
    (level-wise, those of the last level asked; leaf-wise, all that were asked about and not split yet); left: one bit
    per row of the nodes that were split, node after node; ask: two flags (left, right) per split node. Level 0: split
    and left are empty, ask is [True].
    """

    tree: int
    level: int
    split: Array
    left: bytes
    ask: Array


class CandidateSums(Message, frozen=True, tag="boosting.candidates/1"):
    """F to L: counts: candidates per asked node (i4); sums: on their left, shuffled in a node, packed."""

    tree: int
    level: int
    counts: Array
    sums: bytes


class Chosen(Message, frozen=True, tag="boosting.chosen/1"):
    """L to F: nodes (places among the waiting) that F splits; candidates: the best one and all that tie."""

    tree: int
    level: int
    nodes: tuple[Place, ...]
    candidates: tuple[tuple[Place, ...], ...]


class SplitSides(Message, frozen=True, tag="boosting.sides/1"):
    """F to L: a random split number per chosen node; left: one bit per row of these nodes, in turn."""

    tree: int
    level: int
    splits: tuple[int, ...]
    left: bytes


class Finish(Message, frozen=True, tag="boosting.finish/1"):
    """L to F: the model is complete. trees: the first so many are kept; 0: all."""

    trees: int = 0


MESSAGES: Final[tuple[type[Message], ...]] = (
    Begin, Gradients, Level, CandidateSums, Chosen, SplitSides, Finish,
)  # fmt: skip

DISCLOSES: Final = Disclosures(
    protocol="boosting",
    label_holder=(
        Disclosure("candidate_sums", ("boosting.candidates/1",)),
        Disclosure("split_sides", ("boosting.sides/1",), per_row=True),
    ),
    feature_holder=(
        Disclosure("training_rows", ("boosting.begin/1",), per_row=True),
        Disclosure("encrypted_gradients", ("boosting.gradients/1",), per_row=True),
        Disclosure("counted_rows", ("boosting.gradients/1",), per_row=True),
        Disclosure("node_rows", ("boosting.level/1",), per_row=True),
        Disclosure("chosen_splits", ("boosting.chosen/1", "boosting.finish/1")),
    ),
    coordinator=(Disclosure("sizes", tuple(f"boosting.{name}/1" for name in (
        "begin", "gradients", "level", "candidates", "chosen", "sides", "finish",
    ))),),
)  # fmt: skip
