"""What crosses the wire in matching: declared tags; no identifier; no token that an outsider could compute."""

import hashlib
from dataclasses import dataclass, field

import numpy as np
import pytest
from enumeration import found_in, sm3
from matching_parties import as_identifiers, plan, roles_of

from federation import align, align_oprf
from federation.jobs import MatchMode, MatchPlan
from federation.messages import COORDINATOR
from federation.roles import MemoryStore, Rehearsal
from federation.wire import decode, encode, tag_of
from privacy import curve, joining, matching
from privacy.errors import CohortTooSmall
from privacy.texts import LANGUAGES, catalogue

CANARIES = [f"1390000{number:04d}" for number in range(40)]
OTHERS = [f"1390007{number:04d}" for number in range(20)]
LISTS = {
    "bank": CANARIES,
    "shop": [*CANARIES[:30], *OTHERS[:10]],
    "telco": [*CANARIES[:30], *OTHERS[10:]],
}
KEYED, ECDH = plan(MatchMode.KEYED), plan(MatchMode.ECDH)
PLANS = {
    "keyed": KEYED,
    "ecdh": ECDH,
    "size_only": plan(MatchMode.ECDH, size_only=True),
    "keyed size_only": plan(MatchMode.KEYED, size_only=True),
    "members": plan(MatchMode.ECDH, members="bank & (shop | telco)"),
}
MODES = [MatchMode.KEYED, MatchMode.ECDH]
SENT = align.TokenPart | align.CirclePart


@dataclass
class Recording:
    """One matching of three parties, the wire in between, and what the coordinator has stored at the end."""

    match: MatchPlan
    lists: dict = field(default_factory=dict)
    k_min: int = 5

    def run(self):
        stores = {COORDINATOR: MemoryStore()}
        lists = {name: self.lists.get(name, CANARIES) for name in ("bank", "shop", "telco")}
        roles = roles_of(lists, self.match, k_min=self.k_min, stores=stores, tokens_per_part=16)
        rehearsal = Rehearsal(roles, lambda message: decode(encode(message)))
        self.results = rehearsal.run()
        self.transcript = rehearsal.transcript
        self.stored = stores[COORDINATOR].records
        return self

    def to(self, recipient, kind=None):
        return [
            message
            for _, to, message in self.transcript
            if to == recipient and (kind is None or isinstance(message, kind))
        ]


def record(match, **changes):
    return Recording(match, **changes).run()


def declared(disclosures, role):
    return {tag for one in getattr(disclosures, role) for tag in one.messages}


def role_of(name):
    return {"bank": "label_holder", COORDINATOR: "coordinator"}.get(name, "feature_holder")


@pytest.mark.parametrize("match", PLANS.values(), ids=PLANS)
def test_every_message_is_declared_for_its_recipient_and_nothing_else_is(match):
    received = {"label_holder": set(), "feature_holder": set(), "coordinator": set()}
    for _, recipient, message in record(match, lists=LISTS).transcript:
        received[role_of(recipient)].add(tag_of(message))
    disclosures = align.disclosures_of(match)
    assert received == {role: declared(disclosures, role) for role in received}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_disclosure_has_a_text(language):
    for disclosures in [align_oprf.DISCLOSES, *map(align.disclosures_of, PLANS.values())]:
        for role in ("label_holder", "feature_holder", "coordinator"):
            for one in getattr(disclosures, role):
                assert f"disclosures.{disclosures.protocol}.{one.what}" in catalogue(language)


@pytest.mark.parametrize("match", PLANS.values(), ids=PLANS)
def test_no_identifier_crosses_and_the_coordinator_never_gets_the_key(match):
    recording = record(match, lists=LISTS)
    keys = {message.key for message in recording.to("shop", align.MatchingKey)}
    assert len(keys) == 1
    (key,) = keys
    for sender, recipient, message in recording.transcript:
        data = encode(message)
        assert not any(canary.encode() in data for canary in [*CANARIES, *OTHERS])
        if isinstance(message, align.MatchingKey):
            assert (sender, role_of(recipient)) == ("bank", "feature_holder")
        else:
            assert key not in data
    for data in recording.stored.values():
        assert key not in data
        assert not any(canary.encode() in data for canary in [*CANARIES, *OTHERS])
    assert key.hex() not in repr(align.MatchingKey(kind="phone", key=key))
    assert repr(key) not in repr(align.MatchingKey(kind="phone", key=key))


