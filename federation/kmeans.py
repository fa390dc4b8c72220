"""Vertical k-means: Lloyd's algorithm on columns that stay with their parties.

Parties. Label holder L (holds the Paillier key and columns of its own), feature holders F1..Fm (columns),
coordinator C (aggregates: `kmeans_coordinator`). Rows are aligned, columns standardised; every party holds
the same options and derives from them which rows each run uses.
Rounds. L sends its public key, then the rows that become the first centroids. Per iteration, for all runs at
once: each F encrypts, row by row, how much farther centroid j is than centroid 0 on its own columns
(j = 1..k-1); C multiplies the partners' ciphertexts; L decrypts the sums, adds its own part in the clear,
takes the argmin and sends the assignments; every party moves its own part of the centroids to the means. A
run stops when no row moves. A last exchange assigns further rows to the finished models and sums their
inertia. With `n_clusters="auto"` a first stage of small runs chooses k by split-half stability, a second fits
all rows.
What each party learns. L: per row and iteration, exact differences of distances summed over the partners; the
partners' inertia per run. That is enough to reconstruct the partners' standardised columns up to a rotation:
see below. F: start rows, and the assignments of every run, those on halves included. C: sizes and ciphertexts
(with a single partner its ciphertexts reach L as they are).
Source. Lloyd 1982; equal, from the same start rows, to scikit-learn's `KMeans(algorithm="lloyd", tol=0)`.
Deviations. Differences to the first centroid in place of whole distances: a number less per row, and the
shift that all distances of a row share is gone rather than masked. An empty cluster keeps its centroid
(`clusters.update_centroids`). Fixed point with `distance_scale_bits` fraction bits, below 2^16 in size: on
standardised columns that is a value some 200 deviations out, and stops its party with `PackingOverflow`.
What is not hidden. The partners' columns P (rows by fields, all partners together), from an L that follows
the protocol and keeps what it sees. Every centroid is a weighting of rows, and L knows the weights: it chose
the start rows and made the assignments. So an exchange shows it D = 2 P P^T W + const with W known. Side by
side, the exchanges soon hold as many numbers per row as the partners have columns, and one eigendecomposition
of W^T D then gives P up to a rotation: all pairwise distances between customers (measured: to 1e-10). Blind
source separation then finds the single columns (measured: correlation .99 to 1.00), and a few known customers
fix the rotation exactly (five for four columns). A single field is known up to its sign. More partners do not
help, as L gets their columns together; automatic k and `n_init` add equations. For this reason a node that
holds features refuses clustering unless its owner has accepted it (ADR 10).
A C that deviates could put other ciphertexts in place of the sums, so that what L releases tells it about a row:
C is trusted to add as told, and inertia is not released to it.
An L that deviates can choose start rows and assignments, and so whose distances it sees: parties are
semi-honest. F bounds the runs and iterations by the options, and takes the rows from them.
Cost. Per iteration and partner n (k - 1) values, 40 to a 2048-bit ciphertext with two partners.
"""

from __future__ import annotations

from typing import cast

import numpy as np

from federation import clusters
from federation.clusters import Integers, KMeansOptions, LocalRun, RunPlan, Stage
from federation.kmeans_coordinator import MAX_VALUES, Coordinator
from federation.kmeans_messages import (
    DISCLOSES,
    MESSAGES,
    Assignments,
    ChosenClustering,
    Clustering,
    Key,
    Outcome,
    PartialDistances,
    Starts,
    TotalDistances,
    layout_of,
)
from federation.messages import COORDINATOR, Message, Outgoing
from federation.roles import Decryptor, Parties, Progress, View, expect
from privacy import fixed_point
from privacy.errors import CohortTooSmall, ConfigInvalid, KeyMismatch, MessageInvalid, SchemaMismatch
from privacy.paillier import PublicKey
from privacy.parameters import Profile

__all__ = [
    "DISCLOSES", "MAX_VALUES", "MESSAGES", "ChosenClustering", "Clustering", "Coordinator", "FeatureHolder",
    "KMeansOptions", "LabelHolder",
]  # fmt: skip


class _Holder:
    """What L and F have in common: columns, options and the current stage."""

    def __init__(self, parties: Parties, view: View, options: KMeansOptions, profile: Profile) -> None:
        options.check(len(view))
        if len(view) < profile.k_min:
            raise CohortTooSmall("kmeans_rows_few", k_min=profile.k_min)
        if not np.isfinite(view.values).all():
            raise SchemaMismatch("kmeans_not_standardised")
        self._n_stages = 2 if options.n_clusters == "auto" else 1
        self._selection_steps = options.split_max_iter + 2 if self._n_stages == 2 else 0
        self.progress = Progress(total=self._selection_steps + options.max_iter + 2)
        self._parties = parties
        self._values = view.values
        self._options = options
        self._profile = profile
        self._stage: Stage | None = None

    def _plans(self, n_clusters: int) -> tuple[RunPlan, ...]:
        if n_clusters:
            return clusters.plan_fit(self._options, len(self._values), n_clusters)
        return clusters.plan_selection(self._options, len(self._values))

    def _show_progress(self, stage: Stage) -> None:
        selecting = stage.number < self._n_stages
        self.progress.step = "kmeans.select" if selecting else "kmeans.fit"
        self.progress.done = stage.iteration + (0 if selecting else self._selection_steps)


