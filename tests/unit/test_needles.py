"""The search that the transcript tests rely on finds exactly what Python's own `in` finds."""

from hypothesis import given
from hypothesis import strategies as st
from needles import HEAD, found_in_bytes

FEW_LETTERS = st.lists(st.sampled_from(b"ab\x00"), min_size=HEAD, max_size=9).map(bytes)


@given(
    parts=st.lists(FEW_LETTERS | st.binary(max_size=4), max_size=30),
    needles=st.lists(FEW_LETTERS | st.binary(min_size=HEAD, max_size=6), max_size=20),
)
def test_it_finds_what_in_finds(parts, needles):
    haystack = b"".join(parts)
    assert found_in_bytes(haystack, needles) == [needle for needle in needles if needle in haystack]


def test_it_finds_at_both_ends_and_where_needles_overlap():
    needles = [b"abc", b"bcabc", b"abcabc", b"cab", b"bca", b"abca", b"cabca"]
    assert found_in_bytes(b"abcabc", needles) == [b"abc", b"bcabc", b"abcabc", b"cab", b"bca", b"abca"]
    assert found_in_bytes(b"", needles) == found_in_bytes(b"ab", needles) == []
    assert found_in_bytes(b"abc", []) == []
