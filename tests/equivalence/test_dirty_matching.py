"""Dirty tables of 100,000 rows match to exactly the rows that pandas merges on the clean truth."""

import numpy as np
import pandas as pd
import pytest
from dirty_tables import PHONE_PREFIX, clean_ids, dirty_party, expected
from matching_parties import plan, roles_of

from clients.tables import TableSpec
from clients.tables.loading import load
from federation import align_oprf
from federation.jobs import MatchMode
from federation.roles import Parties, Rehearsal
from privacy.identifiers import IdentifierKind

SUBJECTS, ROWS, K_MIN = 150_000, 100_000, 50
NAMES = ("bank", "shop", "telco")


@pytest.fixture(scope="module")
def parties(tmp_path_factory):
    """Per party: what it loads from its file, and the clean truth about the file's rows."""
    folder = tmp_path_factory.mktemp("dirty")
    generator = np.random.default_rng(31)
    people = np.array(clean_ids(generator, SUBJECTS), dtype=object)
    found = {}
    for name in NAMES:
        frame = dirty_party(generator, generator.choice(people, ROWS, replace=False).tolist())
        file = folder / f"{name}.parquet"
        frame[["id"]].to_parquet(file)
        spec = TableSpec(
            path=str(file), id_column="id", id_kind=IdentifierKind.PHONE, extra_prefixes=(PHONE_PREFIX,)
        )
        found[name] = load(spec, "p", []), expected(frame)
    return found


def merged(parties, names):
    """The subjects of all these parties, by plain pandas on the truth."""
    together = parties[names[0]][1][["truth"]]
    for name in names[1:]:
        together = pd.merge(together, parties[name][1][["truth"]], on="truth")
    return set(together["truth"])


def check(parties, names, results):
    """Every party's rows are the merge's subjects, in one order, and its file rows are the right ones."""
    wanted, orders = merged(parties, names), []
    for name in names:
        table, truth = parties[name]
        rows = results[name].rows
        orders.append(truth["truth"].iloc[rows].tolist())
        assert truth.index[rows].tolist() == table.rows[rows].tolist()
    assert ROWS / 5 < len(wanted) < ROWS
    assert set(orders[0]) == wanted
    assert len(orders[0]) == len(wanted)
    assert all(order == orders[0] for order in orders)


@pytest.mark.parametrize(
    ("mode", "names"),
    [(MatchMode.KEYED, NAMES[:2]), (MatchMode.KEYED, NAMES), (MatchMode.ECDH, NAMES[:2])],
    ids=["keyed two", "keyed three", "ecdh two"],
)
def test_matching_equals_the_merge(parties, mode, names):
    lists = {name: parties[name][0].identifiers for name in names}
    check(parties, names, Rehearsal(roles_of(lists, plan(mode), k_min=K_MIN, n_jobs=0)).run())


def test_the_oblivious_matching_equals_the_merge(parties):
    names = NAMES[:2]
    who = Parties("bank", ("shop",))
    holders = {"bank": align_oprf.LabelHolder, "shop": align_oprf.FeatureHolder}
    roles = {
        name: holder(who, "phone", parties[name][0].identifiers, k_min=K_MIN)
        for name, holder in holders.items()
    }
    check(parties, names, Rehearsal(roles).run())


@pytest.mark.parametrize(
    ("members", "by_pandas"),
    [
        ("bank & (shop | telco)", lambda bank, shop, telco: bank & (shop | telco)),
        ("bank - (shop & telco)", lambda bank, shop, telco: bank - (shop & telco)),
        ("(bank | shop) - telco", lambda bank, shop, telco: (bank | shop) - telco),
    ],
)
def test_set_expressions_equal_the_truth(parties, members, by_pandas):
    lists = {name: parties[name][0].identifiers for name in NAMES}
    results = Rehearsal(roles_of(lists, plan(MatchMode.KEYED, members=members), k_min=K_MIN)).run()
    truths = {name: parties[name][1]["truth"] for name in NAMES}
    wanted = by_pandas(*(set(truth) for truth in truths.values()))
    assert results["coordinator"].overlap == len(wanted)
    for name, truth in truths.items():
        assert set(truth.iloc[results[name].rows]) == wanted & set(truth)


def test_the_size_alone_is_the_merge_rounded_down(parties):
    lists = {name: parties[name][0].identifiers for name in NAMES}
    results = Rehearsal(roles_of(lists, plan(MatchMode.KEYED, size_only=True), k_min=K_MIN)).run()
    size = len(merged(parties, NAMES))
    assert {results[name].size for name in NAMES} == {size - size % K_MIN}
