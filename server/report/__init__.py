"""The report of a finished job: `report.json` with every figure, `report.html` for people, tables for a terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from federation.files import replace_file
from server.report.console import print_report
from server.report.figures import build_report
from server.report.page import render_page

__all__ = ["build_report", "print_report", "render_page", "write_report"]


def write_report(report: dict[str, Any], folder: Path, language: str | None = None) -> tuple[Path, Path]:
    """Write `report.json` and `report.html` (language: default the process's) into an existing folder.

    Both are complete before they appear under their names. Returns their paths. Raises `OSError` when the folder
    cannot be written.
    """
    figures, page = folder / "report.json", folder / "report.html"
    rendered = render_page(report, language)
    replace_file(figures, (json.dumps(report, ensure_ascii=False, indent=2, allow_nan=False) + "\n").encode())
    replace_file(page, rendered.encode())
    return figures, page
