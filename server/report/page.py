"""The page of a report: one self-contained HTML file without scripts or outside assets."""

from __future__ import annotations

from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined

from server.report import charts
from server.report.wording import Wording


def render_page(report: dict[str, Any], language: str | None = None) -> str:
    """`report.html` for a report of `build_report`, in one language (default: the process's).

    Everything that comes from a job or a release is escaped.
    """
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    source = resources.files(__package__).joinpath("page.html.j2").read_text("utf-8")
    template = environment.from_string(source)
    return template.render(**report, w=Wording(language), charts=charts)
