"""Merkle proofs of every size up to 70: what was made is accepted, and nothing else is."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.errors import ProofInvalid
from privacy.merkle import EMPTY_ROOT, Tree, leaf_hash, verify_consistency, verify_inclusion

MOST = 70
LEAVES = [leaf_hash(str(entry).encode()) for entry in range(MOST)]
TREE = Tree(LEAVES)


def plain_root(leaves):
    """The definition of RFC 9162, section 2.1.1, word for word."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    middle = 1
    while middle * 2 < len(leaves):
        middle *= 2
    return hashlib.sha256(b"\x01" + plain_root(leaves[:middle]) + plain_root(leaves[middle:])).digest()


ROOTS = [plain_root(LEAVES[:size]) for size in range(MOST + 1)]


def accepts(verify, *arguments):
    try:
        verify(*arguments)
    except ProofInvalid:
        return False
    return True


def changed(path, place, bit):
    parts = list(path)
    part = bytearray(parts[place])
    part[bit // 8] ^= 1 << bit % 8
    parts[place] = bytes(part)
    return parts


def test_roots_and_leaves_of_every_size():
    grown = Tree()
    for size, leaf in enumerate(LEAVES):
        assert grown.root() == TREE.root(size) == ROOTS[size]
        grown.append(leaf)
        assert (len(grown), grown.leaf(size)) == (size + 1, leaf)


def test_every_inclusion_is_proved():
    for size in range(1, MOST + 1):
        for position in range(size):
            path = TREE.inclusion(position, size)
            assert len(path) <= (size - 1).bit_length()
            verify_inclusion(LEAVES[position], position, size, ROOTS[size], path)


def test_every_consistency_is_proved():
    for new in range(MOST + 1):
        for old in range(new + 1):
            verify_consistency(old, new, ROOTS[old], ROOTS[new], TREE.consistency(old, new))


@given(data=st.data(), size=st.integers(2, MOST))
def test_another_inclusion_is_refused(data, size):
    position = data.draw(st.integers(0, size - 1))
    path = TREE.inclusion(position, size)
    place, bit = data.draw(st.integers(0, len(path) - 1)), data.draw(st.integers(0, 255))
    other = data.draw(st.integers(0, size - 1).filter(lambda drawn: drawn != position))
    leaf, root = LEAVES[position], ROOTS[size]
    for arguments in (
        (leaf, position, size, root, changed(path, place, bit)),
        (leaf, position, size, root, path[:-1]),
        (leaf, position, size, root, (*path, root)),
        (leaf, position, size, root, (*path[:-1], path[-1][:-1])),
        (leaf, position, size, ROOTS[size - 1], path),
        (leaf, other, size, root, path),
        (leaf, size, size, root, path),
        (leaf, -1, size, root, path),
        (LEAVES[other], position, size, root, path),
    ):
        assert not accepts(verify_inclusion, *arguments)


@given(data=st.data(), new=st.integers(2, MOST))
def test_another_consistency_is_refused(data, new):
    old = data.draw(st.integers(1, new - 1))
    path = TREE.consistency(old, new)
    place, bit = data.draw(st.integers(0, len(path) - 1)), data.draw(st.integers(0, 255))
    for arguments in (
        (old, new, ROOTS[old], ROOTS[new], changed(path, place, bit)),
        (old, new, ROOTS[old], ROOTS[new], path[:-1]),
        (old, new, ROOTS[old], ROOTS[new], (*path, ROOTS[new])),
        (old, new, ROOTS[old - 1], ROOTS[new], path),
        (old, new, ROOTS[old], ROOTS[new - 1], path),
        (new, old, ROOTS[new], ROOTS[old], path),
        (old, old, ROOTS[old], ROOTS[old], path),
        (0, new, EMPTY_ROOT, ROOTS[new], path),
    ):
        assert not accepts(verify_consistency, *arguments)


@given(data=st.data(), new=st.integers(2, MOST))
def test_a_fork_has_no_consistency(data, new):
    """A tree that differs in one old leaf cannot be shown as the continuation, by either tree's proof."""
    old = data.draw(st.integers(1, new - 1))
    position = data.draw(st.integers(0, old - 1))
    fork = Tree([*LEAVES[:position], leaf_hash(b"another"), *LEAVES[position + 1 : new]])
    for path in (TREE.consistency(old, new), fork.consistency(old, new)):
        assert not accepts(verify_consistency, old, new, ROOTS[old], fork.root(), path)


def test_nothing_is_the_beginning_of_everything():
    assert TREE.consistency(0, 7) == ()
    verify_consistency(0, 7, EMPTY_ROOT, ROOTS[7], ())
    verify_consistency(0, 0, EMPTY_ROOT, EMPTY_ROOT, ())
    for arguments in ((0, 7, ROOTS[1], ROOTS[7], ()), (0, 0, EMPTY_ROOT, ROOTS[1], ())):
        with pytest.raises(ProofInvalid):
            verify_consistency(*arguments)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: TREE.leaf(MOST),
        lambda: TREE.leaf(-1),
        lambda: TREE.root(MOST + 1),
        lambda: TREE.root(-1),
        lambda: TREE.inclusion(5, 5),
        lambda: TREE.inclusion(-1, 5),
        lambda: TREE.inclusion(0, MOST + 1),
        lambda: TREE.consistency(6, 5),
        lambda: TREE.consistency(-1, 5),
        lambda: TREE.consistency(1, MOST + 1),
    ],
)
def test_what_is_not_there_is_not_proved(ask):
    with pytest.raises(IndexError):
        ask()
