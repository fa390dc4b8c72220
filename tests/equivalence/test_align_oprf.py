"""The two-party oblivious matching equals a plain join, and refuses what a peer may not send."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matching_parties import as_identifiers
from refusing import refuses

from federation import align_oprf
from federation.align_messages import RowCheck
from federation.roles import Parties, Rehearsal
from federation.wire import decode, encode, tag_of
from privacy.errors import CohortTooSmall, CryptoError, MessageInvalid, UnexpectedMessage

PARTIES = Parties("bank", ("shop",))
OWN = [f"1390000{number:04d}" for number in range(40)]
OTHER = [f"1390000{number:04d}" for number in range(20, 80)]


def roles_of(bank, shop, k_min=1):
    return {
        "bank": align_oprf.LabelHolder(PARTIES, "phone", as_identifiers(bank), k_min=k_min),
        "shop": align_oprf.FeatureHolder(PARTIES, "phone", as_identifiers(shop), k_min=k_min),
    }


def rehearse(bank, shop, k_min=1):
    rehearsal = Rehearsal(roles_of(bank, shop, k_min), lambda message: decode(encode(message)))
    return rehearsal.run(), rehearsal.transcript


@settings(max_examples=10, deadline=None)
@given(st.sets(st.integers(0, 60), min_size=1), st.sets(st.integers(0, 60), min_size=1))
def test_rows_equal_the_join(bank, shop):
    lists = {name: [str(one) for one in {*own, 99}] for name, own in (("bank", bank), ("shop", shop))}
    results, _ = rehearse(lists["bank"], lists["shop"])
    orders = {name: [lists[name][row] for row in results[name].rows] for name in lists}
    assert orders["bank"] == orders["shop"]
    assert set(orders["bank"]) == set(lists["bank"]) & set(lists["shop"])
    assert len(orders["bank"]) == results["bank"].size == results["shop"].size
    assert results["bank"].subject_refs.tobytes() == results["shop"].subject_refs.tobytes()


def test_several_buckets_equal_pandas():
    generator = np.random.default_rng(3)
    everyone = generator.choice(10**10, 60_000, replace=False)
    bank, shop = (
        pd.DataFrame({"id": generator.choice(everyone, size, replace=False).astype(str)})
        for size in (45_000, 20_000)
    )
    results, transcript = rehearse(bank["id"].tolist(), shop["id"].tolist(), k_min=50)
    joined = bank.merge(shop, on="id")
    assert set(bank["id"].iloc[results["bank"].rows]) == set(joined["id"])
    assert bank["id"].iloc[results["bank"].rows].tolist() == shop["id"].iloc[results["shop"].rows].tolist()
    assert sum(isinstance(message, align_oprf.Correction) for _, _, message in transcript) > 1


def test_only_declared_messages_cross_and_no_identifier():
    _, transcript = rehearse(OWN, OTHER, k_min=5)
    received = {"bank": set(), "shop": set()}
    for _, recipient, message in transcript:
        received[recipient].add(tag_of(message))
        data = encode(message)
        assert not any(one.encode() in data for one in [*OWN, *OTHER])
    declared = {
        "bank": {tag for one in align_oprf.DISCLOSES.label_holder for tag in one.messages},
        "shop": {tag for one in align_oprf.DISCLOSES.feature_holder for tag in one.messages},
    }
    assert received == declared


def test_small_lists_and_overlaps_are_refused_without_the_number():
    for bank, shop, key in [
        (OWN[:4], OTHER, "align_list_small"),
        (OWN, OTHER[:4], "align_list_small"),
        (OWN[:24], OTHER, "align_overlap_small"),
    ]:
        with pytest.raises(CohortTooSmall) as caught:
            rehearse(bank, shop, k_min=5)
        assert (caught.value.key, caught.value.values) == (key, {"k_min": 5})


def scene(until):
    """Roles that have exchanged everything up to the first message of type `until`, which is returned too."""
    roles = roles_of(OWN, OTHER, k_min=5)
    queue = [("bank", out) for out in roles["bank"].start()]
    while queue:
        sender, out = queue.pop(0)
        if isinstance(out.message, until):
            return roles, sender, out
        queue += [(out.to, reply) for reply in roles[out.to].receive(sender, out.message)]
    raise AssertionError(until)


@pytest.mark.parametrize(
    ("until", "change", "error", "key"),
    [
        (align_oprf.Begin, {"kind": "card"}, MessageInvalid, "align_kind_differs"),
        (align_oprf.Begin, {"key": b"short"}, CryptoError, "align_key_length"),
        (align_oprf.Begin, {"count": 0}, MessageInvalid, "align_tokens_too_many"),
        (align_oprf.Begin, {"count": 50_000_001}, MessageInvalid, "align_tokens_too_many"),
        (align_oprf.Join, {"count": -1}, MessageInvalid, "align_tokens_too_many"),
        (align_oprf.Offer, {"data": b"x"}, MessageInvalid, "oprf_message_length"),
        (align_oprf.Choices, {"data": b"x"}, MessageInvalid, "oprf_message_length"),
        (align_oprf.FunctionKey, {"data": b"x"}, MessageInvalid, "oprf_message_length"),
        (align_oprf.Correction, {"data": b"x"}, MessageInvalid, "oprf_message_length"),
        (align_oprf.Correction, {"bucket": 1}, UnexpectedMessage, None),
        (align_oprf.BucketWanted, {"bucket": 1}, UnexpectedMessage, None),
        (align_oprf.Values, {"tokens": bytes(15)}, MessageInvalid, "align_tokens_length"),
        (align_oprf.Values, {"tokens": b"b" * 16}, MessageInvalid, "align_list_invalid"),
        (align_oprf.Values, {"parts": 2}, MessageInvalid, "align_parts_invalid"),
        (align_oprf.Values, {"part": 1}, MessageInvalid, "align_parts_invalid"),
        (align_oprf.Shared, {"positions": np.arange(5)}, MessageInvalid, "align_positions_type"),
        (align_oprf.Shared, {"positions": np.arange(4, dtype=np.uint32)}, CohortTooSmall, "align_overlap_small"),
        (align_oprf.Shared, {"positions": np.full(9, 3, dtype=np.uint32)}, MessageInvalid, "align_positions_order"),
        (RowCheck, {"digest": bytes(31)}, MessageInvalid, "align_check_length"),
        (RowCheck, {"digest": bytes(32)}, MessageInvalid, "align_rows_differ"),
    ],
)  # fmt: skip
def test_tampered_messages_are_refused(until, change, error, key):
    roles, sender, out = scene(until)
    fields = {name: getattr(out.message, name) for name in out.message.__struct_fields__}
    refuses(error, roles[out.to], sender, until(**(fields | change)), *([key] if key else []))


@pytest.mark.parametrize("kind", [*align_oprf.MESSAGES, RowCheck])
def test_messages_from_others_twice_or_at_the_wrong_party_are_refused(kind):
    roles, sender, out = scene(kind)
    refuses(UnexpectedMessage, roles[out.to], "mallory", out.message)
    refuses(UnexpectedMessage, roles[sender], out.to, out.message)
    roles[out.to].receive(sender, out.message)
    refuses(UnexpectedMessage, roles[out.to], sender, out.message)
