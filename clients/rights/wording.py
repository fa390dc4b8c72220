"""How pages for data subjects read in one language. Every key is a whole one, so a page names what it shows."""

from __future__ import annotations

from datetime import date, datetime
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from privacy.policy import Titles
from privacy.reasons import Finding, Reason
from privacy.texts import catalogue, current_language, text

_REASONS = frozenset(item.value for item in Reason)


class Wording:
    """Texts and times of one language (default: the process's); everything that is filled in is escaped."""

    def __init__(self, language: str | None = None) -> None:
        self.language = language or current_language()

    def __call__(self, key: str, /, **values: object) -> Markup:
        return escape(catalogue(self.language)[key]).format(**values)

    def kind(self, name: str) -> str:
        return text(f"receipts.kind.{name}", language=self.language)

    def state(self, name: str) -> str:
        return text(f"receipts.state.{name}", language=self.language)

    def requester(self, name: str) -> str:
        return text(f"receipts.requester.{name}", language=self.language)

    def artefact(self, name: str) -> str:
        return text(f"receipts.artefact.{name}", language=self.language)

    def result(self, name: str) -> str:
        return text(f"receipts.result.{name}", language=self.language)

    def plan(self, name: str) -> str:
        return text(f"receipts.plan.{name}", language=self.language)

    def basis(self, name: str) -> str:
        return text(f"copies.basis_of.{name}", language=self.language)

    def relation(self, name: str) -> str:
        return text(f"copies.relation_of.{name}", language=self.language)

    def consent(self, status: str) -> str:
        return text(f"copies.consent_of.{status}", language=self.language)

    def told(self, code: str) -> str:
        """Why the subject's page does not show what was asked for."""
        return str(self(f"subject.{code}"))

    def remedy(self, code: str) -> str:
        """What to do about it."""
        return text(f"subject.remedy.{code}", language=self.language)

    def say(self, both: Titles) -> str:
        """A text that is held in both languages."""
        return both.in_language(self.language)

    def reason(self, code: str) -> str:
        """A code of `privacy.reasons` with what it means, or the text of that key."""
        if code in _REASONS:
            return Finding(Reason(code)).render(self.language)
        return catalogue(self.language).get(code, code)

    def moment(self, at: datetime | None) -> str:
        """A time in this computer's zone, to the minute."""
        return "–" if at is None else at.astimezone().isoformat(" ", "minutes")[:16]

    def day(self, on: date | None) -> str:
        return "–" if on is None else on.isoformat()


@cache
def _source(package: str, name: str) -> str:
    return resources.files(package).joinpath(name).read_text("utf-8")


def _load(name: str) -> str:
    """A template by `package:file`, so that one can extend another."""
    package, _, file = name.partition(":")
    return _source(package, file)


@cache
def _environment() -> Environment:
    return Environment(
        loader=FunctionLoader(_load),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def render(package: str, template: str, t: Wording, **values: Any) -> str:
    """A page of a package's template, self-contained: its style is inline, and there is no script."""
    style = Markup(_source("clients.rights", "page.css"))  # noqa: S704 - our own file
    return _environment().get_template(f"{package}:{template}").render(t=t, style=style, **values)
