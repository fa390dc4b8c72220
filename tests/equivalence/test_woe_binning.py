"""Federated binning equals the kernel on the pooled table: bins, counts, WOE and IV, to the last bit."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from woe_scene import OPTIONS, World

from federation import woe_binning
from federation.roles import View
from federation.woe import fit_woe
from federation.woe_messages import FeatureHolderBins, LabelHolderBins
from privacy.errors import ConfigInvalid
from privacy.paillier_secret import SecretKey


@pytest.fixture(scope="module")
def secret():
    return SecretKey.generate(512, testing_only=True)


def assert_equals_the_kernel(world, results, options):
    pooled = fit_woe(world.names, world.values[world.train], world.label[world.train], options)
    of_field = dict(zip(pooled.fields, pooled.bins, strict=True))
    holder = results["bank"]
    assert holder.binning == pooled.keep(world.view("bank").fields)
    assert list(holder.partners) == list(world.parties.feature_holders)
    codes = pooled.transform(world.values)
    for name in world.parties.feature_holders:
        part = results[name]
        assert part.model_id == holder.model_id
        assert part.binning.fields == world.view(name).fields
        kept = {field.number: field for field in holder.partners[name]}
        assert set(kept) == set(part.numbers)
        for field, bins, number in zip(part.binning.fields, part.binning.bins, part.numbers, strict=True):
            twin = of_field[field]
            assert (bins.edges, bins.special, bins.final) == (twin.edges, twin.special, twin.final)
            assert (bins.woe, bins.rows, bins.iv) == (twin.woe, twin.rows, twin.iv)
            assert bins.goods == bins.bads == ()
            known = kept[number]
            assert known.iv == twin.iv
            assert known.monotone == twin.monotone
            assert sorted(zip(known.goods, known.bads, known.woe, strict=True)) == sorted(
                zip(twin.goods, twin.bads, twin.woe, strict=True)
            )
            assert known.n_bins == len(twin.woe)
            assert not twin.edges or known.n_ordered == len(twin.edges) + 1
        columns = world.columns(name)
        assert (part.binning.transform(world.values[:, columns]) == codes[:, columns]).all()


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    partners=st.integers(1, 2),
    trend=st.sampled_from(["auto", "ascending", "descending", "none"]),
    mirrored=st.booleans(),
)
def test_federated_bins_equal_the_pooled_bins(secret, seed, partners, trend, mirrored):
    world = World(seed, partners, mirrored=mirrored)
    options = replace(OPTIONS, trend=trend)
    results, _ = world.bin_together(secret, options)
    assert_equals_the_kernel(world, results, options)
    for name, kind in [("bank", LabelHolderBins), *((f, FeatureHolderBins) for f in world.parties.all[1:])]:
        assert kind.from_bytes(results[name].to_bytes()) == results[name]


def test_the_scene_has_what_it_is_for(secret):
    """A field of the partner that looks alike from both ends, special and missing bins, fields that are merged."""
    world = World(3, mirrored=True)
    results, transcript = world.bin_together(secret)
    assert_equals_the_kernel(world, results, OPTIONS)
    bins = next(message for *_, message in transcript if isinstance(message, woe_binning.FinalBins))
    assert bins.symmetric.sum() == 1
    shop = results["shop"].binning
    assert len(set(shop.bins[1].final)) == len(shop.edges[1]) + 2  # missing values apart
    assert shop.bins[2].final[-2] == len(shop.edges[2]) + 1  # -99 apart
    assert shop.bins[2].final[-1] <= len(shop.edges[2])  # -98 not


def test_a_field_with_nothing_to_say_and_one_that_is_hardly_there(secret):
    world = World(5)
    world.values[:, 3] = 4.0
    world.values[2:, 4] = np.nan
    results, _ = world.bin_together(secret)
    assert_equals_the_kernel(world, results, OPTIONS)
    assert results["shop"].binning.iv[:2] == (0.0, 0.0)


def test_what_does_not_fit_is_refused(secret):
    world = World(5)
    for label, rows in [
        (world.label[:-1], world.train),
        (world.label, world.train[::-1]),
        (world.label, world.train[:0]),
        (world.label, world.train[:14]),
        (world.label, world.train + 1000),
        (world.label + 1, world.train),
    ]:
        with pytest.raises(ConfigInvalid):
            woe_binning.LabelHolder(
                world.parties, world.view("bank"), label, rows, OPTIONS,
                decryptor=secret, public_key=secret.public,
            )  # fmt: skip
    with pytest.raises(ConfigInvalid):
        woe_binning.FeatureHolder(world.parties, View((), np.zeros((400, 0))), OPTIONS, 512)
