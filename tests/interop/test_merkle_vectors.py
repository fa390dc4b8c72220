"""The tree hashing of RFC 9162 against the reference tests of Certificate Transparency.

Source: the tests of the reference implementation of RFC 6962, whose section 2 RFC 9162 keeps: eight leaves, the root
of every size, and chosen inclusion and consistency paths.
"""

import pytest

from privacy.errors import ProofInvalid
from privacy.merkle import (
    EMPTY_ROOT,
    Tree,
    leaf_hash,
    node_hash,
    verify_consistency,
    verify_inclusion,
)

ENTRIES = [
    bytes.fromhex(entry)
    for entry in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    bytes.fromhex(root)
    for root in (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    )
]
INCLUSION = {
    (0, 1): (),
    (0, 8): (
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ),
    (5, 8): (
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
    (2, 3): ("fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",),
    (1, 5): (
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ),
}
CONSISTENCY = {
    (1, 1): (),
    (1, 8): (
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ),
    (6, 8): (
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
    (2, 5): (
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ),
}
TREE = Tree(map(leaf_hash, ENTRIES))


def test_the_empty_tree_leaves_and_nodes():
    assert EMPTY_ROOT == ROOTS[0] == Tree().root()
    assert leaf_hash(b"") == ROOTS[1]
    assert leaf_hash(b"L123456").hex() == "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56"
    assert (
        node_hash(b"N123", b"N456").hex()
        == "aa217fe888e47007fa15edab33c2b492a722cb106c64667fc2b044444de66bbb"
    )


@pytest.mark.parametrize("size", range(9))
def test_the_root_of_every_size(size):
    assert TREE.root(size) == Tree(map(leaf_hash, ENTRIES[:size])).root() == ROOTS[size]


@pytest.mark.parametrize(("position", "size"), INCLUSION)
def test_inclusion_paths(position, size):
    path = TREE.inclusion(position, size)
    assert tuple(part.hex() for part in path) == INCLUSION[position, size]
    verify_inclusion(leaf_hash(ENTRIES[position]), position, size, ROOTS[size], path)


@pytest.mark.parametrize(("old", "new"), CONSISTENCY)
def test_consistency_paths(old, new):
    path = TREE.consistency(old, new)
    assert tuple(part.hex() for part in path) == CONSISTENCY[old, new]
    verify_consistency(old, new, ROOTS[old], ROOTS[new], path)


def test_the_example_of_the_standard():
    """RFC 9162, section 2.1.5: seven leaves d0 .. d6; the paths are given by the names of nodes."""
    a, b, c, d, e, f, j = (leaf_hash(entry) for entry in ENTRIES[:7])
    g, h, i = node_hash(a, b), node_hash(c, d), node_hash(e, f)
    k, ell = node_hash(g, h), node_hash(i, j)
    tree = Tree((a, b, c, d, e, f, j))
    assert tree.root() == node_hash(k, ell)
    assert tree.inclusion(0) == (b, h, ell)
    assert tree.inclusion(3) == (c, g, ell)
    assert tree.inclusion(4) == (f, j, k)
    assert tree.inclusion(6) == (i, k)
    assert tree.consistency(3) == (c, d, g, ell)
    assert tree.consistency(4) == (ell,)
    assert tree.consistency(6) == (i, j, k)


@pytest.mark.parametrize(("old", "new"), CONSISTENCY)
def test_both_roots_are_checked(old, new):
    path = [bytes.fromhex(part) for part in CONSISTENCY[old, new]]
    for old_root, new_root in ((ROOTS[0], ROOTS[new]), (ROOTS[old], ROOTS[0])):
        with pytest.raises(ProofInvalid):
            verify_consistency(old, new, old_root, new_root, path)
