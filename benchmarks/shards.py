"""`python -m benchmarks.shards`: what training in shards costs in quality, and what forgetting a person takes with it.

Quality and the plain times are those of the plaintext twin (`federation.shards_twin`), whose scores are the protocol's.
`forget_jointly` times the protocol itself, all roles in one process: there ciphertexts take nearly all the time.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import pandas as pd
import typer
from rich.console import Console
from sklearn.model_selection import train_test_split

from federation import metrics
from federation.binning import Integers
from federation.boosting_options import BoostingOptions
from federation.roles import Parties, Rehearsal, View
from federation.row_weights import Floats, probabilities
from federation.shards import ShardedFeatureHolder, ShardedLabelHolder
from federation.shards_records import content_digest, deal
from federation.shards_twin import ShardTwin, fit_shard
from privacy.paillier_secret import SecretKey

EXAMPLE: Final = Path(__file__).resolve().parents[1] / "examples" / "default_credit"
FILES: Final = ("default_credit_hetero_guest.csv", "default_credit_hetero_host.csv")
SHARDS: Final = (1, 5, 10)
SEED: Final = 42
SYNTHETIC_ROWS: Final = 30_000
OPTIONS: Final = BoostingOptions(trees=20, depth=5, bins=32, learning_rate=0.3)
"""Of the example's job."""
PARTIES: Final = Parties("bank", ("partner",))


@dataclass(frozen=True, slots=True)
class Pooled:
    """values: (n_rows, n_fields), the first `n_local` the bank's; labels: (n_rows,) 0 or 1."""

    name: str
    values: Floats
    labels: Integers
    n_local: int

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(f"f{place}" for place in range(self.values.shape[1]))

    def split(self) -> tuple[Integers, Integers]:
        """Training and held-out rows: 70 % and 30 %, stratified."""
        rows = np.arange(len(self.labels))
        train, test = train_test_split(rows, test_size=0.3, random_state=SEED, stratify=self.labels)
        return np.sort(train), np.sort(test)


@dataclass(frozen=True, slots=True)
class Forgetting:
    """Seconds of training and of training again without some people; how many of the shards had to be.

    is_equal: whether the outcome is that of a whole training without them, node for node.
    """

    shards: int
    deletions: int
    touched: int
    train_seconds: float
    forget_seconds: float
    is_equal: bool

    @property
    def ratio(self) -> float:
        return self.forget_seconds / self.train_seconds


def default_credit(folder: Path) -> Pooled:
    """The public credit data (examples/default_credit/README.md), from the folder of its two files."""
    bank, partner = (pd.read_csv(folder / name) for name in FILES)
    joined = bank.merge(partner, on="id", suffixes=("_bank", "_partner"))
    columns = [name for name in joined if name not in ("id", "y")]
    values = joined[columns].to_numpy(dtype=np.float64)
    return Pooled("default_credit", values, joined["y"].to_numpy(dtype=np.int64), bank.shape[1] - 2)


def synthetic(rows: int = SYNTHETIC_ROWS) -> Pooled:
    """Fourteen columns at two parties, some of them missing; the label depends on eight, together too."""
    rng = np.random.default_rng(SEED)
    values = rng.normal(size=(rows, 14))
    weights = np.array([0.6, -0.5, 0.4, 0.3, 0.7, -0.4, 0.3, 0.2])
    logit = values[:, [0, 1, 2, 3, 7, 8, 9, 10]] @ weights + 0.5 * values[:, 0] * values[:, 7] - 1.5
    labels = (rng.random(rows) < probabilities(logit)).astype(np.int64)
    values[rng.random(values.shape) < 0.03] = np.nan
    return Pooled("synthetic", values, labels, 7)


def train(pooled: Pooled, rows: Integers, shards: int, options: BoostingOptions = OPTIONS) -> list[ShardTwin]:
    """All shards, in the plaintext twin."""
    dealt = deal(rows, shards, SEED)
    return [_fit(pooled, rows[dealt == place], place, options) for place in range(shards)]


def quality(pooled: Pooled, shards: int, options: BoostingOptions = OPTIONS) -> float:
    """AUC on the held-out rows."""
    rows, test = pooled.split()
    scores = [part.decision_function(pooled.values[test]) for part in train(pooled, rows, shards, options)]
    return metrics.auc(pooled.labels[test], np.mean(scores, axis=0))


def forget(pooled: Pooled, shards: int, deletions: int, options: BoostingOptions = OPTIONS) -> Forgetting:
    """Train, delete people drawn at random, train what held them again: the plaintext twin."""
    rows, _ = pooled.split()
    started = time.perf_counter()
    parts = train(pooled, rows, shards, options)
    trained = time.perf_counter()
    staying = _without(rows, deletions)
    dealt, before = deal(staying, shards, SEED), deal(rows, shards, SEED)
    touched = [place for place in range(shards) if (dealt == place).sum() < (before == place).sum()]
    for place in touched:
        parts[place] = _fit(pooled, staying[dealt == place], place, options)
    done = time.perf_counter()
    is_equal = parts == train(pooled, staying, shards, options)
    return Forgetting(shards, deletions, len(touched), trained - started, done - trained, is_equal)


