"""Consent snapshots: who is in can be shown, who is not as well, and never both."""

import hashlib

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.errors import ProofInvalid
from privacy.merkle import EMPTY_ROOT, Tree, leaf_hash
from privacy.snapshots import (
    COMMITMENT_BYTES,
    Absence,
    Membership,
    Neighbour,
    Snapshot,
    root_of,
    verify_absence,
    verify_membership,
)

# Bytes from a small alphabet with zeros at the end: close neighbours, and what NumPy's strings would cut off.
COMMITMENTS = st.one_of(
    st.binary(min_size=COMMITMENT_BYTES, max_size=COMMITMENT_BYTES),
    st.text("\x00\x01\xff", min_size=1, max_size=3).map(
        lambda start: start.encode("latin-1").ljust(COMMITMENT_BYTES, b"\x00")
    ),
)
SETS = st.sets(COMMITMENTS, max_size=70)


def commitment(number):
    return hashlib.sha256(str(number).encode()).digest()


def refuses(verify, *arguments):
    with pytest.raises(ProofInvalid):
        verify(*arguments)


@given(members=SETS)
def test_the_root_is_that_of_the_sorted_list_and_its_size(members):
    tree = Tree(map(leaf_hash, sorted(members)))
    snapshot = Snapshot.of(list(members))
    assert snapshot.size == len(members)
    assert (
        snapshot.root
        == hashlib.sha256(b"\x02" + len(members).to_bytes(8, "big") + tree.root()).digest()
        == root_of(len(members), tree.root())
    )


@given(members=st.lists(COMMITMENTS, max_size=30), data=st.data())
def test_neither_order_nor_repetition_nor_type_matter(members, data):
    root = Snapshot.of(members).root
    assert Snapshot.of(data.draw(st.permutations(members))).root == root
    assert Snapshot.of([*members, *members[:1]]).root == root
    array = np.frombuffer(b"".join(members), np.uint8).reshape(-1, COMMITMENT_BYTES)
    assert Snapshot.of(array).root == root
    assert Snapshot.of(np.asfortranarray(array)).root == root


@given(members=SETS, asked=COMMITMENTS)
def test_either_membership_or_absence_is_proved(members, asked):
    snapshot = Snapshot.of(list(members))
    for one in members:
        proof = snapshot.membership(one)
        verify_membership(snapshot.root, one, proof)
        assert proof.position == sorted(members).index(one)
    if asked in members:
        assert asked in snapshot
        with pytest.raises(KeyError):
            snapshot.absence(asked)
        verify_membership(snapshot.root, asked, snapshot.membership(asked))
    else:
        assert asked not in snapshot
        with pytest.raises(KeyError):
            snapshot.membership(asked)
        verify_absence(snapshot.root, asked, snapshot.absence(asked))


@settings(deadline=None)
@given(size=st.integers(1, 20))
def test_no_two_members_prove_the_absence_of_a_third(size):
    """Whatever pair of true members is shown as neighbours: no member can be shown as absent."""
    members = sorted(commitment(number) for number in range(size))
    snapshot = Snapshot.of(members)
    ends = [None, *(Neighbour(one, snapshot.membership(one)) for one in members)]
    for asked in members:
        for below in ends:
            for above in ends:
                refuses(verify_absence, snapshot.root, asked, Absence(size, below, above))


@given(members=SETS.filter(bool), asked=COMMITMENTS, data=st.data())
def test_another_snapshot_or_a_changed_proof_is_refused(members, asked, data):
    snapshot = Snapshot.of(list(members))
    one = data.draw(st.sampled_from(sorted(members)))
    proof = snapshot.membership(one)
    for change in (
        {"size": proof.size + 1},
        {"size": -1},
        {"size": 1 << 64},
        {"position": proof.position + 1},
        {"position": -1},
        {"path": (*proof.path, EMPTY_ROOT)},
        {"path": (b"short", *proof.path[1:])},
    ):
        refuses(verify_membership, snapshot.root, one, msgspec.structs.replace(proof, **change))
    if asked not in members:
        refuses(verify_membership, Snapshot.of([*members, asked]).root, one, proof)
    refuses(verify_membership, snapshot.root, one[:-1], proof)
    if asked not in members:
        absence = snapshot.absence(asked)
        refuses(verify_absence, snapshot.root, one, absence)
        refuses(verify_absence, snapshot.root, asked[:-1], absence)
        refuses(verify_absence, Snapshot.of([*members, asked]).root, asked, absence)
        for change in (
            {"size": absence.size + 1},
            {"below": None, "above": None},
            {"below": absence.above, "above": absence.below},
        ):
            refuses(verify_absence, snapshot.root, asked, msgspec.structs.replace(absence, **change))


def test_the_empty_snapshot():
    empty = Snapshot.of([])
    assert (empty.size, empty.root) == (0, root_of(0, EMPTY_ROOT))
    proof = empty.absence(commitment(1))
    assert proof == Absence(0, None, None)
    verify_absence(empty.root, commitment(1), proof)
    refuses(verify_absence, Snapshot.of([commitment(2)]).root, commitment(1), proof)
    refuses(verify_absence, root_of(1, EMPTY_ROOT), commitment(1), Absence(1, None, None))
    refuses(verify_membership, empty.root, commitment(1), Membership(0, 0, ()))


def test_the_root_binds_the_size():
    """One tree root under two sizes gives two roots."""
    root = Tree([leaf_hash(commitment(1))]).root()
    assert root_of(1, root) != root_of(2, root)


def test_proofs_are_plain_data():
    snapshot = Snapshot.of([commitment(number) for number in range(9)])
    proof = snapshot.absence(commitment(10))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(proof), type=Absence) == proof
    assert repr(snapshot) == f"Snapshot(9, {snapshot.root.hex()[:16]})"


@pytest.mark.parametrize(
    "wrong",
    [
        [b"short"],
        np.zeros((3, 31), np.uint8),
        np.zeros((3, 32), np.int8),
        np.zeros(32, np.uint8),
    ],
)
def test_what_is_no_list_of_commitments_is_refused(wrong):
    with pytest.raises(ValueError):  # noqa: PT011
        Snapshot.of(wrong)
    with pytest.raises(ValueError):  # noqa: PT011
        Snapshot.of([]).absence(b"short")


def test_more_than_one_block_of_hashes():
    array = np.random.default_rng(1).integers(0, 256, (70_001, COMMITMENT_BYTES), np.uint8)
    snapshot = Snapshot.of(array)
    members = sorted(bytes(row) for row in array)
    assert snapshot.root == root_of(len(members), Tree(map(leaf_hash, members)).root())
