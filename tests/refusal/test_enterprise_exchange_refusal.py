"""The bank takes one answer of each partner, within the job's bounds, and a partner takes none."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from enterprise_scene import EnterpriseScene
from refusing import refuses

from federation import wire
from federation.enterprise.exchange import Answer
from federation.enterprise.holdings import ExchangeOptions
from federation.points import Done
from privacy.errors import MessageInvalid, UnexpectedMessage

ROWS = 80


@pytest.fixture(scope="module")
def scene():
    return EnterpriseScene(ROWS, options=ExchangeOptions(since=10))


@pytest.fixture(scope="module")
def honest(scene):
    return {name: scene.answer(name) for name in ("platform", "utility")}


def changed(message, **changes):
    return msgspec.structs.replace(message, **changes)


def with_cell(array, value):
    found = array.copy()
    found[(0,) * found.ndim] = value
    return found


BAD = {
    "fewer rows": {"answered": np.ones(ROWS - 1, np.bool_)},
    "numbers for flags": {"answered": np.ones(ROWS, "|u1")},
    "points of one topic too many": {"points": np.zeros((ROWS, 2), "|u1")},
    "wide points": {"points": np.zeros((ROWS, 1), "<u2")},
    "points above the weight": {"points": np.full((ROWS, 1), 21, "|u1")},
    "hits that are no bits": {"hits": np.zeros((ROWS, 2), "|u1")},
    "hits of one rule": {"hits": np.zeros((ROWS, 1), np.bool_)},
    "types for some": {"kinds": np.zeros(3, "|i1")},
    "a type that is none": {"kinds": np.full(ROWS, 3, "|i1")},
    "a type below unknown": {"kinds": np.full(ROWS, -2, "|i1")},
    "months without a panel": {"months": 0},
    "no months with a panel": {"month": np.empty(0, "|u1")},
    "a month after the panel": {"month": np.full(ROWS, 25, "|u1"), "strength": np.ones(ROWS, "|u1")},
    "a month before the first asked": {"month": np.full(ROWS, 9, "|u1"), "strength": np.ones(ROWS, "|u1")},
    "a strength without a month": {"month": np.zeros(ROWS, "|u1"), "strength": np.ones(ROWS, "|u1")},
    "a fourth strength": {"month": np.full(ROWS, 12, "|u1"), "strength": np.full(ROWS, 4, "|u1")},
    "something of a row that is not answered": {
        "answered": np.zeros(ROWS, np.bool_), "points": np.full((ROWS, 1), 1, "|u1"),
    },
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_an_answer_that_no_honest_partner_can_give(scene, honest, what):
    message = changed(honest["utility"], **BAD[what])
    refuses(MessageInvalid, scene.label_holder(), "utility", message, "enterprise_answer")


@pytest.mark.parametrize("changes", [{"topics": ("weather",)}, {"rules": ("litigation", "weather")}])
def test_a_topic_or_a_rule_that_the_job_does_not_have(scene, honest, changes):
    role = scene.label_holder()
    refuses(MessageInvalid, role, "utility", changed(honest["utility"], **changes), "enterprise_names")


@pytest.mark.parametrize(
    "changes",
    [
        {"topics": ("cash_flow",)},  # the bank's own
        {"topics": ("orders",)},  # the platform's
        {"rules": ("litigation", "litigation")},
        {"rules": ("litigation", "default_history")},
        {"kinds": np.zeros(ROWS, "|i1")},
    ],
)
def test_two_holders_of_one_thing(scene, honest, changes):
    role = scene.label_holder()
    role.receive("platform", honest["platform"])
    refuses(MessageInvalid, role, "utility", changed(honest["utility"], **changes), "enterprise_two_holders")


def test_an_answer_counts_once_and_only_partners_answer(scene, honest):
    role = scene.label_holder()
    role.receive("utility", honest["utility"])
    refuses(UnexpectedMessage, role, "utility", honest["utility"])
    refuses(UnexpectedMessage, role, "bank", honest["utility"])
    refuses(UnexpectedMessage, role, "stranger", honest["platform"])
    refuses(UnexpectedMessage, role, "platform", Done())
    role.receive("platform", honest["platform"])
    assert role.result is not None
    refuses(UnexpectedMessage, role, "platform", honest["platform"])


def test_a_partner_takes_no_message(scene, honest):
    role = scene.feature_holder("utility")
    refuses(UnexpectedMessage, role, "bank", honest["platform"])
    role.start()
    refuses(UnexpectedMessage, role, "bank", Done())


def test_names_and_months_beyond_bounds_do_not_decode(honest):
    whole = wire.encode(honest["utility"])
    assert isinstance(wire.decode(whole), Answer)
    for changes in (
        {"topics": ("a" * 33,)}, {"topics": ("x",) * 17}, {"rules": ("A reason",)}, {"months": 121}, {"months": -1},
    ):  # fmt: skip
        with pytest.raises(MessageInvalid):
            wire.decode(wire.encode(changed(honest["utility"], **changes)))
    with pytest.raises(MessageInvalid):
        wire.decode(whole[:-1])
