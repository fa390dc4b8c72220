"""Matching equals a plain join of the identifiers, in every mode, and set expressions equal Python's sets."""

import hashlib
import hmac

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matching_parties import as_identifiers, plan, rehearse

from federation import align, align_ring
from federation.jobs import MatchMode
from federation.messages import COORDINATOR
from privacy import matching

KEY = bytes(range(32))
MODES = (MatchMode.KEYED, MatchMode.ECDH)


def test_the_row_digest_is_an_hmac_that_depends_on_key_rows_and_order():
    references = matching.subject_refs(KEY, matching.blind(KEY, "phone", as_identifiers("abc")).tokens)
    digest = align.row_digest(KEY, references)
    label = b"\x00silhouette align check v1\x00"
    assert digest == hmac.digest(KEY, label + references.tobytes(), hashlib.sha256)
    others = [references[::-1], references[:2], references[[0, 1, 1]], references[:0]]
    found = {align.row_digest(KEY, other) for other in others} | {align.row_digest(KEY[::-1], references)}
    assert len(found) == 5
    assert digest not in found


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=20)
@given(data=st.data(), n_parties=st.integers(2, 4))
def test_aligned_rows_equal_the_join(mode, data, n_parties):
    lists = {
        f"party{place}": data.draw(st.lists(st.integers(0, 40).map(str), unique=True, min_size=1))
        for place in range(n_parties)
    }
    shared = set.intersection(*(set(one) for one in lists.values()))
    shared.add("everybody")
    lists = {name: [*one, "everybody"] for name, one in lists.items()}
    results, _ = rehearse(lists, plan(mode), tokens_per_part=8)
    orders = {name: [lists[name][row] for row in results[name].rows] for name in lists}
    first = orders["party0"]
    assert set(first) == shared
    assert len(first) == len(shared)
    assert all(order == first for order in orders.values())
    references = {results[name].subject_refs.tobytes() for name in lists}
    assert len(references) == 1
    assert len({row.tobytes() for row in results["party0"].subject_refs}) == len(shared)
    assert results[COORDINATOR] == align.Overlap({name: len(one) for name, one in lists.items()}, len(shared))


@pytest.mark.parametrize(("mode", "people"), [(MatchMode.KEYED, 30_000), (MatchMode.ECDH, 3_000)])
def test_a_large_alignment_equals_pandas(mode, people, monkeypatch):
    monkeypatch.setattr(align_ring, "POINTS_PER_PART", 500)
    generator = np.random.default_rng(4)
    everyone = generator.choice(10**10, people, replace=False)
    tables = {
        name: pd.DataFrame(
            {"id": generator.choice(everyone, people * share // 30, replace=False).astype(str)}
        )
        for name, share in (("bank", 20), ("shop", 15), ("telco", 18))
    }
    lists = {name: table["id"].tolist() for name, table in tables.items()}
    results, _ = rehearse(lists, plan(mode), k_min=50, tokens_per_part=4096)
    joined = tables["bank"].merge(tables["shop"], on="id").merge(tables["telco"], on="id")
    for name, table in tables.items():
        aligned = table["id"].iloc[results[name].rows].tolist()
        assert aligned == tables["bank"]["id"].iloc[results["bank"].rows].tolist()
        assert set(aligned) == set(joined["id"])


@pytest.mark.parametrize("mode", MODES)
def test_the_common_order_is_not_the_tables(mode):
    identifiers = [f"{number:011d}" for number in range(500)]
    results, _ = rehearse({"bank": identifiers, "shop": identifiers}, plan(mode))
    assert abs(np.corrcoef(results["bank"].rows, np.arange(500))[0, 1]) < 0.3


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ("bank & shop", lambda bank, shop, telco: bank & shop),
        ("bank & (shop | telco)", lambda bank, shop, telco: bank & (shop | telco)),
        ("bank - shop", lambda bank, shop, telco: bank - shop),
        ("(shop | telco) - bank", lambda bank, shop, telco: (shop | telco) - bank),
        ("bank | shop | telco", lambda bank, shop, telco: bank | shop | telco),
        ("bank & (shop | (telco - shop))", lambda bank, shop, telco: bank & (shop | (telco - shop))),
    ],
)
def test_members_are_told_to_whoever_holds_them(mode, members, expected):
    generator = np.random.default_rng(7)
    everyone = [f"139{number:08d}" for number in range(150)]
    lists = {
        name: generator.choice(everyone, 80, replace=False).tolist() for name in ("bank", "shop", "telco")
    }
    wanted = expected(*(set(one) for one in lists.values()))
    results, _ = rehearse(lists, plan(mode, members=members), k_min=5, tokens_per_part=32)
    assert results[COORDINATOR].overlap == len(wanted)
    references = {}
    for name, own in lists.items():
        found = [own[row] for row in results[name].rows]
        assert set(found) == wanted & set(own)
        for one, reference in zip(found, results[name].subject_refs, strict=True):
            assert references.setdefault(one, reference.tobytes()) == reference.tobytes()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("shared", "rounded"), [(50, 50), (57, 50), (99, 90), (10, 10)])
def test_size_only_is_the_size_rounded_down(mode, shared, rounded):
    lists = {
        "bank": [str(number) for number in range(120)],
        "shop": [str(number) for number in range(120 - shared, 200)],
    }
    results, transcript = rehearse(lists, plan(mode, size_only=True), k_min=10)
    assert results[COORDINATOR].overlap == shared
    for name in lists:
        assert (results[name].size, len(results[name].rows), len(results[name].subject_refs)) == (
            rounded,
            0,
            0,
        )
    assert not any(isinstance(message, align.Matched | align.RowCheck) for _, _, message in transcript)
