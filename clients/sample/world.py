"""A synthetic world of three data holders with shared customers: tables, consents, and the truth."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from clients.sample import dirt
from clients.sample.consents import draw_consents
from clients.sample.people import FEATURES, PARTIES, PERSONAS, draw_people
from privacy.errors import ConfigInvalid

MINOR_SHARE: Final = 0.002
MINOR_AGES: Final = (8, 14)
"""Whole years, upper bound excluded: all under 14 on `dirt.SNAPSHOT`."""
CHANGED_PHONES: Final = 0.03
DUPLICATE_ROWS: Final = 0.01
MINIMUM_PEOPLE: Final = 100

PERSON_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "bank": ("resident_id", "gender", "age", "city_tier"),
    "ecommerce": ("gender", "birth_date"),
    "telecom": ("resident_id", "age", "city_tier"),
}
"""What each party knows about a person besides the phone and its own features."""

_CANARY_COLUMN: Final = {
    "bank": "deposit_balance",
    "ecommerce": "average_order_value",
    "telecom": "monthly_spend",
}
_STREAMS: Final = ("people", "minors", "identifiers", "attitude", *PARTIES)


@dataclass(frozen=True, slots=True)
class World:
    """tables and consents: what each party holds, as it would lie in its files.

    truth: a row per person: persona, hidden factors, default probability, the clean phone each party has on
        record (empty where the person is no customer). Only tests and demonstrations may read it.
    summary: seed, sizes, persona names, counts of planted dirt, canaries; the content of `truth.json`.
    """

    tables: Mapping[str, pd.DataFrame]
    consents: Mapping[str, pd.DataFrame]
    truth: pd.DataFrame
    summary: Mapping[str, Any]


def make_world(people: int, seed: int) -> World:
    """The world of `people` persons; the same for the same arguments.

    Usual sizes: 60,000 (benchmarks), 24,000 (demonstrations), 3,000 (tests). Raises `ConfigInvalid` below
    100 people.
    """
    if people < MINIMUM_PEOPLE:
        raise ConfigInvalid("sample_too_small", people=people, minimum=MINIMUM_PEOPLE)
    # A stream for each part: a change in one part leaves the others as they were.
    streams = dict(zip(_STREAMS, np.random.SeedSequence(seed).spawn(len(_STREAMS)), strict=True))
    rng = {name: np.random.default_rng(stream) for name, stream in streams.items()}

    persons = draw_people(people, rng["people"])
    minor = rng["minors"].random(people) < MINOR_SHARE
    persons["minor"] = minor
    persons.loc[minor, "age"] = rng["minors"].integers(*MINOR_AGES, int(minor.sum()))
    _identify(persons, rng["identifiers"])
    attitude = rng["attitude"].normal(size=people)

    tables, consents, planted = {}, {}, {}
    for party in PARTIES:
        customers = persons.index[persons[f"in_{party}"]].to_numpy()
        consents[party] = draw_consents(
            persons.loc[customers, f"phone_{party}"].tolist(), attitude[customers], party, rng[party]
        )
        tables[party], planted[party] = _party_table(persons, party, customers, rng[party])
    return World(tables, consents, _truth(persons), _summary(persons, seed, planted))


def write_world(world: World, folder: Path) -> None:
    """Writes `customers.csv` and `consents.csv` in a folder per party, `truth.csv` and `.json` beside."""
    for party in PARTIES:
        home = folder / party
        home.mkdir(parents=True, exist_ok=True)
        world.tables[party].to_csv(home / "customers.csv", index=False, lineterminator="\n")
        world.consents[party].to_csv(home / "consents.csv", index=False, lineterminator="\n")
    world.truth.to_csv(folder / "truth.csv", index=False, lineterminator="\n")
    text = json.dumps(world.summary, ensure_ascii=False, indent=2)
    (folder / "truth.json").write_text(text + "\n", encoding="utf-8")


def _identify(persons: pd.DataFrame, rng: np.random.Generator) -> None:
    """Gives everyone a birth date, a resident ID and a phone; 3 % have another phone at one party."""
    births = dirt.birth_dates(persons["age"].tolist(), rng)
    persons["birth_date"] = [born.isoformat() for born in births]
    persons["resident_id"] = dirt.resident_ids(births, persons["female"].tolist())
    persons["gender"] = np.where(persons["female"], "F", "M")
    changed = rng.random(len(persons)) < CHANGED_PHONES
    changed_at = rng.integers(0, len(PARTIES), len(persons))
    phones = dirt.draw_phones(len(persons) + int(changed.sum()), rng)
    usual, other = phones[: len(persons)], iter(phones[len(persons) :])
    second = [next(other) if is_changed else phone for is_changed, phone in zip(changed, usual, strict=True)]
    for position, party in enumerate(PARTIES):
        persons[f"phone_{party}"] = np.where(changed & (changed_at == position), second, usual)


def _party_table(
    persons: pd.DataFrame, party: str, customers: np.ndarray[Any, Any], rng: np.random.Generator
) -> tuple[pd.DataFrame, dict[str, Any]]:
    repeated = rng.choice(customers, round(DUPLICATE_ROWS * len(customers)), replace=False)
    rows = rng.permutation(np.concatenate([customers, repeated]))
    held = persons.loc[rows].reset_index(drop=True)
    features = [feature.name for feature in FEATURES if feature.party == party]
    label = ["default_12m"] if party == "bank" else []
    table = held[[f"phone_{party}", *PERSON_COLUMNS[party], *features, *label]].rename(
        columns={f"phone_{party}": "phone"}
    )
    table["remark"] = dirt.remarks(table["phone"].tolist(), held["resident_id"].tolist(), rng)
    table["phone"], counts = dirt.misspell_phones(table["phone"], rng)
    counts |= {
        "duplicate_rows": len(repeated),
        "missing_cells": dirt.drop_cells(table, features, rng),
        "impossible_ages": dirt.spoil_ages(table, rng),
    }
    canaries = dirt.plant_canaries(table, party, _CANARY_COLUMN[party], rng)
    return table, {"customers": len(customers), "rows": len(table), "dirt": counts, "canaries": canaries}


def _truth(persons: pd.DataFrame) -> pd.DataFrame:
    truth = persons[
        ["persona", "affluence", "self_control", "stability", "default_probability", "default_12m"]
    ].copy()
    truth.insert(0, "person", np.arange(len(persons)))
    truth["minor"] = persons["minor"].astype(int)
    for party in PARTIES:
        truth[f"phone_{party}"] = persons[f"phone_{party}"].where(persons[f"in_{party}"], "")
    return truth


def _summary(persons: pd.DataFrame, seed: int, planted: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "seed": seed,
        "people": len(persons),
        "snapshot": dirt.SNAPSHOT.isoformat(),
        "personas": list(PERSONAS),
        "minors": int(persons["minor"].sum()),
        "parties": dict(planted),
    }
