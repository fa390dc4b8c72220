"""Why a score is as it is, in plain words for the person concerned (PIPL 24 (3); the style of adverse-action notices).

A reason is a name and a direction. The name is a field's, or what `published` makes of the name that a party gives a
field of its own towards people, or `information_from` a partner as a whole. Its sentence comes from the texts:
`lending.because.<class>.<direction>` for classes of the field catalogue that have one of their own, else a general one
with the class's name. No sentence holds a value of anybody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import cache
from typing import Final, NamedTuple

from privacy.catalog import Catalog
from privacy.errors import ConfigInvalid
from privacy.texts import catalogue, current_language, text

SEPARATOR: Final = ";"
MOST_REASONS: Final = 4
"""As many are told: more blur what matters (12 CFR 1002.9, official interpretation 9(b)(2)-1, for comparison)."""
_LONGEST_NAME: Final = 250
_LANGUAGES_APART: Final = "|"


class Direction(StrEnum):
    """What a contribution does to the assessed risk."""

    RAISES = "raises"
    LOWERS = "lowers"


class RiskReason(NamedTuple):
    """One contribution to a score, the weightiest first where there are several."""

    name: str
    direction: Direction


def published(zh: str, en: str) -> str:
    """A name for reasons from a partner's published name, whose characters may be anything."""
    zh, en = (" ".join(re.sub(r"[:;|\s]+", " ", name).split()) for name in (zh, en))
    return f"{zh}{_LANGUAGES_APART}{en}"


def information_from(party: str) -> str:
    """A name for what a partner knows, where it does not say more."""
    zh, en = (
        text("lending.information_from", language=language, party=party) for language in ("zh-CN", "en")
    )
    return published(zh, en)


def has_words(name: str) -> bool:
    """Whether the field catalogue has words of its own for a column of this name."""
    return _catalog().of_column(name, "") is not None


def name_in(name: str, language: str) -> str:
    """How one language names the field of a reason: a published name in it, any other as it is."""
    zh, apart, en = name.partition(_LANGUAGES_APART)
    return name if not apart else zh if language.startswith("zh") else en


def parse_reasons(cell: str) -> tuple[RiskReason, ...]:
    """Reasons as results hold them, "income:raises;arrears:lowers". Raises `ConfigInvalid` without telling the cell."""
    found = []
    for part in filter(None, (piece.strip() for piece in cell.split(SEPARATOR))):
        name, _, direction = part.partition(":")
        if not 0 < len(name) <= _LONGEST_NAME or direction not in set(Direction):
            raise ConfigInvalid("lending_reason_cell")
        found.append(RiskReason(name, Direction(direction)))
    return tuple(found)


def format_reasons(reasons: Iterable[RiskReason]) -> str:
    """Inverse of `parse_reasons`."""
    return SEPARATOR.join(f"{reason.name}:{reason.direction.value}" for reason in reasons)


@cache
def _catalog() -> Catalog:
    return Catalog.load()


def sentence(name: str, direction: Direction, language: str | None = None, kind: str = "") -> str:
    """One plain sentence about a field or a published name. kind: the field's declared class, where it has one."""
    if _LANGUAGES_APART in name:
        is_whole = name_in(name, "en").startswith(text("lending.information_from", language="en", party=""))
        name = name_in(name, language or current_language())
        if is_whole:
            return text(f"lending.because.partner.{direction.value}", language=language, name=name)
        return text(f"lending.because.published.{direction.value}", language=language, name=name)
    found = _catalog().of_column(name, kind)
    if found is None:
        return text(f"lending.because.published.{direction.value}", language=language, name=name)
    own = f"lending.because.{found.key}.{direction.value}"
    if own in catalogue(language or current_language()):
        return text(f"lending.because.{found.key}.{direction.value}", language=language)
    what = text(f"catalog.field.{found.key}", language=language)
    return text(f"lending.because.classified.{direction.value}", language=language, name=what)


def told(
    reasons: Iterable[RiskReason],
    direction: Direction,
    language: str | None = None,
    kinds: Mapping[str, str] | None = None,
) -> tuple[str, ...]:
    """The sentences of one direction, each once, the weightiest first, at most `MOST_REASONS`.

    kinds: declared classes of fields, see `sentence`.
    """
    declared = kinds or {}
    sentences = (
        sentence(one.name, one.direction, language, declared.get(one.name, ""))
        for one in reasons
        if one.direction is direction
    )
    return tuple(dict.fromkeys(sentences))[:MOST_REASONS]
