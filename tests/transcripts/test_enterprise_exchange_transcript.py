"""What crosses of firms: points, bits, types and months as declared; no reading, no value, no column's name."""

from __future__ import annotations

import numpy as np
import pytest
from enterprise_scene import PARTIES, EnterpriseScene

from clients.sample.enterprises import COLUMNS
from federation import wire
from federation.enterprise import exchange, health

CANARY = 1234567.03125
"""Exact in binary, and no honest number."""


@pytest.fixture(scope="module")
def scene():
    scene = EnterpriseScene(120)
    for own in scene.columns.values():
        for values in own.values():
            values[::7] = CANARY
    scene.panel[::7] *= CANARY
    return scene


@pytest.fixture(scope="module")
def transcript(scene):
    return scene.run()[1]


def test_each_partner_says_one_thing_to_the_label_holder_alone(transcript):
    assert [(sender, to) for sender, to, _ in transcript] == [
        (name, "bank") for name in PARTIES.feature_holders
    ]
    tags = {wire.tag_of(message) for _, _, message in transcript}
    assert tags == {tag for item in exchange.DISCLOSES.label_holder for tag in item.messages}
    assert exchange.DISCLOSES.feature_holder == ()
    assert tags == {tag for item in exchange.DISCLOSES.coordinator for tag in item.messages}


def test_nothing_crosses_but_what_is_declared(transcript, scene):
    for sender, _, message in transcript:
        assert set(message.__struct_fields__) == {
            "answered", "topics", "points", "rules", "hits", "kinds", "months", "month", "strength",
        }  # fmt: skip
        limits = {topic.name: topic.weight for topic in health.TOPICS}
        for name, points in zip(message.topics, message.points.T, strict=True):
            assert points.max() <= limits[name]
        assert message.hits.dtype == np.bool_
        assert message.strength.max(initial=0) <= 3
        assert (message.months > 0) == (sender == "utility")
        assert (message.kinds.size > 0) == (sender == "platform")


def test_no_value_no_reading_and_no_columns_name_crosses(transcript, scene):
    sent = b"".join(wire.encode(message) for _, _, message in transcript)
    reading, share = float(scene.panel[1, 5]), float(scene.columns["platform"]["rd_share"][1])
    for value in (CANARY, reading, share):
        # As a whole number only where it is large: zeros are everywhere.
        for kind in ("<f8", ">f8", "<f4", *(("<i4", "<i8") if value == CANARY else ())):
            assert np.array([value]).astype(kind).tobytes() not in sent
        assert repr(value).encode() not in sent
    for column in COLUMNS:
        assert column.name.encode() not in sent
    assert len(sent) < 120 * 12 + 600, "about ten bytes per firm and partner"
