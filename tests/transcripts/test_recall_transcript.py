"""What crosses in a recall: sizes, digests and, where lists differ, references of rows that both parties know."""

import numpy as np
from recall_scene import NAMES, Scene

from federation import wire
from federation.messages import COORDINATOR
from federation.recall import DISCLOSES, MESSAGES
from privacy.texts import LANGUAGES, text

GONE = {"bank": {3, 4}, "shop": {4, 9}, "carrier": {3, 4}}


def declared():
    roles = (DISCLOSES.label_holder, DISCLOSES.feature_holder, DISCLOSES.coordinator)
    return [{tag for item in role for tag in item.messages} for role in roles]


def test_messages_reach_only_those_for_whom_they_are_declared():
    scene = Scene(gone=GONE)
    to_holder, to_partner, to_coordinator = declared()
    _, transcript = scene.run()
    for sender, recipient, message in transcript:
        tag = wire.tag_of(message)
        assert tag in (to_holder if recipient == "bank" else to_partner)
        assert "bank" in {sender, recipient}  # partners never speak to each other
    assert to_coordinator == set()
    assert to_holder | to_partner == {str(kind.__struct_config__.tag) for kind in MESSAGES}
    assert COORDINATOR not in {recipient for _, recipient, _ in transcript}


def test_only_the_party_that_differs_shows_its_references():
    scene = Scene(gone=GONE)
    _, transcript = scene.run()
    shown = {sender for sender, _, message in transcript if wire.tag_of(message) == "recall.references/1"}
    assert shown == {"shop"}


def test_a_partner_never_gets_a_reference():
    scene = Scene(gone=GONE)
    _, transcript = scene.run()
    sent = b"".join(wire.encode(message) for _, to, message in transcript if to != "bank")
    assert not any(reference.tobytes() in sent for reference in scene.all)


def test_who_has_left_is_in_no_message_of_those_who_have_deleted_it():
    scene = Scene(gone={key: {7, 8, 9} for key in NAMES})
    _, transcript = scene.run()
    everything = b"".join(wire.encode(message) for *_, message in transcript)
    assert not any(scene.all[row].tobytes() in everything for row in range(40))
    differing = Scene(gone=GONE)
    _, transcript = differing.run()
    by_shop = b"".join(wire.encode(message) for sender, _, message in transcript if sender == "shop")
    assert not any(differing.all[row].tobytes() in by_shop for row in GONE["shop"])
    assert all(differing.all[row].tobytes() in by_shop for row in np.setdiff1d(np.arange(40), [4, 9]))


def test_what_is_learned_has_a_text_in_every_language():
    for role in (DISCLOSES.label_holder, DISCLOSES.feature_holder):
        for item in role:
            for language in LANGUAGES:
                assert text(f"disclosures.recall.{item.what}", language=language)
