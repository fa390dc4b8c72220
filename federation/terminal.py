"""What both command lines share: exit statuses, JSON output, one clear line per error."""

from __future__ import annotations

import sys
from typing import Any, Final

import msgspec
import typer
from rich.console import Console
from rich.markup import escape

from privacy.errors import InputError, Refused, SilhouetteError
from privacy.texts import text

EXIT_INPUT: Final = 2
EXIT_REFUSED: Final = 3
EXIT_INTERRUPTED: Final = 130
"""The shell's exit status for a command that Ctrl-C ended."""

out: Final = Console()
problems: Final = Console(stderr=True)


def make_app(help_text: str) -> typer.Typer:
    """A command line. Its tracebacks are plain: typer's pretty ones print local variables, and those hold data."""
    return typer.Typer(
        no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=help_text
    )


def exit_code_of(error: SilhouetteError) -> int:
    """The exit status by error family: 2 for input, 3 for a refusal, 1 for anything else of ours."""
    if isinstance(error, InputError):
        return EXIT_INPUT
    return EXIT_REFUSED if isinstance(error, Refused) else 1


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def run_app(app: typer.Typer) -> None:
    """Run a command line: our errors become one clear line and an exit status."""
    try:
        app()
    except SilhouetteError as error:
        problems.print(f"[red]{text('terminal.error')}[/red] {escape(error.render())}", soft_wrap=True)
        sys.exit(exit_code_of(error))
