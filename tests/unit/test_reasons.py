"""Every reason is a code with its article, what it means and what to do, in both languages."""

import re

import pytest

from privacy.reasons import ARTICLES, Finding, Findings, Reason
from privacy.texts import LANGUAGES, catalogue, text


@pytest.mark.parametrize("reason", Reason)
def test_a_code_is_its_name(reason):
    assert reason.value == "R-" + reason.name.replace("_", "-")
    assert re.fullmatch(r"R(-[A-Z]+)+", reason.value)


@pytest.mark.parametrize("reason", Reason)
def test_a_code_has_its_article(reason):
    assert re.match(r"(PIPL|征信业管理条例) \d+", ARTICLES[reason])


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("reason", Reason)
def test_a_code_says_what_it_means_and_what_to_do(reason, language):
    for part in ("meaning", "remedy"):
        sentence = text(f"reasons.{reason.name}.{part}", language=language)
        assert sentence.endswith("." if language == "en" else "。")
        assert "\n" not in sentence
    assert (
        text(f"reasons.{reason.name}.meaning", language=language).count("." if language == "en" else "。")
        == 1
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_without_a_code(language):
    named = {key.split(".")[1] for key in catalogue(language) if key.startswith("reasons.")}
    assert named == {reason.name for reason in Reason}


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_of_different_codes_differ(language):
    texts = [text(f"reasons.{reason.name}.meaning", language=language) for reason in Reason]
    assert len(set(texts)) == len(texts)


def test_a_finding_shows_code_article_subject_meaning_and_remedy():
    line = Finding(Reason.PURPOSE_MISMATCH, "credit_risk").render("en")
    assert line.startswith("R-PURPOSE-MISMATCH [PIPL 6, 14] (credit_risk): The data or the method")
    assert line.endswith("its own registration, notice and consents.")


def test_others_hear_codes_alone():
    found = Findings([Finding(Reason.AGE_UNKNOWN, "adults"), Finding(Reason.AGE_UNKNOWN, "marketing")])
    assert found.without_details() == (Finding(Reason.AGE_UNKNOWN),)
    assert "adults" not in f"{found.without_details():en}"
