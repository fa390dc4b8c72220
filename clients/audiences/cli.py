"""`silhouette-node audience`: lists for marketing, who is given them, and how they are called back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from federation.terminal import make_app, out, print_json
from privacy.texts import text

if TYPE_CHECKING:
    from collections.abc import Mapping

audience_app = make_app(text("audiences.help"))

HomeOption = Annotated[Path, typer.Option("--home", help=text("node.option_home"))]
JsonOption = Annotated[bool, typer.Option("--json", help=text("terminal.option_json"))]


@audience_app.command("build", help=text("audiences.help_build"))
def build(
    results: Annotated[Path, typer.Option("--results", help=text("audiences.option_results"))],
    segment: Annotated[int, typer.Option("--segment", min=0, help=text("audiences.option_segment"))],
    purpose: Annotated[str, typer.Option("--purpose", help=text("audiences.option_purpose"))],
    name: Annotated[str, typer.Option("--name", help=text("audiences.option_name"))],
    days: Annotated[int, typer.Option("--days", min=1, max=30, help=text("audiences.option_days"))] = 30,
    home: Annotated[Path | None, typer.Option("--home", help=text("lending.option_home"))] = None,
    as_json: JsonOption = False,
) -> None:
    from clients.audiences.lists import build as build_list
    from clients.home import NodeHome
    from clients.lending.cases import home_of

    node = NodeHome.open(home_of(results) if home is None else home)
    made = build_list(node, results, segment, purpose, name, days)
    if as_json:
        print_json(made)
        return
    people, until = f"{made.people:,}", made.audience.expires
    out.print(escape(text("audiences.built", name=name, people=people, until=until)), soft_wrap=True)
    _tell_left_out(made.left_out)


@audience_app.command("export", help=text("audiences.help_export"))
def export(
    name: str,
    home: HomeOption,
    to: Annotated[Path, typer.Option("--to", help=text("audiences.option_to"))],
    recipient: Annotated[str, typer.Option(help=text("audiences.option_recipient"))] = "",
    key: Annotated[str, typer.Option(help=text("audiences.option_key"))] = "",
    as_json: JsonOption = False,
) -> None:
    from clients.audiences.exporting import export as export_list
    from clients.home import NodeHome

    made = export_list(NodeHome.open(home), name, to, recipient, key)
    if as_json:
        print_json(made)
        return
    people, until = f"{made.people:,}", made.export.expires
    out.print(escape(text("audiences.exported", file=to, people=people, until=until)), soft_wrap=True)
    if not made.is_new:
        out.print(text("audiences.same"), soft_wrap=True)
    _tell_left_out(made.left_out)


@audience_app.command("recall", help=text("audiences.help_recall"))
def recall(
    name: str,
    home: HomeOption,
    into: Annotated[Path, typer.Option("--into", help=text("audiences.option_into"))],
    as_json: JsonOption = False,
) -> None:
    from clients.audiences.exporting import recall as recall_list
    from clients.home import NodeHome

    files = recall_list(NodeHome.open(home), name, into)
    if as_json:
        print_json({"messages": [str(file) for file in files]})
        return
    out.print(escape(text("audiences.recalled", name=name, count=len(files), folder=into)), soft_wrap=True)


@audience_app.command("acknowledge", help=text("audiences.help_acknowledge"))
def acknowledge(
    message: Path,
    home: HomeOption,
    to: Annotated[Path, typer.Option("--to", help=text("audiences.option_answer"))],
    holder: Annotated[str, typer.Option(help=text("audiences.option_holder"))],
) -> None:
    from clients.audiences.exporting import acknowledge as answer
    from clients.audiences.exporting import read_key
    from clients.home import NodeHome
    from federation.files import replace_file
    from privacy.errors import ConfigInvalid

    node = NodeHome.open(home)
    try:
        known = node.roster.identities(node.settings.name).get(holder)
    except ConfigInvalid:
        known = None
    data = _read(message)
    signed = answer(node.identity, node.settings.name, data, known or read_key(holder))
    replace_file(to, signed, secret=True)
    out.print(escape(text("audiences.acknowledged", file=to)), soft_wrap=True)


@audience_app.command("import", help=text("audiences.help_import"))
def take(message: Path, home: HomeOption, as_json: JsonOption = False) -> None:
    from clients.audiences.exporting import take_acknowledgement
    from clients.home import NodeHome

    made = take_acknowledgement(NodeHome.open(home), _read(message))
    if as_json:
        print_json(made)
        return
    line = text("audiences.imported", name=made.audience, party=made.recipient)
    out.print(escape(line), soft_wrap=True)


@audience_app.command("list", help=text("audiences.help_list"))
def show(home: HomeOption, as_json: JsonOption = False) -> None:
    from clients.audiences.exporting import exports
    from clients.audiences.lists import members_of, names, read
    from clients.home import NodeHome

    node = NodeHome.open(home)
    audiences = [(read(node, name), len(members_of(node, name))) for name in names(node)]
    given = exports(node)
    if as_json:
        print_json({"audiences": [{"about": one, "people": n} for one, n in audiences], "exports": given})
        return
    rows = Table()
    for column in ("name", "purpose", "people", "until"):
        rows.add_column(text(f"audiences.column_{column}"), justify="right" if column == "people" else "left")
    for one, people in audiences:
        rows.add_row(escape(one.name), escape(one.purpose), f"{people:,}", str(one.expires))
    out.print(rows)
    for made in given:
        state = "acknowledged" if made.acknowledged else "recalled" if made.recalled else "given"
        line = text(
            f"audiences.state_{state}", name=made.audience, party=made.recipient or "-", until=made.expires
        )
        out.print(escape(line), soft_wrap=True)


@audience_app.command("opt-out", help=text("audiences.help_optout"))
def opt_out(
    home: HomeOption,
    file: Annotated[Path | None, typer.Argument(help=text("consents.option_from"))] = None,
    as_json: JsonOption = False,
) -> None:
    from clients.audiences.standing import opt_out as refuse
    from clients.consents.cli import read_identifiers
    from clients.consents.tables import Source
    from clients.home import NodeHome

    cells = read_identifiers(file)
    version = refuse(NodeHome.open(home), cells, Source.CLI)
    if as_json:
        print_json({"version": version, "subjects": len(cells)})
    else:
        out.print(text("consents.done", subjects=f"{len(cells):,}"))


def _tell_left_out(left_out: Mapping[str, int]) -> None:
    for code, people in left_out.items():
        out.print(escape(text("audiences.left_out", people=f"{people:,}", code=code)), soft_wrap=True)


def _read(file: Path) -> bytes:
    from privacy.errors import ConfigInvalid

    try:
        return file.read_bytes()
    except OSError:
        raise ConfigInvalid("file_missing", file=file) from None
