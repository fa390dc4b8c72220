"""Federated correlations and selection equal those on the pooled table's WOE."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from woe_scene import OPTIONS as BINNING
from woe_scene import World, over_the_wire

from federation.collinearity import LabelHolder
from federation.collinearity_messages import FeatureHolderSelection, LabelHolderSelection, layout_of
from federation.roles import Rehearsal, View
from federation.woe import fit_woe
from federation.woe_selection import (
    Candidate,
    Dropped,
    SelectionOptions,
    centred,
    correlation_of,
    moments_of,
    select_fields,
    woe_integers,
)
from privacy.errors import ConfigInvalid
from privacy.paillier_secret import SecretKey

OPTIONS = SelectionOptions(min_iv=0.03, max_correlation=0.6, max_vif=1.2, runs=20, min_stability=0.7)


@pytest.fixture(scope="module")
def secret():
    return SecretKey.generate(512, testing_only=True)


def select_together(world, secret, options=OPTIONS):
    bins, _ = world.bin_together(secret)
    rehearsal = Rehearsal(world.selection_roles(secret, bins, options), over_the_wire)
    results = rehearsal.run()
    return bins, results, rehearsal.transcript


def pooled_selection(world, names, options):
    """Verdicts and correlations of the pooled table's fields, in the order of `names`."""
    values, labels = world.values[world.train], world.label[world.train]
    pooled = fit_woe(world.names, values, labels, BINNING)
    codes = pooled.transform(values)
    order = [pooled.fields.index(name) for name in names]
    owners = [world.parties.all.index(name.split("_")[0]) for name in names]
    woe = [woe_integers(pooled.woe[place], options) for place in order]
    codes = codes[:, order]
    sums = [int(of_code[codes[:, place]].sum()) for place, of_code in enumerate(woe)]
    correlation = correlation_of(centred(moments_of(codes, woe).tolist(), sums, len(codes)))
    for one, first in enumerate(owners):
        for other, second in enumerate(owners):
            low = min(pooled.iv[order[one]], pooled.iv[order[other]]) < options.min_iv
            if one != other and (low or (first and second and first != second)):
                correlation[one, other] = np.nan
    candidates = [
        Candidate(pooled.bins[place].goods, pooled.bins[place].bads, pooled.iv[place], owner)
        for place, owner in zip(order, owners, strict=True)
    ]
    return select_fields(candidates, correlation, options), correlation


def names_of(verdicts, bins):
    """The true names behind the label holder's list."""
    return [
        item.field or bins[item.party].binning.fields[bins[item.party].numbers.index(item.number)]
        for item in verdicts
    ]


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), partners=st.integers(1, 2))
def test_the_selection_equals_that_of_the_pooled_table(secret, seed, partners):
    world = World(seed, partners)
    bins, results, _ = select_together(world, secret)
    holder = results["bank"]
    names = names_of(holder.verdicts, bins)
    assert sorted(names) == sorted(world.names)
    verdicts, correlation = pooled_selection(world, names, OPTIONS)
    found = np.array(holder.correlation, dtype=np.float64)
    assert np.array_equal(found, correlation, equal_nan=True)
    for ours, theirs in zip(holder.verdicts, verdicts, strict=True):
        assert ours.dropped == theirs.dropped
        for one, other in ((ours.stability, theirs.stability), (ours.vif, theirs.vif)):
            assert (np.nan if one is None else one) == pytest.approx(other, nan_ok=True)
    kept = {name for name, verdict in zip(names, verdicts, strict=True) if verdict.dropped is None}
    assert holder.binning == bins["bank"].binning.keep(kept)
    for party in world.parties.feature_holders:
        part = results[party]
        assert part.binning == bins[party].binning.keep(kept)
        assert set(part.numbers) == set(holder.partners[party])
        assert part.dropped == {
            name: verdict.dropped
            for name, verdict in zip(names, verdicts, strict=True)
            if name.startswith(party) and verdict.dropped
        }
        assert FeatureHolderSelection.from_bytes(part.to_bytes()) == part
    assert LabelHolderSelection.from_bytes(holder.to_bytes()) == holder


