"""`silhouette-node validation`: the main figures of a model's validation report, for a terminal or for a program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from federation.terminal import make_app, out, print_json
from privacy.texts import text

if TYPE_CHECKING:
    from clients.validation.record import ValidationReport

validation_app = make_app(text("validation.cli.help"))

JsonOption = Annotated[bool, typer.Option("--json", help=text("terminal.option_json"))]


@validation_app.callback()
def _commands() -> None:
    """A group of commands, even of a single one."""


@validation_app.command("show", help=text("validation.cli.help_show"))
def show(
    results: Annotated[Path, typer.Argument(help=text("validation.cli.results"))],
    as_json: JsonOption = False,
) -> None:
    from clients.validation.record import ValidationReport
    from clients.validation.render import JSON_FILE, page_file
    from privacy.errors import ConfigInvalid
    from privacy.texts import current_language

    file = results / JSON_FILE
    if not file.exists():
        raise ConfigInvalid("file_missing", file=file)
    report = ValidationReport.from_json(file.read_bytes())
    if as_json:
        print_json(report)
        return
    model = report.identification
    out.print(escape(f"{text(f'validation.kind.{model.kind.value}')} · {model.model_id}"), soft_wrap=True)
    out.print(_figures(report))
    checks = Table()
    for column in ("check", "figure", "outcome"):
        checks.add_column(
            text(f"validation.checks.{column}"), justify="right" if column == "figure" else "left"
        )
    for item in report.checks:
        checks.add_row(
            text(f"validation.check.{item.key}"),
            "-" if item.figure is None else f"{item.figure:.3f}",
            text(f"validation.outcome.{item.outcome.value}"),
        )
    out.print(checks)
    page = results / page_file(current_language())
    out.print(escape(text("validation.cli.page", file=page)), soft_wrap=True)


def _figures(report: ValidationReport) -> Table:
    """Held-out quality of the joint model and of the label holder's own."""
    figures = Table()
    figures.add_column(text("validation.held_out"))
    for column in ("AUC", "Gini", "KS"):
        figures.add_column(column, justify="right")
    found = report.performance
    if found is not None:
        rows = {text("validation.performance.joint"): found.joint}
        if found.alone is not None:
            party = report.identification.label_holder
            rows[text("validation.performance.alone", party=party)] = found.alone
        for name, quality in rows.items():
            held_out = quality.held_out
            figures.add_row(
                escape(name), *(f"{part:.4f}" for part in (held_out.auc, held_out.gini, held_out.ks))
            )
    return figures
