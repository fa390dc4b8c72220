"""Reasons of a score in plain words: true to field and direction, in both languages, without anybody's value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.lending.reasons import (
    MOST_REASONS,
    Direction,
    RiskReason,
    format_reasons,
    parse_reasons,
    sentence,
    told,
)
from privacy.catalog import Catalog
from privacy.errors import ConfigInvalid
from privacy.texts import LANGUAGES, catalogue

RAISES, LOWERS = Direction.RAISES, Direction.LOWERS
NAMES = st.text(st.characters(categories=("L", "N"), include_characters="_ ."), min_size=1, max_size=20).map(
    lambda name: name.strip() or "x"
)


@given(st.lists(st.builds(RiskReason, NAMES, st.sampled_from(Direction)), max_size=5))
def test_reasons_survive_a_file(reasons):
    assert parse_reasons(format_reasons(reasons)) == tuple(reasons)


@pytest.mark.parametrize(
    "cell", ["income", "income:", ":raises", "income:up", "income:raises,age:lowers", "x" * 99]
)
def test_what_is_no_reason_is_refused_without_being_told(cell):
    with pytest.raises(ConfigInvalid) as problem:
        parse_reasons(cell)
    assert problem.value.key == "lending_reason_cell"
    assert problem.value.values == {}


def test_no_reasons_are_none():
    assert parse_reasons("") == ()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_class_of_the_catalogue_has_a_sentence_for_each_direction(language):
    ends = "." if language == "en" else "。"
    for item in Catalog.load().classes:
        found = {way: sentence("a_column", way, language, kind=item.key) for way in Direction}
        assert found[RAISES] != found[LOWERS], item.key
        assert all(one.endswith(ends) and "a_column" not in one for one in found.values()), item.key


def test_every_own_sentence_is_of_a_class_and_has_both_directions():
    known = {item.key for item in Catalog.load().classes} | {"classified", "published", "partner"}
    own = [key.split(".")[2:] for key in catalogue("en") if key.startswith("lending.because.")]
    assert {key for key, _ in own} <= known
    assert {tuple(pair) for pair in own} == {(key, way.value) for key, _ in own for way in Direction}


def test_the_words_fit_the_field():
    assert sentence("enquiries_6m", RAISES, "en") == "There were many credit enquiries about you lately."
    assert sentence("月收入", RAISES, "zh-CN") == "相对于所申请的贷款，您的收入偏低。"
    assert "use of credit lines" not in sentence("card_utilisation", LOWERS, "en")
    assert sentence("products", LOWERS, "en") == (
        "Information of the kind 'which products are held' weighed in favour of the application."
    )
    assert (
        sentence("telecom factor 3", RAISES, "zh-CN")
        == "以“telecom factor 3”为名公布的因素对申请有不利影响。"
    )


def test_the_weightiest_are_told_each_once():
    reasons = [RiskReason("income", RAISES), RiskReason("salary", RAISES), RiskReason("loans", LOWERS)]
    reasons += [RiskReason(f"factor {number}", RAISES) for number in range(9)]
    found = told(reasons, RAISES, "en")
    assert len(found) == MOST_REASONS == len(set(found))
    assert found[0] == "Your income is low for the loan applied for."
    assert "factor 0" in found[1]
