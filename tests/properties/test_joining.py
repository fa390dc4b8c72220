"""Token lists against Python's sets and sorted lists of bytes, with words that collide on purpose."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy import joining
from privacy.errors import MessageInvalid
from privacy.texts import LANGUAGES

# Few distinct words, from both ends of the range: equal high words, equal low words and both.
words = st.sampled_from([0, 1, 2**31, 2**63 - 1, 2**63, 2**64 - 2, 2**64 - 1]) | st.integers(0, 2**64 - 1)
tokens_ = st.tuples(words, words).map(lambda pair: pair[0].to_bytes(8, "big") + pair[1].to_bytes(8, "big"))
sets = st.sets(tokens_, max_size=25)


def as_tokens(items):
    return joining.tokens_of(np.frombuffer(b"".join(items), np.uint8).reshape(-1, 16))


def as_items(tokens):
    data = joining.dump(tokens)
    return [data[at : at + 16] for at in range(0, len(data), 16)]


@pytest.fixture(params=["one part", "many parts"])
def part_size(request, monkeypatch):
    if request.param == "many parts":
        monkeypatch.setattr(joining, "_ROWS_PER_PART", 2)


def in_parts(small):
    """Both ways through `sort` and `membership` under Hypothesis, which does not reset fixtures."""
    patch = pytest.MonkeyPatch()
    if small:
        patch.setattr(joining, "_ROWS_PER_PART", 2)
    return patch


@settings(deadline=None)
@given(st.lists(tokens_, max_size=40), st.booleans())
def test_sort_is_the_stable_order_of_the_bytes(items, small):
    patch = in_parts(small)
    try:
        ordered, rows = joining.sort(as_tokens(items))
    finally:
        patch.undo()
    expected = sorted(range(len(items)), key=lambda row: items[row])
    assert rows.dtype == np.int64
    assert rows.tolist() == expected
    assert as_items(ordered) == [items[row] for row in expected]
    assert joining.repeats(ordered).sum() == len(items) - len(set(items))


@settings(deadline=None)
@given(st.lists(sets, min_size=1, max_size=4), st.booleans())
def test_membership_and_intersection_are_those_of_sets(groups, small):
    lists = [as_tokens(sorted(group)) for group in groups]
    union = sorted(set.union(*groups))
    patch = in_parts(small)
    try:
        places, matrix = joining.membership(lists)
        shared = joining.intersect(lists)
    finally:
        patch.undo()
    assert matrix.shape == (len(union), len(groups))
    assert matrix.tolist() == [[token in group for group in groups] for token in union]
    for group, own, both in zip(groups, places, shared, strict=True):
        assert [union[place] for place in own] == sorted(group)
        own_order = sorted(group)
        assert [own_order[place] for place in both] == sorted(set.intersection(*groups))


@given(sets)
def test_load_is_the_inverse_of_dump(group):
    tokens = as_tokens(sorted(group))
    loaded = joining.load(joining.dump(tokens), "shop")
    assert loaded.dtype == np.uint64
    assert joining.dump(tokens) == b"".join(sorted(group))
    assert as_items(loaded) == sorted(group)


@given(sets, st.integers(0, 6))
def test_parts_cut_by_leading_bits_and_each_part_passes_its_own_check_only(group, bits):
    tokens = as_tokens(sorted(group))
    slices = joining.parts(tokens, 1 << bits)
    assert len(slices) == 1 << bits
    assert np.concatenate([np.arange(len(tokens))[one] for one in slices]).tolist() == list(
        range(len(tokens))
    )
    for part, one in enumerate(slices):
        own = as_items(tokens[one])
        assert all(int.from_bytes(token[:8], "big") >> (64 - bits) == part for token in own)
        joining.check_part(tokens[one], 1 << bits, part, "shop")
        if own and bits:
            with pytest.raises(MessageInvalid):
                joining.check_part(tokens[one], 1 << bits, (part + 1) % (1 << bits), "shop")


@given(st.integers(0, 10**8), st.integers(1, 10**6))
def test_parts_for_gives_the_fewest_parts_of_a_size(rows, rows_per_part):
    n_parts = joining.parts_for(rows, rows_per_part)
    assert n_parts & (n_parts - 1) == 0
    assert n_parts * rows_per_part >= rows
    assert n_parts == 1 or n_parts // 2 * rows_per_part < rows


def test_large_lists_with_planted_equal_high_words(part_size):
    generator = np.random.default_rng(7)
    pool = generator.integers(0, 2**64, (30_000, 2), dtype=np.uint64)
    pool[1000:1400, 0] = pool[:400, 0]  # pairs of tokens that share the high word
    pool[2000:2300, 0] = pool[5, 0]  # and three hundred that share one
    pool[3000:3100, 0] ^= np.uint64(1)
    lists, rows = zip(
        *(joining.sort(pool[generator.choice(30_000, 20_000, replace=False)]) for _ in range(3)), strict=True
    )
    groups = [{tuple(token) for token in one.tolist()} for one in lists]
    shared = sorted(set.intersection(*groups))
    places = joining.intersect(lists)
    for one, own, row in zip(lists, places, rows, strict=True):
        assert [tuple(token) for token in one[own].tolist()] == shared
        assert sorted(row.tolist()) == list(range(20_000))
    _, matrix = joining.membership(lists)
    assert len(matrix) == len(set.union(*groups))


@pytest.mark.parametrize(
    ("data", "key"),
    [
        (bytes(15), "align_tokens_length"),
        (b"b" * 16 + b"a" * 16, "align_tokens_unsorted"),
        (b"a" * 15 + b"b" + b"a" * 16, "align_tokens_unsorted"),
        (b"a" * 16 + b"b" * 16 + b"a" * 16, "align_tokens_unsorted"),
        (b"a" * 16 + b"a" * 16, "align_tokens_repeated"),
        (b"a" * 16 + b"b" * 32, "align_tokens_repeated"),
    ],
)
def test_bad_lists_are_refused(data, key):
    with pytest.raises(MessageInvalid) as caught:
        joining.load(data, "shop")
    assert caught.value.key == key
    assert all("shop" in caught.value.render(language) for language in LANGUAGES)


def test_a_part_with_a_stranger_at_either_end_is_refused():
    tokens = joining.sort(np.random.default_rng(1).integers(0, 2**64, (64, 2), dtype=np.uint64))[0]
    first, second = joining.parts(tokens, 2)
    for one, part in ((slice(0, first.stop + 1), 0), (slice(second.start - 1, 64), 1)):
        with pytest.raises(MessageInvalid) as caught:
            joining.check_part(tokens[one], 2, part, "shop")
        assert caught.value.key == "align_tokens_outside_part"
    for wrong in (0, 3, -2):
        with pytest.raises(ValueError, match=str(wrong)):
            joining.parts(tokens, wrong)