def test_every_reason_occurs_in_the_scene(secret):
    seen = set()
    for seed in range(4):
        _, results, _ = select_together(World(seed, 2), secret)
        seen |= {item.dropped for item in results["bank"].verdicts}
    assert seen >= {None, Dropped.IV, Dropped.CORRELATION, Dropped.VIF}


@pytest.mark.parametrize("width", [1, 2])
def test_more_fields_than_fit_a_ciphertext(secret, width, monkeypatch):
    """Groups of fields, each with a ciphertext per row, give the same sums."""
    world = World(4, 1)
    bins, results, _ = select_together(world, secret, SelectionOptions(min_iv=0.0, runs=0))
    narrow = layout_of(40 * (width + 1) + 2, 10, len(world.train))
    assert narrow.slots in {width, width + 1}
    for module in ("collinearity", "collinearity_partner"):
        monkeypatch.setattr(f"federation.{module}.layout_of", lambda *_: narrow)
    roles = world.selection_roles(secret, bins, SelectionOptions(min_iv=0.0, runs=0))
    rehearsal = Rehearsal(roles, over_the_wire)
    found = rehearsal.run()
    assert found == results
    assert len(rehearsal.transcript[0][2].woe) > len(world.train) * secret.public.ciphertext_bytes


def test_a_party_with_nothing_to_compare(secret):
    """No field of the partner, or none of the label holder, has enough IV."""
    for place in (0, 1):
        world = World(6, 1)
        columns = world.columns(world.parties.all[place])
        world.values[:, columns] = 1.0
        bins, results, transcript = select_together(world, secret)
        names = names_of(results["bank"].verdicts, bins)
        verdicts, _ = pooled_selection(world, names, OPTIONS)
        assert [item.dropped for item in results["bank"].verdicts] == [item.dropped for item in verdicts]
        assert transcript[0][2].woe == b""


def test_rows_that_have_left_since_the_binning_are_left_out(secret):
    world = World(5, 1)
    bins, _ = world.bin_together(secret)
    stay = np.delete(world.train, [0, 7, 30])
    roles = world.selection_roles(secret, bins, OPTIONS)
    roles["bank"] = LabelHolder(
        world.parties,
        world.view("bank"),
        bins["bank"],
        stay,
        OPTIONS,
        decryptor=secret,
        public_key=secret.public,
    )
    holder = Rehearsal(roles, over_the_wire).run()["bank"]
    woe = {}
    for party in world.parties.all:
        binning = bins[party].binning
        table = binning.woe_of(binning.transform(world.view(party).values[stay]))
        woe |= {name: table[:, place] for place, name in enumerate(binning.fields)}
    names = names_of(holder.verdicts, bins)
    expected = np.corrcoef([woe[name] for name in names])
    found = np.array(holder.correlation, dtype=np.float64)
    known = ~np.isnan(found)
    assert known.sum() > len(names)
    np.testing.assert_allclose(found[known], expected[known], atol=2e-3)  # WOE to a thousandth


def test_bins_of_another_table_are_refused(secret):
    world = World(5, 1)
    bins, _ = world.bin_together(secret)
    other, _ = World(5, 2).bin_together(secret)
    view = world.view("bank")
    for changed, rows, of in [
        (view, world.train[::-1], bins["bank"]),
        (view, world.train[:0], bins["bank"]),
        (view, world.train, other["bank"]),
        (View(view.fields[::-1], view.values), world.train, bins["bank"]),
    ]:
        with pytest.raises(ConfigInvalid):
            LabelHolder(world.parties, changed, of, rows, OPTIONS, decryptor=secret, public_key=secret.public)
    roles = world.selection_roles(secret, bins, OPTIONS)
    shop = world.view("shop")
    with pytest.raises(ConfigInvalid):
        type(roles["shop"])(world.parties, View(shop.fields[::-1], shop.values), bins["shop"], OPTIONS, 512)
