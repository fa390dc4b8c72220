"""Errors and texts speak the process's language, or the one they are asked for."""

import re

import pytest

from privacy import errors
from privacy.texts import LANGUAGES, current_language, text

ERROR_CLASSES = {
    name for name, item in vars(errors).items()
    if isinstance(item, type) and issubclass(item, errors.SilhouetteError)
}  # fmt: skip


def test_texts_are_filled_in_in_the_language_asked_for():
    assert text("errors.file_missing", language="en", file="a.csv") == "a.csv does not exist."
    assert "a.csv" in text("errors.file_missing", language="zh-CN", file="a.csv")


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_unknown_key_or_a_missing_value_raises(language):
    with pytest.raises(KeyError):
        text("errors.nothing", language=language)
    with pytest.raises(KeyError):
        text("errors.file_missing", language=language)


def test_an_unknown_language_raises():
    with pytest.raises(KeyError):
        text("errors.file_missing", language="../../en", file="x")


@pytest.mark.parametrize(
    ("wish", "all_", "lang", "language"),
    [
        ("zh-CN", "en_GB.UTF-8", None, "zh-CN"),
        ("en", "zh_CN.UTF-8", "zh_CN.UTF-8", "en"),
        (None, "zh_CN.UTF-8", "en_GB", "zh-CN"),
        (None, None, "ZH_TW", "zh-CN"),
        (None, None, "C", "en"),
        (None, None, None, "en"),
        ("", "", "zh", "zh-CN"),
    ],
)
def test_the_language_of_a_process(monkeypatch, wish, all_, lang, language):
    for name, value in (("SILHOUETTE_LANG", wish), ("LC_ALL", all_), ("LANG", lang)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert current_language() == language


def test_an_error_speaks_every_language_and_the_process_own(monkeypatch):
    error = errors.ConfigInvalid("file_missing", file="a.csv")
    monkeypatch.setenv("SILHOUETTE_LANG", "zh-CN")
    assert str(error) == error.render("zh-CN") != error.render("en")


def test_codes_of_errors_are_stable_and_distinct():
    codes = {getattr(errors, name).code for name in ERROR_CLASSES}
    assert len(codes) == len(ERROR_CLASSES)
    for name in ERROR_CLASSES - {"SilhouetteError"}:
        assert getattr(errors, name).code == re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
