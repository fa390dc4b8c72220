"""Dirty tables of several parties load to exactly the subjects that pandas sees in the clean truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from dirty_tables import PHONE_PREFIX, clean_ids, dirty_party, expected
from spelled import texts_of

from clients.tables import TableSpec
from clients.tables.loading import load
from privacy.identifiers import IdentifierKind

SUBJECTS, ROWS, PARTIES = 150_000, 100_000, 3


@pytest.mark.parametrize(
    ("kind", "suffix"), [("phone", "csv"), ("phone", "parquet"), ("resident_id", "parquet"), ("card", "csv")]
)
def test_three_dirty_parties_share_what_pandas_says(tmp_path, kind, suffix):
    rng = np.random.default_rng(20260)
    people = np.array(clean_ids(rng, SUBJECTS, kind), dtype=object)
    truths, loaded = [], []
    for party in range(PARTIES):
        frame = dirty_party(rng, rng.choice(people, ROWS, replace=False).tolist(), kind)
        file = tmp_path / f"{party}.{suffix}"
        cells = frame[["id", "x"]]  # a line with nothing but an empty cell would be no row of a CSV file
        cells.to_csv(file, index=False) if suffix == "csv" else cells.to_parquet(file)
        truth = expected(frame)
        spec = TableSpec(
            path=str(file), id_column="id", id_kind=IdentifierKind(kind), extra_prefixes=(PHONE_PREFIX,)
        )
        table = load(spec, "p", [])
        assert texts_of(table.identifiers) == truth["truth"].tolist()
        assert table.rows.tolist() == truth.index.tolist()
        truths.append(truth[["truth"]])
        loaded.append(set(texts_of(table.identifiers)))
    pair = pd.merge(truths[0], truths[1], on="truth")
    everybody = pd.merge(pair, truths[2], on="truth")
    assert loaded[0] & loaded[1] == set(pair["truth"])
    assert loaded[0] & loaded[1] & loaded[2] == set(everybody["truth"])
    assert ROWS / 5 < len(everybody) < len(pair) < ROWS
