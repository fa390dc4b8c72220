"""`silhouette-node request search`: for officers, whether anything of somebody is left at this node."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from federation.terminal import out, print_json
from privacy.texts import text

HomeOption = Annotated[Path, typer.Option("--home", help=text("node.option_home"))]
JsonOption = Annotated[bool, typer.Option("--json", help=text("terminal.option_json"))]


def add_search_command(app: typer.Typer) -> None:
    """The command, for the group of requests."""
    app.command("search", help=text("rights.search.help"))(search)


def search(home: HomeOption, as_json: JsonOption = False) -> None:
    """Identifiers come from standard input. Status 1 where something was found, or a file could not be looked into."""
    from clients.consents.cli import read_identifiers
    from clients.consents.node import changes_of
    from clients.consents.tables import Source
    from clients.home import NodeHome
    from clients.rights.searching import subjects_of, traces_at

    node = NodeHome.open(home)
    identifiers = changes_of(node, Source.CLI).identifiers(read_identifiers(None)).tolist()
    found = traces_at(node, subjects_of(node, identifiers))
    if as_json:
        print_json({"subjects": len(identifiers), "found": found})
    else:
        for one in found:
            kind = text(f"rights.search.kind.{one.kind}")
            place = f"{one.file} ({one.within})" if one.within else one.file
            out.print(escape(text("rights.search.found", place=place, kind=kind)), soft_wrap=True)
        if not found:
            out.print(text("rights.search.nothing", count=len(identifiers)), soft_wrap=True)
    if found:
        raise typer.Exit(1)
