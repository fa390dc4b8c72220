"""The one catalogue of user-facing text, in English and Simplified Chinese.

A text is named by a dotted key, `area.name`; the area is the first word of the file it lives in
(`en/errors.toml` and `en/errors-tables.toml` hold `errors.*`). Values are filled in with `str.format`. Every key
exists in both languages with the same placeholders; a test checks that.
"""

from __future__ import annotations

import os
import tomllib
from functools import cache
from importlib import resources
from typing import Any, Final

LANGUAGES: Final = ("en", "zh-CN")
LANGUAGE_VARIABLE: Final = "SILHOUETTE_LANG"


def current_language() -> str:
    """The language of this process: `SILHOUETTE_LANG`, else the locale's, else English."""
    wish = os.environ.get(LANGUAGE_VARIABLE) or os.environ.get("LC_ALL") or os.environ.get("LANG") or ""
    return "zh-CN" if wish.lower().startswith("zh") else "en"


@cache
def catalogue(language: str) -> dict[str, str]:
    """All texts of one language, by key. Raises `KeyError` for a language that is not in `LANGUAGES`."""
    if language not in LANGUAGES:
        raise KeyError(language)
    texts: dict[str, str] = {}
    for file in sorted((resources.files(__name__) / language).iterdir(), key=lambda item: item.name):
        if file.name.endswith(".toml"):
            _flatten(
                file.name.removesuffix(".toml").split("-")[0], tomllib.loads(file.read_text("utf-8")), texts
            )
    return texts


def _flatten(prefix: str, node: dict[str, Any], into: dict[str, str]) -> None:
    for key, value in node.items():
        if isinstance(value, dict):
            _flatten(f"{prefix}.{key}", value, into)
        else:
            into[f"{prefix}.{key}"] = value


def text(key: str, /, *, language: str | None = None, **values: object) -> str:
    """The text named `key`, filled in. Raises `KeyError` when the key or a value is missing."""
    return catalogue(language or current_language())[key].format(**values)
