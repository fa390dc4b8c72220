"""Messages, disclosures and results of vertical k-means (the protocol itself: `federation.kmeans`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from federation.clusters import DISTANCE_INTEGER_BITS, Floats, Integers
from federation.messages import Array, Message
from federation.roles import Disclosure, Disclosures, Parties
from privacy.fixed_point import SlotLayout
from privacy.parameters import Profile

DISCLOSES: Final = Disclosures(
    protocol="kmeans",
    label_holder=(
        Disclosure("distance_differences", ("kmeans.total_distances/1",), per_row=True),
        Disclosure("inertia", ("kmeans.total_distances/1",)),
    ),
    feature_holder=(
        Disclosure("public_key", ("kmeans.key/1",)),
        Disclosure("start_rows", ("kmeans.starts/1",), per_row=True),
        Disclosure("assignments", ("kmeans.assignments/1",), per_row=True),
        Disclosure("chosen_run", ("kmeans.outcome/1",)),
    ),
    coordinator=(
        Disclosure("public_key", ("kmeans.key/1",)),
        Disclosure("ciphertexts", ("kmeans.partial_distances/1",)),
        Disclosure("end", ("kmeans.outcome/1",)),
    ),
)


class Key(Message, frozen=True, tag="kmeans.key/1"):
    """L -> F, C: the Paillier modulus of this run, big-endian.

    generator: of an alpha-key's masks (`privacy.alpha_keys`), else empty; C has no use for it.
    """

    modulus: bytes
    generator: bytes = b""


class Starts(Message, frozen=True, tag="kmeans.starts/1"):
    """L -> F: begin a stage. n_clusters: 0 for the stage that chooses k, else the k of the final fit.

    rows: int64, the start rows of all runs of the stage one after the other (aligned row numbers).
    """

    stage: int
    n_rows: int
    n_clusters: int
    rows: Array


class PartialDistances(Message, frozen=True, tag="kmeans.partial_distances/1"):
    """F -> C: own values of this exchange, packed and encrypted under L's key.

    While runs are active: their differences, (rows, k - 1) each, one after the other. In the last exchange of
    a
    stage: the differences of the rows to predict, then the mean inertia, run by run.
    """

    stage: int
    iteration: int
    key_digest: str
    n_values: int
    ciphertexts: bytes


class TotalDistances(Message, frozen=True, tag="kmeans.total_distances/1"):
    """C -> L: the sum over partners, same layout."""

    stage: int
    iteration: int
    key_digest: str
    n_values: int
    ciphertexts: bytes


class Assignments(Message, frozen=True, tag="kmeans.assignments/1"):
    """L -> F: for the runs that were active, in order: labels (uint8, one after the other) and which runs
    stop."""

    stage: int
    iteration: int
    labels: Array
    stopped: Array


class Outcome(Message, frozen=True, tag="kmeans.outcome/1"):
    """L -> F, C: the clustering is done; `run` of the last stage is the result."""

    run: int


MESSAGES: Final = (Key, Starts, PartialDistances, TotalDistances, Assignments, Outcome)


@dataclass(frozen=True, slots=True)
class Clustering:
    """A party's result. assignments: (n_rows,) int64 in 0..n_clusters-1, in aligned order.

    centroids: (n_clusters, f), own columns, in standardised units.
    """

    n_clusters: int
    assignments: Integers
    centroids: Floats


@dataclass(frozen=True, slots=True)
class ChosenClustering(Clustering):
    """The label holder's result.

    stability: mean agreement per candidate k, empty when k was given. inertia: total squared distance over
    all parties' columns, standardised units. iterations, converged: of the chosen run. starts: its (k,) start
    rows; with the same rows, columns and options they give the same clustering again.
    """

    stability: dict[int, float]
    inertia: float
    iterations: int
    converged: bool
    starts: Integers


def layout_of(key_bits: int, profile: Profile, parties: Parties) -> SlotLayout:
    """How distances are packed: the partners' plaintexts are summed, L's own part is added after
    decryption."""
    value_bits = profile.distance_scale_bits + DISTANCE_INTEGER_BITS
    return SlotLayout.for_sums(key_bits, value_bits, len(parties.feature_holders))
