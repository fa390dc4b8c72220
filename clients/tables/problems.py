"""What is wrong with a table, as data that can be rendered in any language."""

from __future__ import annotations

from typing import Any

import msgspec

from privacy.errors import SchemaMismatch
from privacy.texts import text


class Problem(msgspec.Struct, frozen=True):
    """One problem: a key into the text catalogue and what fills it in (file, column, counts; no value)."""

    key: str
    values: dict[str, Any] = {}

    def render(self, language: str | None = None) -> str:
        filled = {
            name: value.render(language) if isinstance(value, Problem) else value
            for name, value in self.values.items()
        }
        return text(self.key, language=language, **filled)


class Problems(tuple[Problem, ...]):
    """All problems of one table. Formatting with a language as the specification, as in `{problems:zh-CN}`,
    renders them in it, one a line: so one error carries many problems and still speaks every language."""

    __slots__ = ()

    def __format__(self, language: str) -> str:
        return "\n".join(f"- {problem.render(language or None)}" for problem in self)


def refuse(file: str, problems: list[Problem]) -> None:
    """Raises `SchemaMismatch` with all the problems, when there are any."""
    if problems:
        raise SchemaMismatch("table_unusable", file=file, count=len(problems), problems=Problems(problems))
