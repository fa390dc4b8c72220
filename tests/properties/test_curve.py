"""Blinding on the curve: it commutes for any number of parties, agrees with sets, and hides the side of the curve."""

import itertools
import pickle

import numpy as np
import pytest
from curve_reference import PRIME, A, clamped, encoded, ladder, on_curve
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy import joining
from privacy.curve import BlindingKey, hash_to_curve, point_tokens
from privacy.errors import ConfigInvalid, CryptoError, MessageInvalid
from privacy.matching import KEY_BYTES
from privacy.parallel import Workers
from privacy.texts import LANGUAGES

# Points of small order on the curve (1, 2, 4 and 8) and on its twist, by their u-coordinates: Bernstein,
# "Curve25519: new Diffie-Hellman speed records", and the author's page on rejecting them.
SMALL_ORDER = (
    0,
    1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
)
quick = settings(max_examples=15, deadline=None)


def column(items):
    return np.array(items, f"S{max([1, *map(len, items)])}")


def through(keys, points):
    for key in keys:
        points = key.blind(points, party="shop")
    return points


def numbers(points):
    return [int.from_bytes(row.tobytes(), "little") for row in points]


def as_points(data):
    return np.frombuffer(data, np.uint8).reshape(-1, 32)


def twist_point():
    return next(u for u in range(2, 100) if not on_curve(u))


@quick
@given(st.lists(st.binary(min_size=32, max_size=32), min_size=2, max_size=3), st.integers(0, 10**6))
def test_blinding_commutes_and_is_the_reference_multiplication(secret_keys, start):
    keys = [BlindingKey.from_bytes(secret) for secret in secret_keys]
    points = hash_to_curve("phone", column([b"%d" % (start + place) for place in range(2)]))
    results = {through(order, points).tobytes() for order in itertools.permutations(keys)}
    expected = numbers(points)
    for secret in secret_keys:
        expected = [ladder(clamped(secret), u) for u in expected]
    assert results == {encoded(*expected)}


@quick
@given(st.lists(st.sets(st.integers(0, 30)), min_size=2, max_size=3))
def test_tokens_of_two_and_three_parties_meet_exactly_in_shared_identifiers(groups):
    keys = [BlindingKey.generate() for _ in groups]
    lists, owners = [], []
    for place, group in enumerate(groups):
        items = sorted(group)
        order = keys[place:] + keys[:place]
        points = hash_to_curve("phone", column([b"%d" % item for item in items]))
        tokens, rows = joining.sort(point_tokens(through(order, points)))
        lists.append(tokens)
        owners.append([items[row] for row in rows])
    shared = set.intersection(*groups)
    for items, places in zip(owners, joining.intersect(lists), strict=True):
        found = [items[place] for place in places]
        assert set(found) == shared
        assert len(found) == len(shared)


def test_every_hashed_and_every_blinded_point_is_on_the_curve():
    """Half of all numbers are not: a hash taken as a coordinate would pass this with probability 2^-300."""
    points = hash_to_curve("phone", column([b"%011d" % item for item in range(300)]))
    assert all(on_curve(u) for u in numbers(points))
    assert all(on_curve(u) for u in numbers(BlindingKey.generate().blind(points, party="shop")))
    assert len(set(numbers(points))) == 300


def test_kinds_are_separate_and_spelling_is_what_counts():
    same = hash_to_curve("phone", np.array([b"138"], "S3"))
    assert (hash_to_curve("phone", np.array([b"138"], "S18")) == same).all()
    assert (hash_to_curve("card", np.array([b"138"], "S3")) != same).any()
    assert hash_to_curve("phone", np.array([], "S3")).shape == (0, 32)
    with pytest.raises(ConfigInvalid):
        hash_to_curve("", np.array([b"138"], "S3"))


def test_workers_do_not_change_results(monkeypatch):
    monkeypatch.setattr("privacy.curve._IDENTIFIERS_PER_PROCESS", 100)
    identifiers = column([b"%011d" % item for item in range(601)])
    several = Workers(2, "threading")
    points = hash_to_curve("phone", identifiers)
    assert (hash_to_curve("phone", identifiers, workers=several) == points).all()
    key = BlindingKey.generate()
    assert (key.blind(points, party="shop", workers=several) == key.blind(points, party="shop")).all()
    points = np.concatenate([points, as_points(encoded(1))])
    with pytest.raises(MessageInvalid):
        key.blind(points, party="shop", workers=several)


def test_no_points_stay_none():
    none = np.zeros((0, 32), np.uint8)
    assert BlindingKey.generate().blind(none, party="shop").shape == (0, 32)
    assert point_tokens(none).shape == (0, 2)


@pytest.mark.parametrize("u", [*SMALL_ORDER, PRIME - 1])
def test_points_of_small_order_are_refused(u):
    if u != PRIME - 1:  # of order 4 on the twist
        assert on_curve(u) or u == 0
        assert ladder(8, u) == 0
    refused(as_points(encoded(u)))


@pytest.mark.parametrize(
    "u",
    [
        twist_point(),
        # The second vector of RFC 7748, section 5.2, without its unused bit, lies on the twist.
        int.from_bytes(
            bytes.fromhex("e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a413"), "little"
        ),
        PRIME,
        PRIME + 9,  # a second spelling of the base point
        2**255 - 1,
        2**255 + 9,  # and a third
    ],
)
def test_points_off_the_curve_and_second_spellings_are_refused(u):
    honest = BlindingKey.generate().blind(as_points(encoded(9)), party="shop")
    refused(np.concatenate([honest, as_points(encoded(u)), honest]))


@pytest.mark.parametrize("shape", [(4, 31), (4, 33), (128,), (2, 2, 32)])
def test_arrays_of_another_shape_are_refused(shape):
    refused(np.ones(shape, np.uint8))
    refused(np.full((2, 32), 9, np.int64))


def refused(points):
    with pytest.raises(MessageInvalid) as caught:
        BlindingKey.generate().blind(points, party="shop")
    assert caught.value.key == "align_point_invalid"
    assert all("shop" in caught.value.render(language) for language in LANGUAGES)


def test_a_key_comes_back_from_its_bytes_and_is_neither_shown_nor_pickled():
    key = BlindingKey.generate()
    points = as_points(encoded(9))
    again = BlindingKey.from_bytes(key.to_bytes())
    assert (again.blind(points, party="shop") == key.blind(points, party="shop")).all()
    assert len({BlindingKey.generate().to_bytes() for _ in range(5)}) == 5
    assert repr(key) == "BlindingKey(...)"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(key)
    for length in (0, KEY_BYTES - 1, KEY_BYTES + 1):
        with pytest.raises(CryptoError):
            BlindingKey.from_bytes(bytes(length))


def test_the_reference_is_on_its_own_curve():
    assert on_curve(9)
    assert not on_curve(twist_point())
    assert (4 * ((A - 2) // 4)) == A - 2
