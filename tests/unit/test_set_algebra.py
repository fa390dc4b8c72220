"""Set expressions: what is read, what is refused, and what it selects."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.set_algebra import Operation, depth, everybody, has_difference, parse, select, too_few
from privacy.errors import ConfigInvalid

PARTIES = ("bank", "shop", "telco", "net-shop")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("bank", "bank"),
        (" bank & shop ", Operation("&", ("bank", "shop"))),
        ("bank&shop&telco", Operation("&", ("bank", "shop", "telco"))),
        ("bank - shop - telco", Operation("-", ("bank", "shop", "telco"))),
        ("net-shop", "net-shop"),
        ("bank -shop", Operation("-", ("bank", "shop"))),
        ("bank & (shop | telco)", Operation("&", ("bank", Operation("|", ("shop", "telco"))))),
        ("((bank))", "bank"),
    ],
)
def test_reads_what_is_written(source, expected):
    assert parse(source, PARTIES) == expected


@pytest.mark.parametrize(
    ("source", "key"),
    [
        ("", "members_unreadable"),
        ("bank &", "members_unreadable"),
        ("& bank", "members_unreadable"),
        ("bank shop", "members_unreadable"),
        ("(bank", "members_unreadable"),
        ("bank)", "members_unreadable"),
        ("bank + shop", "members_unreadable"),
        ("BANK", "members_unreadable"),
        ("(" * 2000, "members_unreadable"),
        ("bank & shop | telco", "members_need_parentheses"),
        ("bank - shop & telco", "members_need_parentheses"),
        ("bank-shop", "members_stranger"),
        ("bank & other", "members_stranger"),
        ("bank & (shop | (telco - (bank & shop)))", "members_too_deep"),
    ],
)
def test_refuses_what_cannot_be_meant(source, key):
    with pytest.raises(ConfigInvalid) as caught:
        parse(source, PARTIES)
    assert caught.value.key == key
    assert str(caught.value)


def test_depth_and_difference():
    nested = parse("bank & (shop | (telco - bank))", PARTIES)
    assert depth("bank") == 0
    assert depth(everybody(PARTIES)) == 1
    assert depth(nested) == 3
    assert has_difference(nested)
    assert not has_difference(everybody(PARTIES))


def expressions(most):
    """(source, Python expression on sets) pairs of at most this depth."""
    names = st.sampled_from(PARTIES[:3]).map(lambda name: (name, name))
    if not most:
        return names
    inner = expressions(most - 1)

    def combine(sign, pairs):
        return tuple(f"({f' {sign} '.join(pair[place] for pair in pairs)})" for place in (0, 1))

    pairs = st.builds(combine, st.sampled_from("&|-"), st.lists(inner, min_size=2, max_size=3))
    return st.one_of(names, pairs)


@given(expressions(3), st.lists(st.sets(st.integers(0, 12)), min_size=3, max_size=3))
def test_selects_what_python_sets_do(written, groups):
    source, python = written
    lists = dict(zip(PARTIES, groups, strict=False))
    union = sorted(set.union(*groups))
    members = {name: np.array([one in group for one in union], dtype=bool) for name, group in lists.items()}
    chosen = select(parse(source, tuple(lists)), members)
    found = {one for one, is_in in zip(union, chosen.tolist(), strict=True) if is_in}
    assert found == eval(python, {"__builtins__": {}}, lists)  # noqa: S307 (made here)


@pytest.mark.parametrize(
    ("source", "party", "shown", "held", "few"),
    [
        ("bank & shop", "bank", 4, 50, True),
        ("bank & shop", "bank", 0, 50, True),
        ("bank & shop", "bank", 5, 50, False),
        ("bank & shop", "bank", 50, 50, False),  # whoever is not shared is not known to be elsewhere
        ("bank & shop", "telco", 0, 50, True),  # a telco customer may be in the result: none is telling
        ("bank - shop", "bank", 40, 50, False),
        ("bank - shop", "bank", 46, 50, True),  # four are at the shop
        ("bank - shop", "bank", 50, 50, True),  # none is at the shop
        ("bank - shop", "bank", 4, 50, True),
        ("bank - shop", "shop", 0, 50, False),  # the expression says so already
        ("bank | shop", "bank", 50, 50, False),
        ("bank | shop", "telco", 3, 50, True),
        ("shop & (bank | telco)", "bank", 0, 50, True),
        ("(shop - bank) | bank", "bank", 50, 50, False),  # all of the bank's, whatever the lists hold
    ],
)
def test_a_few_are_too_few_and_so_is_nobody(source, party, shown, held, few):
    assert too_few(parse(source, PARTIES), party, shown, held, 5) is few


@pytest.mark.parametrize(("shown", "few"), [(45, False), (46, True), (50, True), (4, True)])
def test_a_size_alone_must_leave_enough_out(shown, few):
    assert too_few(everybody(PARTIES), "bank", shown, 50, 5, count_left_out=True) is few


def test_expressions_over_many_parties_are_refused():
    names = [f"p{number}" for number in range(17)]
    assert parse(" | ".join(names[:16]), names)
    with pytest.raises(ConfigInvalid) as caught:
        parse(" | ".join(names), names)
    assert caught.value.key == "members_too_many"
