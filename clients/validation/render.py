"""The validation report as one self-contained HTML page: inline style and SVG, no scripts, nothing from outside.

Made for paper as well (`@page` A4). The page is rendered from the JSON that lies beside it.
"""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Final

from jinja2 import Environment, StrictUndefined

from clients.validation import charts
from clients.validation.figures import traced
from clients.validation.record import ValidationReport
from clients.validation.wording import Wording
from federation.files import replace_file
from privacy.texts import LANGUAGES

JSON_FILE: Final = "validation.json"


def render(record: bytes, language: str | None = None) -> str:
    """The page of a report's JSON in one language (default: the process's).

    Raises `MessageInvalid` when the JSON is not a report. Everything that comes from it is escaped.
    """
    report = traced(json.loads(ValidationReport.from_json(record).to_json()))
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    source = resources.files(__package__).joinpath("report.html.j2").read_text("utf-8")
    style = resources.files(__package__).joinpath("report.css").read_text("utf-8")
    w = Wording(language, report["identification"]["k_min"])
    return environment.from_string(source).render(**report, w=w, charts=charts, style=style)


def page_file(language: str) -> str:
    """What the page in one language is called."""
    return f"validation.{language}.html"


def write_validation(report: ValidationReport, folder: Path) -> tuple[Path, ...]:
    """Write `validation.json` and a page per language into a folder, which is made if need be; returns their paths.

    Only this account can read them, and each is complete before it appears. Raises `OSError` when the folder cannot be
    written.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    record = report.to_json()
    contents = {JSON_FILE: record} | {page_file(name): render(record, name).encode() for name in LANGUAGES}
    for name, content in contents.items():
        replace_file(folder / name, content, secret=True)
    return tuple(folder / name for name in contents)
