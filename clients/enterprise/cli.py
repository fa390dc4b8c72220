"""`silhouette-node alerts`: due-diligence tasks of firms with an early warning."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from federation.pace import today
from federation.terminal import make_app, out, print_json
from privacy.errors import ConfigInvalid
from privacy.texts import text

if TYPE_CHECKING:
    from clients.enterprise.desk import AlertDesk
    from federation.enterprise.alerts import Task

alerts_app = make_app(text("node.help_alerts"))

HomeOption = Annotated[Path, typer.Option("--home", help=text("node.option_home"))]
JsonOption = Annotated[bool, typer.Option("--json", help=text("terminal.option_json"))]
ByOption = Annotated[str, typer.Option(help=text("node.option_alert_by"))]


@alerts_app.command("list", help=text("node.help_alerts_list"))
def show_all(home: HomeOption, as_json: JsonOption = False) -> None:
    _show(_desk(home).all(), as_json)


@alerts_app.command("acknowledge", help=text("node.help_alerts_acknowledge"))
def acknowledge(number: str, home: HomeOption, by: ByOption, as_json: JsonOption = False) -> None:
    _show([_desk(home).acknowledge(number, by)], as_json)


@alerts_app.command("conclude", help=text("node.help_alerts_conclude"))
def conclude(
    number: str,
    home: HomeOption,
    by: ByOption,
    outcome: Annotated[str, typer.Option(help=text("node.option_alert_outcome"))],
    as_json: JsonOption = False,
) -> None:
    from federation.enterprise.alerts import Outcome

    try:
        found = Outcome(outcome)
    except ValueError:
        known = ", ".join(item.value for item in Outcome)
        raise ConfigInvalid("alert_outcome", name=outcome, known=known) from None
    _show([_desk(home).conclude(number, found, by)], as_json)


def _desk(home: Path) -> AlertDesk:
    from clients.enterprise.desk import AlertDesk
    from clients.home import NodeHome

    return AlertDesk(NodeHome.open(home))


def _show(tasks: Sequence[Task], as_json: bool) -> None:
    from federation.enterprise.alerts import is_overdue
    from federation.enterprise.wording import outcome_text, reason_text, role_text, state_text, strength_text

    if as_json:
        print_json(tasks)
        return
    for task in tasks:
        line = text(
            "node.alert_line",
            number=task.number,
            state=state_text(task.state),
            role=role_text(task.role),
            due=task.due,
            strength=strength_text(task.strength),
            reason=reason_text(task.evidence[0].reason),
        )
        ends = [text("node.alert_overdue")] if is_overdue(task, today()) else []
        ends += [outcome_text(task.outcome)] if task.outcome is not None else []
        out.print(escape(" ".join([line, *ends])), soft_wrap=True)
