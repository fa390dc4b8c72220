"""`python -m benchmarks.enterprises`: what joining data tells about synthetic firms, with plain scikit-learn, pooled.

No cryptography and no federation: the reference that federated runs are compared with. Two populations per seed: all
firms without dirt, which is what the design was measured on, and the firms that all three parties share and that have
authorised the job, from the files as they are written: misspelled codes, gaps, scores of those owners alone who agreed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import pandas as pd
import typer
from rich.console import Console
from rich.table import Table
from scipy.stats import spearmanr
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.results import rounded, write_json
from clients.sample.enterprise_consents import OWNER_SCOPE
from clients.sample.enterprise_world import make_enterprises
from clients.sample.enterprises import (
    COLUMNS,
    ENTERPRISE_PARTIES,
    TYPES,
    draw_enterprises,
    electricity_columns,
    enterprise_fields,
)
from clients.sample.world import World
from federation.enterprise import early_warning, health, levels
from privacy.identifiers import IdentifierKind, check_of

RESULTS: Final = Path(__file__).parent / "results" / "enterprises.json"
SPLITS: Final = 8
TEST_SHARE: Final = 0.3
APPROVED: Final = 0.70
_TECHNOLOGY: Final = TYPES.index("growing_technology")

MODELS: Final = {
    "statements": enterprise_fields("bank", financial_only=True),
    "bank": enterprise_fields("bank"),
    "joint": tuple(name for party in ENTERPRISE_PARTIES for name in enterprise_fields(party)),
}


def main(
    firms: Annotated[int, typer.Option(min=1_000)] = 8_000,
    seeds: Annotated[str, typer.Option(help="Seeds of the worlds, such as 11,12,13.")] = "11,12,13,14,15",
    into: Annotated[Path, typer.Option(help="Where the JSON goes.")] = RESULTS,
) -> None:
    """Measure risk models, levels, the health score and early warnings on synthetic firms, and write them as JSON."""
    numbers = [int(seed) for seed in seeds.split(",")]
    found = measure(firms, numbers)
    write_json(into, found)
    console = Console()
    for population in ("everybody", "shared"):
        table = Table(
            "model", "AUC", "balanced accuracy", "bad rate", "good technology approved", title=population
        )
        for name, row in found[population]["models"].items():
            table.add_row(
                name,
                *(f"{row[key]:.4g}" for key in ("auc", "balanced_accuracy", "bad_rate", "good_technology")),
            )
        console.print(table)
        console.print({key: found[population][key] for key in ("firms", "over_bank", "over_statements")})
    console.print(found["levels"], found["health"], found["early_warning"])


def measure(firms: int, seeds: Sequence[int]) -> dict[str, Any]:
    """Means over seeds and `SPLITS` stratified splits each; balanced accuracy and bad rate at 70 % approval."""
    worlds = [draw_enterprises(firms, np.random.default_rng(seed)) for seed in seeds]
    shared = [shared_firms(make_enterprises(firms, seed)) for seed in seeds]
    return {
        "firms": firms,
        "seeds": list(seeds),
        "everybody": models_of(worlds),
        "shared": models_of(shared),
        "levels": _levels(worlds),
        "health": {"spearman": rounded(float(np.mean([_health(world) for world in worlds])))},
        "early_warning": _warnings(worlds),
    }


def shared_firms(world: World) -> pd.DataFrame:
    """The firms of all three parties that have authorised the job, by the files; scores of other owners are missing."""
    check = check_of(IdentifierKind.USCC)
    joined = None
    for party in ENTERPRISE_PARTIES:
        table = world.tables[party].drop(columns=["firm_name", "remark"])
        table["uscc"] = [check(code)[0] for code in table["uscc"]]
        table = table.dropna(subset="uscc").drop_duplicates("uscc", keep="last").set_index("uscc")
        joined = table if joined is None else joined.join(table, how="inner")
    log = world.consents["bank"].drop_duplicates(["uscc", "kind", "scope"], keep="last")
    granted = log[log["status"] == "granted"]
    firm = set(granted.loc[granted["kind"] == "general", "uscc"])
    owner = set(granted.loc[granted["scope"] == OWNER_SCOPE, "uscc"])
    found = pd.DataFrame(joined).loc[lambda frame: frame.index.isin(firm)].astype(np.float64)
    found["owner_credit_score"] = found["owner_credit_score"].where(found.index.isin(owner))
    book = world.truth[world.truth["uscc_bank"] != ""].set_index("uscc_bank")
    found["type"] = book["type"].reindex(found.index)
    return found


def _transformed(table: pd.DataFrame) -> pd.DataFrame:
    result = table.copy()
    for column in COLUMNS:
        if column.transform == "log1p":
            result[column.name] = np.log1p(result[column.name])
    return result


def _chances(table: pd.DataFrame, fields: Sequence[str], split: int) -> tuple[pd.DataFrame, Any]:
    """The test rows of one split, and their probabilities of default."""
    train, test = train_test_split(
        table, test_size=TEST_SHARE, random_state=split, stratify=table["default_12m"]
    )
    model = make_pipeline(
        SimpleImputer(strategy="median"), StandardScaler(), LogisticRegression(max_iter=800)
    )
    model.fit(train[list(fields)], train["default_12m"])
    return test, model.predict_proba(test[list(fields)])[:, 1]


def models_of(worlds: Sequence[pd.DataFrame], splits: int = SPLITS) -> dict[str, Any]:
    """By model of `MODELS` the means over worlds and splits, and how much better the joint one judges (relative)."""
    rows: dict[str, dict[str, Any]] = {}
    for name, fields in MODELS.items():
        found = [_judged(_transformed(world), fields, split) for world in worlds for split in range(splits)]
        rows[name] = {key: rounded(float(np.mean([one[key] for one in found]))) for key in found[0]}
    joint = rows["joint"]["balanced_accuracy"]
    return {
        "firms": round(float(np.mean([len(world) for world in worlds]))),
        "models": rows,
        "over_bank": rounded(joint / rows["bank"]["balanced_accuracy"] - 1),
        "over_statements": rounded(joint / rows["statements"]["balanced_accuracy"] - 1),
    }


def _judged(table: pd.DataFrame, fields: Sequence[str], split: int) -> dict[str, float]:
    test, chances = _chances(table, fields, split)
    bad, approved = test["default_12m"].to_numpy(), chances < np.quantile(chances, APPROVED)
    good_technology = ((test["type"] == _TECHNOLOGY) & (test["default_12m"] == 0)).to_numpy()
    return {
        "auc": float(roc_auc_score(bad, chances)),
        "balanced_accuracy": float(balanced_accuracy_score(bad, ~approved)),
        "bad_rate": float(bad[approved].mean()),
        "good_technology": float(approved[good_technology].mean()),
    }


def _levels(worlds: Sequence[pd.DataFrame]) -> dict[str, Any]:
    """Default rates by level, and in how many splits they strictly rise."""
    tables = []
    for world in worlds:
        for split in range(SPLITS):
            test, chances = _chances(_transformed(world), MODELS["joint"], split)
            plain = world.loc[test.index]
            hits = {rule.reason: rule.hits(plain[rule.column].to_numpy(np.float64)) for rule in levels.RULES}
            tables.append(
                levels.level_table(levels.assign(chances, hits).level, plain["default_12m"].to_numpy())
            )
    rates = {
        level.name: rounded(
            sum(table[level].defaults for table in tables) / sum(table[level].firms for table in tables)
        )
        for level in levels.Level
    }
    return {
        "rates": rates,
        "splits": len(tables),
        "rising": sum(levels.rises(table) for table in tables),
    }


def _health(world: pd.DataFrame) -> float:
    columns = {column.name: world[column.name].to_numpy(np.float64) for column in COLUMNS}
    return float(spearmanr(health.scores(columns, len(world)).total, world["health"])[0])


def _warnings(worlds: Sequence[pd.DataFrame]) -> dict[str, Any]:
    counts = np.zeros(6, np.int64)
    leads: list[int] = []
    for world in worlds:
        month = np.full(len(world), -1)
        for found in early_warning.first_warnings(
            world[list(electricity_columns())].to_numpy(), np.ones(len(world), np.bool_)
        ):
            month[found.row] = found.month
        default, decline = world["default_month"].to_numpy(), world["decline_month"].to_numpy()
        bad, good = default >= 0, default < 0
        in_time = bad & (month >= 0) & (month < default)
        declining = bad & (decline >= 0)
        parts = (in_time, bad, in_time & declining, declining, good & (month >= 0), good)
        counts += np.array([part.sum() for part in parts])
        leads += (default - month)[in_time].tolist()
    return {
        "recall": rounded(counts[0] / counts[1]),
        "recall_of_decliners": rounded(counts[2] / counts[3]),
        "false_alarms": rounded(counts[4] / counts[5]),
        "median_lead_months": float(np.median(leads)),
    }


if __name__ == "__main__":
    typer.run(main)
