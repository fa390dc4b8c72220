"""`silhouette-node lending appeal`: take an appeal, give it to a reviewer, record the answer.

Who appeals is read from standard input or a file, never from the command line; what is stored is a keyed reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.markup import escape

from federation.pace import today
from federation.terminal import make_app, out, print_json
from privacy.errors import ConfigInvalid
from privacy.texts import text

if TYPE_CHECKING:
    from clients.home import NodeHome
    from clients.lending.appeals import Appeal, AppealDesk

_Choice = TypeVar("_Choice", bound=StrEnum)

appeal_app = make_app(text("lending.help_appeal"))

HomeOption = Annotated[Path, typer.Option("--home", help=text("node.option_home"))]
JsonOption = Annotated[bool, typer.Option("--json", help=text("terminal.option_json"))]
ReviewerOption = Annotated[str, typer.Option(help=text("lending.option_reviewer"))]


@appeal_app.command("request", help=text("lending.help_request"))
def request(
    home: HomeOption,
    policy: Annotated[Path, typer.Option("--policy", help=text("lending.option_policy"))],
    about: Annotated[str, typer.Option(help=text("lending.option_about"))],
    file: Annotated[Path | None, typer.Argument(help=text("consents.option_from"))] = None,
    as_json: JsonOption = False,
) -> None:
    from clients.gate.policy import active_policy, catalog_of
    from clients.home import NodeHome
    from clients.lending.appeals import AppealDesk
    from clients.lending.plan_checks import read_plan

    node = NodeHome.open(home)
    plan = read_plan(policy, catalog_of(active_policy(node)))
    _show([AppealDesk(node).request(plan, about, today(), _reference(node, file))], as_json)


@appeal_app.command("assign", help=text("lending.help_assign"))
def assign(number: str, home: HomeOption, reviewer: ReviewerOption, as_json: JsonOption = False) -> None:
    _show([_desk(home).assign(number, reviewer)], as_json)


@appeal_app.command("decide", help=text("lending.help_answer"))
def decide(
    number: str,
    home: HomeOption,
    reviewer: ReviewerOption,
    outcome: Annotated[str, typer.Option(help=text("lending.option_outcome"))],
    ground: Annotated[str, typer.Option(help=text("lending.option_ground"))],
    note: Annotated[str, typer.Option(help=text("lending.option_note"))] = "",
    as_json: JsonOption = False,
) -> None:
    from clients.lending.appeals import Ground, Outcome

    chosen = _one_of(Outcome, outcome), _one_of(Ground, ground)
    _show([_desk(home).decide(number, reviewer, *chosen, note, today())], as_json)


@appeal_app.command("withdraw", help=text("lending.help_withdraw"))
def withdraw(number: str, home: HomeOption, as_json: JsonOption = False) -> None:
    _show([_desk(home).withdraw(number, today())], as_json)


@appeal_app.command("list", help=text("lending.help_list"))
def show_all(home: HomeOption, as_json: JsonOption = False) -> None:
    _show(_desk(home).all(), as_json)


def _desk(home: Path) -> AppealDesk:
    from clients.home import NodeHome
    from clients.lending.appeals import AppealDesk

    return AppealDesk(NodeHome.open(home))


def _reference(node: NodeHome, file: Path | None) -> str:
    """The keyed reference of the one subject who appeals. Raises `ConfigInvalid` for none or several."""
    from clients.consents.cli import read_identifiers
    from clients.consents.node import changes_of
    from clients.consents.subjects import kind_label
    from clients.consents.tables import Source
    from clients.lending.appeals import LENDING

    cells = read_identifiers(file)
    if len(cells) != 1:
        raise ConfigInvalid("lending_appeal_one", count=len(cells))
    identifiers = changes_of(node, Source.CLI).identifiers(cells)
    tokens = node.consents.tokens(kind_label(node.settings.table), identifiers)
    (sref,) = node.consents.srefs(tokens, LENDING, 0)
    return sref


def _one_of(kind: type[_Choice], written: str) -> _Choice:
    """Raises `ConfigInvalid` with what there is to choose from."""
    try:
        return kind(written)
    except ValueError:
        known = ", ".join(item.value for item in kind)
        raise ConfigInvalid("lending_appeal_choice", name=written, known=known) from None


def _show(appeals: Sequence[Appeal], as_json: bool) -> None:
    if as_json:
        print_json(appeals)
        return
    for one in appeals:
        status = text(f"lending.appeal.{one.status.value}")
        late = text("lending.appeal_late") if one.is_overdue(today()) else ""
        line = text("lending.appeal_line", number=one.number, about=one.about, status=status, due=one.due)
        out.print(escape(f"{line} {late}".rstrip()), soft_wrap=True)
