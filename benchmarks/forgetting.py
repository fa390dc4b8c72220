"""`python -m benchmarks.forgetting`: what forgetting people takes beside training, for each kind of model.

All roles of a protocol in this process, nothing sent anywhere: the matching, which forgetting does not repeat, is left
out on both sides. "equal" says that the result is the one of a training that never had the people: of segments that of
a run from the same start rows in a process of its own, for a training anew would choose others.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer
from rich.console import Console

from benchmarks.shards import EXAMPLE, FILES, PARTIES, SEED, Pooled, default_credit, forget_jointly, synthetic
from clients.forgetting.earlier import starts_among
from clients.plans import SMALLEST_BATCH
from federation import collinearity, kmeans, scorecard, woe_binning
from federation.binning import Integers
from federation.clusters import KMeansOptions, standardize
from federation.messages import COORDINATOR
from federation.roles import Rehearsal, View
from federation.scorecard_fit import ScorecardOptions, deal_batches, with_fewer_batches
from federation.woe_options import WoeOptions
from federation.woe_selection import SelectionOptions
from privacy.paillier_secret import SecretKey
from privacy.parameters import Profile, profile_named

DELETIONS: Final = (1, 10, 100)
SHARDS: Final = (1, 5)
SEGMENTS: Final = KMeansOptions(seed=SEED)
SCORECARD: Final = ScorecardOptions()


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds of a training and of the training again without some people."""

    model: str
    deletions: int
    train_seconds: float
    forget_seconds: float
    is_equal: bool

    @property
    def ratio(self) -> float:
        return self.forget_seconds / self.train_seconds


class Pair:
    """The bank and its partner, with a key each. profile: whose security profile counts."""

    def __init__(self, pooled: Pooled, profile: Profile) -> None:
        self.pooled, self.profile = pooled, profile
        is_testing = profile.key_bits < profile_named("standard").key_bits
        self.key, self.partners_key = (
            SecretKey.generate(profile.key_bits, testing_only=is_testing) for _ in range(2)
        )

    def views(self, rows: Integers) -> tuple[View, View]:
        """Their columns of these rows."""
        values, fields, cut = self.pooled.values[rows], self.pooled.fields, self.pooled.n_local
        return View(fields[:cut], values[:, :cut]), View(fields[cut:], values[:, cut:])

    def segments(self, rows: Integers, options: KMeansOptions, starts: Integers | None = None) -> Any:
        """(the bank's clustering, the partner's)."""
        bank, partner = (View(view.fields, standardize(view.values)[0]) for view in self.views(rows))
        found = Rehearsal(
            {
                "bank": kmeans.LabelHolder(
                    PARTIES, bank, decryptor=self.key, public_key=self.key.public, options=options,
                    profile=self.profile, starts=starts,
                ),
                "partner": kmeans.FeatureHolder(PARTIES, partner, options=options, profile=self.profile),
                COORDINATOR: kmeans.Coordinator(PARTIES, profile=self.profile),
            }
        ).run()  # fmt: skip
        return found["bank"], found["partner"]

    def scorecard(self, rows: Integers) -> Any:
        """Both parties' bins and weights, by the three stages of a job."""
        label = self.pooled.labels[rows].astype(np.int8)
        views, everybody = self.views(rows), np.arange(len(rows))
        keys: dict[str, Any] = {"decryptor": self.key, "public_key": self.key.public}
        bits, k_min = self.profile.key_bits, self.profile.k_min
        options = WoeOptions(k_min=k_min)
        bins = Rehearsal(
            {
                "bank": woe_binning.LabelHolder(PARTIES, views[0], label, everybody, options, **keys),
                "partner": woe_binning.FeatureHolder(PARTIES, views[1], options, bits),
            }
        ).run()
        rules = SelectionOptions(seed=SEED, min_iv=0.0)
        kept = Rehearsal(
            {
                "bank": collinearity.LabelHolder(PARTIES, views[0], bins["bank"], everybody, rules, **keys),
                "partner": collinearity.FeatureHolder(PARTIES, views[1], bins["partner"], rules, bits),
            }
        ).run()
        return self._fit(rows, label, views, kept)

    def _fit(self, rows: Integers, label: np.ndarray[Any, Any], views: tuple[View, View], kept: Any) -> Any:
        parts = [kept[name].binning for name in PARTIES.all]
        codes = [
            part.transform(view.values[:, [view.fields.index(name) for name in part.fields]])
            for part, view in zip(parts, views, strict=True)
        ]
        most = max(1 + len(parts[0].fields), len(parts[1].fields))
        planned = replace(SCORECARD, min_batch_rows=SMALLEST_BATCH * self.profile.k_min)
        options = with_fewer_batches(planned, rows, most, SEED)
        bits = self.profile.key_bits
        weights = Rehearsal(
            {
                "bank": scorecard.LabelHolder(
                    PARTIES, codes[0], parts[0].woe, label, np.arange(len(rows)),
                    deal_batches(rows, options, SEED), options, decryptor=self.key, public_key=self.key.public,
                    minimum_key_bits=bits, partner_columns={"partner": len(parts[1].fields)},
                ),
                "partner": scorecard.FeatureHolder(
                    PARTIES, "partner", codes[1], parts[1].woe, options, bits,
                    own_key=lambda: (self.partners_key, self.partners_key.public),
                ),
            }
        ).run()  # fmt: skip
        return [part.woe for part in parts], weights


