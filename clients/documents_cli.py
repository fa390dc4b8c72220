"""`silhouette-node documents`: write the documents that the activated policy gives, and check published ones."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from federation.terminal import make_app, out, print_json
from privacy.parameters import STANDARD, profile_named
from privacy.texts import LANGUAGES, text

documents_app = make_app(text("documents.cli.help"))

HomeOption = Annotated[Path, typer.Option("--home", help=text("node.option_home"))]
JsonOption = Annotated[bool, typer.Option("--json", help=text("terminal.option_json"))]
ProfileOption = Annotated[str, typer.Option("--profile", help=text("documents.cli.option_profile"))]


class Language(StrEnum):
    """The languages of the product."""

    EN = "en"
    ZH = "zh-CN"


@documents_app.command(help=text("documents.cli.help_write"))
def write(
    home: HomeOption,
    into: Annotated[Path, typer.Option("--into", help=text("documents.cli.option_into"))],
    language: Annotated[
        Language | None, typer.Option("--language", help=text("documents.cli.option_language"))
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help=text("documents.cli.option_replace"))] = False,
    profile: ProfileOption = STANDARD.name,
) -> None:
    from clients.documents import Written, material_of
    from clients.documents import write as write_documents
    from clients.home import NodeHome
    from privacy.documents import documents_of

    material = material_of(NodeHome.open(home), profile_named(profile))
    languages = LANGUAGES if language is None else (language.value,)
    documents = documents_of(material, languages)
    written = write_documents(documents, into, replace=replace)
    for document in documents:
        outcome = text(f"documents.cli.written_{written[document.name].value}")
        places = text("documents.cli.places", count=len(document.places)) if document.places else ""
        out.print(escape(f"{document.name}: {outcome} {places}".rstrip()), soft_wrap=True)
    if Written.LEFT in written.values():
        raise typer.Exit(1)


@documents_app.command(help=text("documents.cli.help_check"))
def check(
    folder: Path, home: HomeOption, profile: ProfileOption = STANDARD.name, as_json: JsonOption = False
) -> None:
    from clients.documents import material_of, published_in
    from clients.home import NodeHome
    from privacy.documents import drift, notice_gaps, open_places

    material = material_of(NodeHome.open(home), profile_named(profile))
    published = published_in(folder)
    found = drift(material, published)
    places = {name: count for name, content in published.items() if (count := open_places(content))}
    gaps = [gap for purpose in material.policy.purposes for gap in notice_gaps(material, purpose)]
    if as_json:
        print_json({"drift": found, "open_places": places, "notice_gaps": gaps})
    else:
        table = Table()
        for column in ("document", "state", "sections"):
            table.add_column(text(f"documents.cli.column_{column}"))
        for item in found:
            sections = "; ".join(item.sections)
            table.add_row(
                escape(item.name), text(f"documents.cli.drift_{item.kind.value}"), escape(sections or "-")
            )
        if found:
            out.print(table)
        for name, count in places.items():
            out.print(escape(f"{name}: {text('documents.cli.places', count=count)}"), soft_wrap=True)
        for gap in gaps:
            out.print(escape(gap.render()), soft_wrap=True)
        outcome = text("documents.cli.differs", count=len(found)) if found else text("documents.cli.agrees")
        out.print(outcome)
    if found:
        raise typer.Exit(1)
