"""A recall refuses what cannot be the earlier job's rows, too few of them, and a model that differs by a few people."""

import numpy as np
import pytest
from recall_scene import SESSION, Scene, references
from refusing import refuses

from federation import recall
from federation.recall_messages import Held, ReferenceList, Settled, Staying, Wanted, digest_of
from privacy.errors import CohortTooSmall, Denied, MessageInvalid, UnexpectedMessage

GONE = {"bank": {1, 2, 3}, "shop": {1, 2, 3, 4}, "carrier": {1, 2, 3}}


@pytest.fixture
def scene():
    return Scene(gone=GONE)


def held(scene, name):
    own = scene.all[scene.kept[name]]
    return Held(size=len(own), digest=digest_of(SESSION, own))


def asked(scene):
    """The label holder, that waits for the shop's list."""
    holder = scene.role("bank")
    assert holder.receive("carrier", held(scene, "carrier")) == []
    (wanted,) = holder.receive("shop", held(scene, "shop"))
    assert wanted.to == "shop"
    assert isinstance(wanted.message, Wanted)
    return holder


# --- too few


@pytest.mark.parametrize("name", ["bank", "shop"])
def test_fewer_than_k_min_rows_are_no_cohort(name):
    with pytest.raises(CohortTooSmall):
        Scene(n_rows=8, gone={name: {0, 1, 2, 3}}).role(name)


def test_fewer_than_k_min_rows_in_common_are_refused():
    scene = Scene(n_rows=12, gone={"bank": set(range(5)), "shop": set(range(7, 12))}, partners=1)
    with pytest.raises(CohortTooSmall):
        scene.run()


@pytest.mark.parametrize("n_gone", [0, 1, 2])
def test_a_model_that_would_differ_by_a_few_rows_is_not_trained(n_gone):
    gone = {key: set(range(n_gone)) for key in ("bank", "shop", "carrier")}
    with pytest.raises(Denied) as caught:
        Scene(gone=gone).run()
    assert caught.value.findings.codes == ("R-DIFFERENCING-RISK",)


def test_every_party_refuses_for_itself():
    gone = {key: {0, 1, 2} for key in ("bank", "shop")}
    scene = Scene(gone=gone, partners=1)
    partner = scene.role("shop", least_changes=4)
    partner.start()
    own = scene.all[scene.kept["shop"]]
    refuses(Denied, partner, "bank", Settled(digest=digest_of(SESSION, own)))
    places = np.arange(len(own), dtype=np.uint32)
    refuses(Denied, partner, "bank", Staying(positions=places, digest=digest_of(SESSION, own)))


# --- the label holder


def test_more_rows_than_the_job_had_are_refused(scene):
    refuses(MessageInvalid, scene.role("bank"), "shop", Held(size=41, digest=b"\0" * 32), "recall_references")


@pytest.mark.parametrize(
    "change",
    [
        lambda own: own[:-1],
        lambda own: np.vstack([own[:-1], own[:1]]),
        lambda own: own[:, :15],
        lambda own: own.astype(np.int8),
        lambda own: own.ravel(),
        lambda own: np.vstack([own, references(9, seed=7)]),
    ],
    ids=["one less", "one twice", "short", "type", "shape", "more than there were"],
)
def test_a_list_that_is_not_what_was_said_is_refused(scene, change):
    own = scene.all[scene.kept["shop"]]
    refuses(MessageInvalid, asked(scene), "shop", ReferenceList(references=change(own)))


def test_a_list_in_another_order_is_refused(scene):
    own = scene.all[scene.kept["shop"]][::-1].copy()
    holder = scene.role("bank")
    holder.receive("carrier", held(scene, "carrier"))
    holder.receive("shop", Held(size=len(own), digest=digest_of(SESSION, own)))
    refuses(MessageInvalid, holder, "shop", ReferenceList(references=own), "recall_order")


def test_an_unknown_reference_is_left_out(scene):
    own = scene.all[scene.kept["shop"]]
    own = np.vstack([own, references(1, seed=9)])
    holder = scene.role("bank")
    holder.receive("carrier", held(scene, "carrier"))
    holder.receive("shop", Held(size=len(own), digest=digest_of(SESSION, own)))
    told = {out.to: out.message for out in holder.receive("shop", ReferenceList(references=own))}
    assert told["shop"].positions.tolist() == list(range(len(own) - 1))
    assert len(holder.result.places) == 36


def test_messages_out_of_turn_are_refused(scene):
    holder = scene.role("bank")
    own = scene.all[scene.kept["shop"]]
    refuses(UnexpectedMessage, holder, "shop", ReferenceList(references=own))  # nobody has asked
    refuses(UnexpectedMessage, holder, "stranger", held(scene, "shop"))
    holder.receive("shop", held(scene, "shop"))
    refuses(UnexpectedMessage, holder, "shop", held(scene, "shop"))  # a replay
    refuses(UnexpectedMessage, holder, "carrier", Settled(digest=b"\0" * 32))
    holder = asked(scene)
    refuses(UnexpectedMessage, holder, "carrier", ReferenceList(references=own))  # was not asked
    holder.receive("shop", ReferenceList(references=own))
    with pytest.raises(UnexpectedMessage):
        holder.receive("shop", ReferenceList(references=own))


# --- a partner


@pytest.mark.parametrize(
    ("positions", "key"),
    [
        (np.array([0, 1, 40], np.uint32), "align_positions_outside"),
        (np.array([1, 0, 2], np.uint32), "align_positions_order"),
        (np.array([1, 1, 2], np.uint32), "align_positions_order"),
        (np.array([0, 1, 2], np.int64), "align_positions_type"),
        (np.arange(10, dtype=np.uint32), "recall_rows_differ"),
    ],
)
def test_places_that_cannot_be_its_own_are_refused(scene, positions, key):
    partner = scene.role("shop")
    partner.start()
    refuses(MessageInvalid, partner, "bank", Staying(positions=positions, digest=b"\0" * 32), key)


def test_a_partner_refuses_what_is_out_of_turn(scene):
    partner = scene.role("shop")
    partner.start()
    refuses(UnexpectedMessage, partner, "carrier", Wanted())
    refuses(UnexpectedMessage, partner, "bank", held(scene, "bank"))
    refuses(MessageInvalid, partner, "bank", Settled(digest=b"\0" * 32), "recall_rows_differ")
    partner.receive("bank", Wanted())
    refuses(UnexpectedMessage, partner, "bank", Wanted())
    refuses(UnexpectedMessage, partner, "bank", Settled(digest=b"\0" * 32))


def test_another_sessions_digest_does_not_fit(scene):
    own = scene.all[scene.kept["shop"]]
    partner = scene.role("shop")
    partner.start()
    refuses(MessageInvalid, partner, "bank", Settled(digest=digest_of("ab" * 16, own)), "recall_rows_differ")


def test_references_here_must_be_the_jobs(scene):
    with pytest.raises(MessageInvalid):
        recall.FeatureHolder(scene.parties, SESSION, references(41), before=40, k_min=5, least_changes=3)