class FeatureHolder(_Holder):
    """A partner: own columns in, own part of the centroids and the assignments out.

    alpha_keys: whether the job names them; a generator is refused otherwise.
    Raises `ConfigInvalid`, `CohortTooSmall` (fewer rows than `k_min`), `SchemaMismatch` (missing values).
    """

    def __init__(
        self,
        parties: Parties,
        view: View,
        *,
        options: KMeansOptions,
        profile: Profile,
        alpha_keys: bool = False,
    ) -> None:
        super().__init__(parties, view, options, profile)
        self._alpha_keys = alpha_keys
        self._key: PublicKey | None = None
        self._result: Clustering | None = None

    @property
    def result(self) -> Clustering | None:
        """The clustering, or None while it is running."""
        return self._result

    def start(self) -> list[Outgoing]:
        return []

    def receive(self, sender: str, message: Message) -> list[Outgoing]:
        from_holder = sender == self._parties.label_holder and self._result is None
        expect(from_holder and self._is_next(message), "feature holder", message, sender)
        if isinstance(message, Key):
            self._key = PublicKey.from_bytes(
                message.modulus, self._profile.key_bits, message.generator, alpha_keys=self._alpha_keys
            )
            return []
        if isinstance(message, Starts):
            self._begin(message)
            return [self._values_message()]
        if isinstance(message, Assignments):
            self._take(message)
            return [self._values_message()]
        self._finish(cast(Outcome, message))
        return []

    def _is_next(self, message: Message) -> bool:
        stage = self._stage
        number = stage.number if stage else 0
        ended = stage is not None and not stage.active
        if isinstance(message, Key):
            return self._key is None
        if isinstance(message, Starts):
            ready = ended if stage else self._key is not None
            in_order = message.stage == number + 1 <= self._n_stages
            # Only a stage that chooses k has a successor.
            return ready and in_order and (message.n_clusters == 0) == (message.stage < self._n_stages)
        if isinstance(message, Assignments):
            place = (message.stage, message.iteration)
            return stage is not None and not ended and place == (number, stage.iteration)
        return isinstance(message, Outcome) and ended and number == self._n_stages

    def _begin(self, message: Starts) -> None:
        if message.n_rows != len(self._values):
            raise MessageInvalid("kmeans_rows_differ", own=len(self._values))
        if message.n_clusters and message.n_clusters not in self._options.choices:
            raise MessageInvalid("kmeans_clusters_foreign")
        plans = self._plans(message.n_clusters)
        starts = clusters.split_starts(message.rows, plans, len(self._values))
        runs = [LocalRun(plan, self._values, own) for plan, own in zip(plans, starts, strict=True)]
        self._stage = Stage(message.stage, runs)

    def _take(self, message: Assignments) -> None:
        stage = cast(Stage, self._stage)
        sizes = [len(run.plan.rows) for run in stage.active]
        labels, stopped = message.labels, message.stopped
        if labels.dtype != np.uint8 or stopped.dtype != np.bool_:
            raise MessageInvalid("kmeans_assignments_shape")
        if labels.shape != (sum(sizes),) or stopped.shape != (len(sizes),):
            raise MessageInvalid("kmeans_assignments_shape")
        parts = np.split(labels.astype(np.int64), np.cumsum(sizes)[:-1])
        for run, own, stop in zip(stage.active, parts, stopped, strict=True):
            if own.max() >= run.plan.n_clusters:
                raise MessageInvalid("kmeans_assignments_range")
            if not stop and stage.iteration > run.plan.max_iter:
                raise MessageInvalid("kmeans_iterations", limit=run.plan.max_iter)
        stage.take(parts, stopped.tolist())

    def _values_message(self) -> Outgoing:
        stage, key = cast(Stage, self._stage), cast(PublicKey, self._key)
        self._show_progress(stage)
        codes = stage.own_codes(self._profile.distance_scale_bits)
        packed = layout_of(key.bits, self._profile, self._parties).pack(codes)
        return Outgoing(
            COORDINATOR,
            PartialDistances(
                stage=stage.number,
                iteration=stage.iteration,
                key_digest=key.digest,
                n_values=len(codes),
                ciphertexts=key.dump(key.encrypt(packed)),
            ),
        )

    def _finish(self, message: Outcome) -> None:
        runs = cast(Stage, self._stage).runs
        if not 0 <= message.run < len(runs):
            raise MessageInvalid("kmeans_run_unknown")
        run = runs[message.run]
        self._result = Clustering(run.plan.n_clusters, run.labels, run.centroids)
        self.progress.done = self.progress.total


