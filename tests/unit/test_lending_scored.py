"""What a finished model says of customers, as decisions read it."""

from __future__ import annotations

import numpy as np
import pytest

from clients.lending.reasons import (
    Direction,
    RiskReason,
    information_from,
    parse_reasons,
    published,
    sentence,
    told,
)
from clients.lending.scored import columns_of, contribution_reasons
from clients.tables import FieldSpec
from clients.tables.specs import PublishedTitle
from federation.path_attributions import Contributions
from federation.points import PartnerPoints, PointScores
from federation.points_models import PublishedName

NAMES = (PublishedName("使用年限", "time with us"), PublishedName("账单; 逾期", "bills: overdue | late"))
FIELDS = ("income", "tenure_months")


def scores(answered=(True, True, False)):
    partner = PartnerPoints(
        points=np.array([10, 20, 0], np.int32),
        answered=np.array(answered),
        reasons=np.array([[1, 0], [-1, -1], [-1, -1]], np.int8),
        names=NAMES,
    )
    return PointScores(
        own=np.array([500, 600, 700], np.int32),
        total=np.array([510, 620, 700], np.int32),
        answered=np.array(answered),
        own_reasons=np.array([[0, 1], [1, -1], [0, -1]], np.int8),
        partners={"telecom": partner},
    )


def test_parties_take_turns_and_who_was_not_answered_has_nothing():
    found = columns_of(scores(), FIELDS)
    first, second, third = (parse_reasons(cell) for cell in found["reasons"])
    own = [RiskReason(name, Direction.RAISES) for name in FIELDS]
    theirs = [RiskReason(published(name.zh, name.en), Direction.RAISES) for name in NAMES]
    assert first == (own[0], theirs[1], own[1], theirs[0])
    assert second == (own[1],)
    assert third == ()
    assert found["points"].tolist()[:2] == [510, 620]
    assert found["points"].isna().tolist() == [False, False, True]
    assert found.to_csv(index=False).splitlines()[3] == ","


def test_a_field_of_the_label_holders_own_goes_by_its_published_name():
    specs = [
        FieldSpec(name="income", published=PublishedTitle(zh="收入", en="earnings")),
        FieldSpec(name="x7", published=PublishedTitle(zh="使用年限", en="time with us")),
    ]
    first = parse_reasons(columns_of(scores(), ("income", "x7"), specs)["reasons"].iloc[0])
    assert [reason.name for reason in first] == [
        "income",
        "账单 逾期|bills overdue late",
        "使用年限|time with us",
    ]


def test_a_published_name_is_told_in_its_language():
    name = published(NAMES[1].zh, NAMES[1].en)
    assert sentence(name, Direction.RAISES, "zh-CN") == "以“账单 逾期”为名公布的因素对申请有不利影响。"
    assert (
        sentence(name, Direction.RAISES, "en")
        == "What is published as 'bills overdue late' weighed against the application."
    )


RAISES = Direction.RAISES


def boosted(values):
    return Contributions(-1.0, ("income", "x1", "x2"), ("shop", "telecom"), np.array(values))


def test_boosted_reasons_are_the_largest_contributions_to_the_risk():
    specs = [
        FieldSpec(name="income", published=PublishedTitle(zh="收入", en="earnings")),
        FieldSpec(name="x1", published=PublishedTitle(zh="使用年限", en="time with us")),
        FieldSpec(name="x2"),
    ]
    cells = contribution_reasons(
        boosted([[0.1, 0.3, -2.0, 0.2, 0.0], [-1, -1, -1, -1, -1], [5, 4, 3, 2, 1]]), specs
    )
    first, second, third = (parse_reasons(cell) for cell in cells)
    own = (RiskReason("income", RAISES), RiskReason(published("使用年限", "time with us"), RAISES))
    shop = RiskReason(information_from("shop"), RAISES)
    assert first == (own[1], shop, own[0])
    assert second == ()
    assert third == (*own, RiskReason("x2", RAISES), shop), (
        "at most four, and the catalogue has words for income"
    )


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en", "The information from telecom weighed against the application."),
        ("zh-CN", "来自 telecom 的信息对申请有不利影响。"),
    ],
)
def test_a_partner_as_a_whole_has_a_sentence(language, expected):
    assert told([RiskReason(information_from("telecom"), RAISES)], RAISES, language) == (expected,)