def forget_segments(pair: Pair, rows: Integers, deletions: int) -> Measured:
    """Clusters with k chosen, then again from the start rows without people drawn at random."""
    seconds, (found, _) = _timed(lambda: pair.segments(rows, SEGMENTS))
    staying = without(rows, deletions)
    again = replace(SEGMENTS, n_clusters=found.n_clusters, n_init=1)
    starts = starts_among(rows[found.starts], staying)
    forgetting, (bank, partner) = _timed(lambda: pair.segments(staying, again, starts))
    other_bank, other = Pair(pair.pooled, pair.profile).segments(staying, again, starts)
    is_equal = np.array_equal(bank.assignments, other_bank.assignments) and np.array_equal(
        partner.centroids, other.centroids
    )
    return Measured("segments", deletions, seconds, forgetting, is_equal)


def forget_scorecard(pair: Pair, rows: Integers, deletions: int) -> Measured:
    """A scorecard, then all of it again without people drawn at random."""
    seconds, _ = _timed(lambda: pair.scorecard(rows))
    staying = without(rows, deletions)
    forgetting, found = _timed(lambda: pair.scorecard(staying))
    # Others who never had these people, with other keys and in another order.
    shuffled = np.random.default_rng(SEED).permutation(staying)
    fresh = Pair(pair.pooled, pair.profile).scorecard(shuffled)
    return Measured("scorecard", deletions, seconds, forgetting, found == fresh)


def forget_trees(pooled: Pooled, shards: int, deletions: int, key_bits: int) -> Measured:
    """Boosted trees, then those shards again that held people drawn at random."""
    found = forget_jointly(pooled, shards, deletions, key_bits)
    name = f"trees, {shards} shards" if shards > 1 else "trees"
    return Measured(name, deletions, found.train_seconds, found.forget_seconds, found.is_equal)


def without(rows: Integers, deletions: int) -> Integers:
    """The rows without some drawn at random."""
    gone = np.random.default_rng(SEED).choice(rows, size=deletions, replace=False)
    return np.setdiff1d(rows, gone)


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    found = work()
    return time.perf_counter() - started, found


def main(
    data: Annotated[Path, typer.Option(help="Folder of the two files of the public credit data.")] = EXAMPLE
    / "data",
    rows: Annotated[int, typer.Option(help="Rows of each table, at most.")] = 6000,
    profile: Annotated[str, typer.Option(help="Security profile.")] = "standard",
) -> None:
    """Seconds of forgetting beside seconds of training."""
    console, security = Console(highlight=False), profile_named(profile)
    tables = [synthetic(rows)]
    if all((data / name).exists() for name in FILES):
        whole = default_credit(data)
        tables.append(replace(whole, values=whole.values[:rows], labels=whole.labels[:rows]))
    else:
        console.print(f"No public data in {data}: see {EXAMPLE.name}/README.md.", style="yellow")
    for pooled in tables:
        everybody, pair = np.arange(len(pooled.labels)), Pair(pooled, security)
        for deletions in DELETIONS:
            _show(console, pooled, forget_segments(pair, everybody, deletions))
            _show(console, pooled, forget_scorecard(pair, everybody, deletions))
            for shards in SHARDS:
                _show(console, pooled, forget_trees(pooled, shards, deletions, security.key_bits))


def _show(console: Console, pooled: Pooled, found: Measured) -> None:
    equal = "equal" if found.is_equal else "NOT EQUAL"
    console.print(
        f"{pooled.name}, {found.model}, {found.deletions} deleted: {found.forget_seconds:.2f} s of "
        f"{found.train_seconds:.2f} s, {found.ratio:.3f}, {equal}"
    )


if __name__ == "__main__":
    typer.run(main)