class LabelHolder(_Holder):
    """Holds the key, assigns the rows, chooses k and the best run. Raises as `FeatureHolder` does.

    starts: (k,) aligned rows from which the only run of the fit begins, as an earlier job chose them; by default they
    are chosen here.
    """

    def __init__(
        self,
        parties: Parties,
        view: View,
        *,
        decryptor: Decryptor,
        public_key: PublicKey,
        options: KMeansOptions,
        profile: Profile,
        starts: Integers | None = None,
    ) -> None:
        super().__init__(parties, view, options, profile)
        if starts is not None and not clusters.are_starts(starts, options, len(view)):
            raise ConfigInvalid("kmeans_options_range")
        self._starts = starts
        if public_key.bits < profile.key_bits:
            raise KeyMismatch("paillier_key_short", bits=public_key.bits, minimum=profile.key_bits)
        self._decryptor = decryptor
        self._key = public_key
        self._layout = layout_of(public_key.bits, profile, parties)
        self._n_clusters = 0 if options.n_clusters == "auto" else options.n_clusters
        self._stability: dict[int, float] = {}
        self._result: ChosenClustering | None = None

    @property
    def result(self) -> ChosenClustering | None:
        """The clustering, or None while it is running."""
        return self._result

    def start(self) -> list[Outgoing]:
        key = Key(modulus=self._key.to_bytes(), generator=self._key.generator_bytes())
        # The coordinator first: it must know the key when the first ciphertexts arrive.
        keys = [Outgoing(name, key) for name in (COORDINATOR, *self._parties.feature_holders)]
        return keys + self._begin()

    def _begin(self) -> list[Outgoing]:
        number = 1 if self._stage is None else self._stage.number + 1
        plans = self._plans(self._n_clusters)
        runs = []
        for place, plan in enumerate(plans):
            starts = self._starts
            if starts is None:
                starts = clusters.choose_starts(plan, self._values, self._options, place)
            runs.append(LocalRun(plan, self._values, starts))
        self._stage = Stage(number, runs)
        self._show_progress(self._stage)
        return self._to_partners(
            Starts(
                stage=number,
                n_rows=len(self._values),
                n_clusters=self._n_clusters,
                rows=np.concatenate([run.starts for run in runs]),
            )
        )

    def receive(self, sender: str, message: Message) -> list[Outgoing]:
        stage = self._stage
        in_turn = (
            isinstance(message, TotalDistances)
            and sender == COORDINATOR
            and self._result is None
            and stage is not None
            and (message.stage, message.iteration) == (stage.number, stage.iteration)
        )
        expect(in_turn, "label holder", message, sender)
        totals = self._totals(cast(TotalDistances, message))
        if cast(Stage, stage).active:
            return self._iterate(totals)
        return self._close_stage(totals)

    def _totals(self, message: TotalDistances) -> Integers:
        """All parties' sums of this exchange."""
        stage = cast(Stage, self._stage)
        if message.key_digest != self._key.digest:
            raise KeyMismatch("kmeans_key_differs", party=COORDINATOR)
        n_values = stage.n_values()
        if message.n_values != n_values:
            raise MessageInvalid("kmeans_values_count", party=COORDINATOR)
        ciphertexts = self._key.load(message.ciphertexts, self._layout.plaintexts(n_values))
        partners = self._layout.unpack(self._decryptor.decrypt(ciphertexts), n_values)
        return np.array(partners, dtype=np.int64) + stage.own_codes(self._profile.distance_scale_bits)

    def _iterate(self, totals: Integers) -> list[Outgoing]:
        stage = cast(Stage, self._stage)
        iteration = stage.iteration
        labels = [clusters.assign(block) for block in stage.blocks(totals)]
        stopped = [run.ends_with(own) for run, own in zip(stage.active, labels, strict=True)]
        stage.take(labels, stopped)
        self._show_progress(stage)
        return self._to_partners(
            Assignments(
                stage=stage.number,
                iteration=iteration,
                labels=np.concatenate(labels).astype(np.uint8),
                stopped=np.array(stopped, dtype=np.bool_),
            )
        )

    def _close_stage(self, totals: Integers) -> list[Outgoing]:
        stage = cast(Stage, self._stage)
        if not self._n_clusters:
            predicted = [clusters.assign(block) for block in stage.blocks(totals)]
            self._stability = clusters.stability_of(stage.runs, predicted)
            self._n_clusters = clusters.choose_n_clusters(self._stability, self._options.tolerance)
            return self._begin()
        inertias = fixed_point.decode(totals[-len(stage.runs) :], self._profile.distance_scale_bits)
        best = int(np.argmin(inertias))
        run = stage.runs[best]
        self._result = ChosenClustering(
            n_clusters=run.plan.n_clusters,
            assignments=run.labels,
            centroids=run.centroids,
            stability=self._stability,
            inertia=float(inertias[best]) * len(self._values),
            iterations=run.iterations,
            converged=run.converged,
            starts=run.starts,
        )
        self.progress.done = self.progress.total
        outcome = Outcome(run=best)
        return [*self._to_partners(outcome), Outgoing(COORDINATOR, outcome)]

    def _to_partners(self, message: Message) -> list[Outgoing]:
        return [Outgoing(name, message) for name in self._parties.feature_holders]
