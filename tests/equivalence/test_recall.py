"""A recall gives everybody the rows that all still have, in the order of the earlier matching."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recall_scene import NAMES, Scene

from clients.forgetting.earlier import starts_among
from privacy.errors import ConfigInvalid

GONE = st.dictionaries(st.sampled_from(NAMES), st.sets(st.integers(0, 39), max_size=8))


@given(GONE, st.integers(1, 3))
@settings(max_examples=60)
def test_what_all_have_stays(gone, partners):
    scene = Scene(gone=gone, partners=partners, k_min=1, least_changes=0)
    kept, transcript = scene.run()
    expected = [row for row in range(40) if not any(row in gone.get(name, ()) for name in scene.parties.all)]
    assert {name: rows.tolist() for name, rows in kept.items()} == dict.fromkeys(scene.parties.all, expected)
    lists = [message for *_, message in transcript if type(message).__name__ == "ReferenceList"]
    differing = [
        name for name in scene.parties.feature_holders if gone.get(name, set()) != gone.get("bank", set())
    ]
    assert len(lists) == len(differing)


def test_where_all_agree_no_list_is_sent():
    gone = {key: {1, 2, 30} for key in NAMES}
    kept, transcript = Scene(gone=gone, partners=3).run()
    assert [type(message).__name__ for *_, message in transcript] == ["Held"] * 3 + ["Settled"] * 3
    assert all(len(rows) == 37 for rows in kept.values())


@given(st.data())
def test_start_rows_that_are_left_stay_and_others_come_from_the_rows_left(data):
    places = np.array(data.draw(st.permutations(range(0, 60, 2))))
    starts = np.array(data.draw(st.lists(st.integers(0, 59), min_size=2, max_size=5, unique=True)))
    found = starts_among(starts, places)
    assert len(np.unique(found)) == len(starts)
    for start, row in zip(starts.tolist(), found.tolist(), strict=True):
        if start in places:
            assert places[row] == start
    order = data.draw(st.permutations(range(len(places))))
    again = starts_among(starts, places[order])  # whatever the order of the matching
    assert places[order][again].tolist() == places[found].tolist()


def test_a_start_row_that_is_gone_is_followed_by_the_next_of_the_file():
    places = np.array([50, 10, 40, 20])
    assert places[starts_among(np.array([10, 30]), places)].tolist() == [10, 40]
    assert places[starts_among(np.array([35, 40]), places)].tolist() == [50, 40]
    assert places[starts_among(np.array([60, 20]), places)].tolist() == [10, 20]
    with pytest.raises(ConfigInvalid):
        starts_among(np.arange(5), places)
