"""Alignment equals a plain join of the identifiers, and tokens equal the standard library's HMAC."""

import hashlib
import hmac

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation import align
from federation.messages import COORDINATOR
from federation.roles import Parties, Rehearsal
from privacy import matching
from privacy.errors import ConfigInvalid, CryptoError, IdentifierInvalid

KEY = bytes(range(32))


def rehearse(lists, k_min=1):
    """Align named identifier lists (the first is the label holder's); returns the results by name."""
    names = list(lists)
    parties = Parties(names[0], tuple(names[1:]))
    roles = {COORDINATOR: align.Coordinator(parties, k_min=k_min)}
    for name in names:
        role = align.LabelHolder if name == names[0] else align.FeatureHolder
        roles[name] = role(parties, "phone", lists[name], k_min=k_min)
    return Rehearsal(roles).run()


@given(st.binary(min_size=32, max_size=32), st.lists(st.text(max_size=30), unique=True, max_size=20))
def test_tokens_are_truncated_hmac(key, identifiers):
    blinded = matching.blind(key, "phone", identifiers)
    own = [hmac.digest(key, b"phone\x00" + one.encode(), hashlib.sha256)[:16] for one in identifiers]
    assert matching.dump_tokens(blinded.tokens) == b"".join(sorted(own))
    assert [own[row] for row in blinded.rows] == sorted(own)


def test_tokens_of_text_and_bytes_agree_and_kinds_differ():
    text = matching.blind(KEY, "phone", ["13800000001", "张"])
    raw = matching.blind(KEY, "phone", [b"13800000001", "张".encode()])
    other = matching.blind(KEY, "card", ["13800000001", "张"])
    assert text.tokens.tobytes() == raw.tokens.tobytes()
    assert not set(text.tokens.tolist()) & set(other.tokens.tolist())


def test_subject_refs_are_hmac_under_a_derived_key():
    # HKDF (RFC 5869) with an empty salt, by hand: extract, then one block of expand.
    extracted = hmac.digest(bytes(32), KEY, hashlib.sha256)
    derived = hmac.digest(extracted, b"silhouette subject reference v1\x01", hashlib.sha256)
    tokens = matching.blind(KEY, "phone", ["a", "b", "c"]).tokens
    expected = b"".join(
        hmac.digest(derived, tokens.tobytes()[at : at + 16], hashlib.sha256)[:16] for at in (0, 16, 32)
    )
    assert matching.subject_refs(KEY, tokens).tobytes() == expected


def test_the_row_digest_is_an_hmac_that_depends_on_key_rows_and_order():
    references = matching.subject_refs(KEY, matching.blind(KEY, "phone", ["a", "b", "c"]).tokens)
    digest = align.row_digest(KEY, references)
    label = b"\x00silhouette align check v1\x00"
    assert digest == hmac.digest(KEY, label + references.tobytes(), hashlib.sha256)
    others = [references[::-1], references[:2], references[[0, 1, 1]], references[:0]]
    found = {align.row_digest(KEY, other) for other in others} | {align.row_digest(KEY[::-1], references)}
    assert len(found) == 5
    assert digest not in found


@given(st.lists(st.sets(st.integers(0, 60)), min_size=1, max_size=4))
def test_intersect_equals_sets(groups):
    # Tokens that end in zero bytes: NumPy strips those from single elements.
    def token(number):
        return bytes([number // 8, 0, number % 8]) + bytes(13)

    lists = [
        np.frombuffer(b"".join(sorted(token(one) for one in group)), "S16") if group else np.zeros(0, "S16")
        for group in groups
    ]
    shared = sorted(token(one) for one in set.intersection(*groups))
    for positions, group in zip(matching.intersect(lists), groups, strict=True):
        own = sorted(token(one) for one in group)
        assert [own[place] for place in positions] == shared


@settings(max_examples=40)
@given(st.data(), st.integers(2, 4))
def test_aligned_rows_equal_the_join(data, n_parties):
    lists = {
        f"party{place}": data.draw(st.lists(st.integers(0, 40).map(str), unique=True, min_size=1))
        for place in range(n_parties)
    }
    shared = set.intersection(*(set(one) for one in lists.values()))
    shared.add("everybody")
    lists = {name: [*one, "everybody"] for name, one in lists.items()}
    results = rehearse(lists)
    orders = {name: [lists[name][row] for row in results[name].rows] for name in lists}
    first = orders["party0"]
    assert set(first) == shared
    assert len(first) == len(shared)
    assert all(order == first for order in orders.values())
    references = {results[name].subject_refs.tobytes() for name in lists}
    assert len(references) == 1
    assert len({row.tobytes() for row in results["party0"].subject_refs}) == len(shared)
    assert results[COORDINATOR] == align.Overlap({name: len(one) for name, one in lists.items()}, len(shared))


def test_a_large_alignment_equals_pandas():
    generator = np.random.default_rng(4)
    people = generator.choice(10**10, 30_000, replace=False)
    tables = {
        name: pd.DataFrame({"id": generator.choice(people, size, replace=False).astype(str)})
        for name, size in (("bank", 20_000), ("shop", 15_000), ("telco", 18_000))
    }
    results = rehearse({name: table["id"].tolist() for name, table in tables.items()}, k_min=50)
    joined = tables["bank"].merge(tables["shop"], on="id").merge(tables["telco"], on="id")
    for name, table in tables.items():
        aligned = table["id"].iloc[results[name].rows]
        assert aligned.reset_index(drop=True).equals(
            tables["bank"]["id"].iloc[results["bank"].rows].reset_index(drop=True)
        )
        assert set(aligned) == set(joined["id"])


def test_the_common_order_is_not_the_tables():
    identifiers = [f"{number:011d}" for number in range(500)]
    rows = rehearse({"bank": identifiers, "shop": identifiers})["bank"].rows
    assert abs(np.corrcoef(rows, np.arange(500))[0, 1]) < 0.3


def test_bad_inputs_are_refused():
    with pytest.raises(IdentifierInvalid) as caught:
        matching.blind(KEY, "phone", ["x", "y", "x"])
    assert caught.value.values == {"count": 1}
    with pytest.raises(CryptoError):
        matching.blind(KEY[:31], "phone", ["x"])
    for kind in ("", "a\x00b"):
        with pytest.raises(ConfigInvalid):
            matching.blind(KEY, kind, ["x"])