def forget_jointly(
    pooled: Pooled, shards: int, deletions: int, key_bits: int = 2048, options: BoostingOptions = OPTIONS
) -> Forgetting:
    """The same between a bank and a partner, by the protocol: all roles in this process, nothing sent anywhere."""
    rows, _ = pooled.split()
    secret = SecretKey.generate(key_bits, testing_only=True)
    seeds = [secrets.randbits(62) for _ in range(shards)]
    trained, kept = _run(pooled, rows, shards, secret, options, seeds=seeds)
    staying = _without(rows, deletions)
    forgotten, again = _run(pooled, staying, shards, secret, options, kept=kept)
    pairs = list(zip(kept[0].shards.parts, again[0].shards.parts, strict=True))
    touched = sum(before != after for before, after in pairs)
    _, fresh = _run(pooled, staying, shards, secret, options, seeds=seeds)
    is_equal = all(
        content_digest(one.result) == content_digest(other.result)
        for one, other in zip(again, fresh, strict=True)
    )
    return Forgetting(shards, deletions, touched, trained, forgotten, is_equal)


def _run(
    pooled: Pooled,
    rows: Integers,
    shards: int,
    secret: SecretKey,
    options: BoostingOptions,
    *,
    seeds: Sequence[int] | None = None,
    kept: Any = None,
) -> tuple[float, Any]:
    """(seconds, (the label holder's role, the partner's)) of one training. The held-out rows are no part of it."""
    fields, n_local = pooled.fields, pooled.n_local
    values, everybody = pooled.values[rows], np.arange(len(rows))
    started = time.perf_counter()
    holder = ShardedLabelHolder(
        PARTIES, View(fields[:n_local], values[:, :n_local]), pooled.labels[rows], everybody, options,
        shards=shards, deal_seed=SEED, decryptor=secret, public_key=secret.public, row_keys=rows, seeds=seeds,
        kept=None if kept is None else kept[0].shards,
    )  # fmt: skip
    partner = ShardedFeatureHolder(
        PARTIES, View(fields[n_local:], values[:, n_local:]), options, secret.public.bits,
        shards=shards, row_keys=rows, kept=None if kept is None else kept[1].shards,
    )  # fmt: skip
    Rehearsal({"bank": holder, "partner": partner}).run()
    return time.perf_counter() - started, (holder, partner)


def _fit(pooled: Pooled, rows: Integers, seed: int, options: BoostingOptions) -> ShardTwin:
    values, labels = pooled.values[rows], pooled.labels[rows]
    return fit_shard(pooled.fields, values, labels, options, rows, seed, pooled.n_local)


def _without(rows: Integers, deletions: int) -> Integers:
    gone = np.random.default_rng(SEED).choice(rows, size=deletions, replace=False)
    return np.setdiff1d(rows, gone)


def main(
    data: Annotated[Path, typer.Option(help="Folder of the two files of the public credit data.")] = EXAMPLE
    / "data",
    joint_rows: Annotated[
        int, typer.Option(help="Rows of the synthetic table for the protocol; 0: none.")
    ] = 6000,
    key_bits: Annotated[int, typer.Option(help="Of the key in the protocol.")] = 2048,
) -> None:
    """AUC by the number of shards, and the time of forgetting beside that of training."""
    console = Console(highlight=False)
    tables = [synthetic()]
    if all((data / name).exists() for name in FILES):
        tables.append(default_credit(data))
    else:
        console.print(f"No public data in {data}: see {EXAMPLE.name}/README.md.", style="yellow")
    for pooled in tables:
        for shards in SHARDS:
            console.print(f"{pooled.name}, {shards} shards: AUC {quality(pooled, shards):.4f}")
            for deletions in (1, 10, 100):
                _show(console, pooled, forget(pooled, shards, deletions))
    if joint_rows:
        small = synthetic(joint_rows)
        for shards in SHARDS:
            console.print(f"By the protocol, {joint_rows} rows, {key_bits} bits:")
            _show(console, small, forget_jointly(small, shards, 1, key_bits))


def _show(console: Console, pooled: Pooled, found: Forgetting) -> None:
    equal = "equal" if found.is_equal else "NOT EQUAL"
    console.print(
        f"  {pooled.name}: {found.shards} shards, {found.deletions} deleted, {found.touched} trained again: "
        f"{found.forget_seconds:.2f} s of {found.train_seconds:.2f} s, {found.ratio:.3f}, {equal}"
    )


if __name__ == "__main__":
    typer.run(main)
