"""A synthetic world of three data holders with shared firms: tables, authorisations, and the truth."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from clients.sample import dirt, enterprise_dirt
from clients.sample.enterprise_consents import draw_authorisations
from clients.sample.enterprises import (
    COLUMNS,
    ENTERPRISE_PARTIES,
    TYPES,
    draw_enterprises,
    electricity_columns,
)
from clients.sample.world import World
from privacy.errors import ConfigInvalid

DUPLICATE_ROWS: Final = 0.005
MINIMUM_ENTERPRISES: Final = 100
DEFAULT_ENTERPRISES: Final = 8_000

_LABEL: Final = {"bank": ("default_12m",)}
_CANARY_COLUMN: Final = {
    "bank": "annual_revenue",
    "platform": "years_registered",
    "utility": "lines_per_employee",
}
_STREAMS: Final = ("firms", "identifiers", "authorisations", *ENTERPRISE_PARTIES)


def columns_of(party: str) -> tuple[str, ...]:
    """All numeric columns of one party's file but the label, in its order."""
    names = tuple(column.name for column in COLUMNS if column.party == party)
    return (*names, *electricity_columns()) if party == "utility" else names


def make_enterprises(enterprises: int, seed: int) -> World:
    """The world of `enterprises` firms; the same for the same arguments.

    Its truth has a row per firm: type, hidden factors, probability and month of default, month of decline, and the
    code that each party has on record (empty where it does not deal with the firm). Only the bank has consents: the
    firm's authorisation and the owner's own word (`enterprise_consents`); what the others hold of a firm is no personal
    information (PIPL article 4).

    Usual sizes: 8,000 (demonstrations, benchmarks), 2,000 (tests). Raises `ConfigInvalid` below 100.
    """
    if enterprises < MINIMUM_ENTERPRISES:
        raise ConfigInvalid("enterprises_too_few", count=enterprises, minimum=MINIMUM_ENTERPRISES)
    streams = dict(zip(_STREAMS, np.random.SeedSequence(seed).spawn(len(_STREAMS)), strict=True))
    rng = {name: np.random.default_rng(stream) for name, stream in streams.items()}
    firms = draw_enterprises(enterprises, rng["firms"])
    firms["uscc"] = enterprise_dirt.draw_codes(enterprises, rng["identifiers"])
    firms["firm_name"] = enterprise_dirt.invent_names(firms["type"].tolist(), rng["identifiers"])
    tables, planted = {}, {}
    for party in ENTERPRISE_PARTIES:
        tables[party], planted[party] = _party_table(firms, party, rng[party])
    book = firms.loc[firms["in_bank"], "uscc"].tolist()
    consents = {"bank": draw_authorisations(book, rng["authorisations"])}
    summary = {
        "seed": seed,
        "enterprises": enterprises,
        "snapshot": dirt.SNAPSHOT.isoformat(),
        "types": list(TYPES),
        "parties": planted,
    }
    return World(tables, consents, _truth(firms), summary)


def write_enterprises(world: World, folder: Path) -> None:
    """Writes `firms.csv` in a folder per party, the bank's `consents.csv`, `truth.csv` and `.json` beside."""
    for party, table in world.tables.items():
        home = folder / party
        home.mkdir(parents=True, exist_ok=True)
        table.to_csv(home / "firms.csv", index=False, lineterminator="\n")
    for party, log in world.consents.items():
        log.to_csv(folder / party / "consents.csv", index=False, lineterminator="\n")
    world.truth.to_csv(folder / "truth.csv", index=False, lineterminator="\n")
    text = json.dumps(world.summary, ensure_ascii=False, indent=2)
    (folder / "truth.json").write_text(text + "\n", encoding="utf-8")


def _party_table(
    firms: pd.DataFrame, party: str, rng: np.random.Generator
) -> tuple[pd.DataFrame, Mapping[str, Any]]:
    members = firms.index[firms[f"in_{party}"]].to_numpy()
    repeated = rng.choice(members, round(DUPLICATE_ROWS * len(members)), replace=False)
    rows = rng.permutation(np.concatenate([members, repeated]))
    names = columns_of(party)
    table = firms.loc[rows, ["uscc", "firm_name", *names, *_LABEL.get(party, ())]].reset_index(drop=True)
    table["remark"] = enterprise_dirt.remarks(len(table), rng)
    table["uscc"], counts = enterprise_dirt.misspell_codes(table["uscc"], rng)
    counts |= {
        "duplicate_rows": len(repeated),
        "missing_cells": dirt.drop_cells(table, names, rng, enterprise_dirt.MISSING_CELLS),
    }
    canaries = dirt.plant_canaries(table, party, _CANARY_COLUMN[party], rng)
    return table, {"customers": len(members), "rows": len(table), "dirt": counts, "canaries": canaries}


def _truth(firms: pd.DataFrame) -> pd.DataFrame:
    names = [
        "type", "health", "governance", "owner", "default_probability", "default_12m", "default_month", "decline_month",
    ]  # fmt: skip
    truth = firms[names].copy()
    truth.insert(0, "firm", np.arange(len(firms)))
    for party in ENTERPRISE_PARTIES:
        truth[f"uscc_{party}"] = firms["uscc"].where(firms[f"in_{party}"], "")
    return truth