@pytest.mark.parametrize("mode", MODES)
def test_every_partners_digest_goes_to_the_label_holder_alone(mode):
    recording = record(plan(mode))
    checks = {
        (sender, recipient, message.digest)
        for sender, recipient, message in recording.transcript
        if isinstance(message, align.RowCheck)
    }
    assert {(sender, recipient) for sender, recipient, _ in checks} == {("shop", "bank"), ("telco", "bank")}
    (digest,) = {digest for _, _, digest in checks}
    assert len(digest) == 32
    references = recording.results["bank"].subject_refs.tobytes()
    # It is keyed: what the coordinator has seen (tokens, positions) does not give it.
    tokens = b"".join(message.tokens for message in recording.to(COORDINATOR, SENT))
    assert digest not in {hashlib.sha256(part).digest() for part in (tokens, references)}
    assert not any(digest in encode(message) for message in recording.to(COORDINATOR))


@pytest.mark.parametrize("mode", MODES)
def test_tokens_and_references_of_two_projects_are_unrelated(mode):
    seen = []
    for _ in range(2):
        recording = record(plan(mode))
        tokens = set().union(*(pieces(one.tokens) for one in recording.to(COORDINATOR, SENT)))
        references = {row.tobytes() for row in recording.results["bank"].subject_refs}
        assert not tokens & references
        seen.append(tokens | references)
    assert not seen[0] & seen[1]


def pieces(data, size=16):
    return {data[at : at + size] for at in range(0, len(data), size)}


def test_the_coordinator_sees_sorted_tokens_not_rows():
    for message in record(KEYED).to(COORDINATOR, align.TokenPart):
        tokens = [message.tokens[at : at + 16] for at in range(0, len(message.tokens), 16)]
        assert tokens == sorted(tokens)


def test_the_order_of_the_circle_is_not_the_tables():
    many = [f"1390000{number:04d}" for number in range(500)]
    recording = record(ECDH, lists=dict.fromkeys(("bank", "shop", "telco"), many))
    (told,) = recording.to("bank", align.Matched)
    rows = recording.results["bank"].rows
    # Neither the places that the coordinator names nor the common order follow the table.
    assert abs(np.corrcoef(told.positions, rows)[0, 1]) < 0.2
    assert abs(np.corrcoef(rows, np.arange(500))[0, 1]) < 0.2


def test_points_change_at_every_hop_and_come_in_no_order_of_the_table():
    recording = record(ECDH)
    hops = [message for _, _, message in recording.transcript if isinstance(message, align.Points)]
    seen = [point for message in hops for point in pieces(message.points, 32)]
    assert len(seen) == len(set(seen)) == 2 * 3 * len(CANARIES)
    # Nobody but the coordinator gets finished tokens, and it gets them from the last hop.
    finished = {(sender, to, message.owner) for sender, to, message in recording.transcript
                if isinstance(message, align.CirclePart)}  # fmt: skip
    assert finished == {
        ("telco", COORDINATOR, "bank"), ("bank", COORDINATOR, "shop"), ("shop", COORDINATOR, "telco"),
    }  # fmt: skip
    first = next(message for message in recording.to("shop", align.Points) if message.owner == "bank")
    unblinded = curve.hash_to_curve("phone", as_identifiers(CANARIES))
    assert not pieces(first.points, 32) & {row.tobytes() for row in unblinded}


def test_a_small_overlap_is_refused_without_its_number():
    for match in (KEYED, ECDH):
        with pytest.raises(CohortTooSmall) as caught:
            record(match, lists={"bank": CANARIES[:20], "shop": CANARIES[13:]}, k_min=8)
        assert caught.value.values == {"k_min": 8}
        with pytest.raises(CohortTooSmall) as caught:
            record(match, lists={"shop": CANARIES[:3]}, k_min=8)
        assert caught.value.key == "align_list_small"


# --- enumeration: what the coordinator could do with everything it stored


@pytest.mark.parametrize("mode", MODES)
def test_enumerating_identifiers_finds_none_in_what_the_coordinator_stored(mode):
    recording = record(plan(mode))
    stored = list(recording.stored.values()) + [encode(message) for message in recording.to(COORDINATOR)]
    assert sum(map(len, stored)) > 3 * 16 * len(CANARIES)
    space = as_identifiers([f"1390000{number:04d}" for number in range(400)])
    assert found_in(stored, space) == 0
    # The search itself finds what is there to be found: an unkeyed hash, a known key.
    assert found_in([b"..." + b"".join(sm3(one) for one in space.tolist()[:7])], space) == 7
    known = joining.dump(matching.blind(bytes(32), "phone", space[:9]).tokens)
    assert found_in([known], space) == 9
