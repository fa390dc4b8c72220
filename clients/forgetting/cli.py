"""`silhouette-node models`: the models in this node's vault, what they were trained on, and who has left since."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from federation.pace import today
from federation.terminal import make_app, out, print_json
from privacy.texts import text

if TYPE_CHECKING:
    from clients.forgetting.releasing import CardView

models_app = make_app(text("models.help"))

HomeOption = Annotated[Path, typer.Option("--home", help=text("node.option_home"))]
JsonOption = Annotated[bool, typer.Option("--json", help=text("terminal.option_json"))]


@models_app.command("list", help=text("models.help_list"))
def show_all(home: HomeOption, as_json: JsonOption = False) -> None:
    from clients.forgetting.cards import cards
    from clients.forgetting.releasing import view
    from clients.home import NodeHome

    opened, day = NodeHome.open(home), today()
    found = [view(opened, card, day) for card in cards(opened)]
    if as_json:
        print_json(found)
        return
    for card in found:
        _print(card)


@models_app.command("show", help=text("models.help_show"))
def show(number: str, home: HomeOption, as_json: JsonOption = False) -> None:
    from clients.forgetting.cards import card_of
    from clients.forgetting.releasing import view
    from clients.home import NodeHome

    opened = NodeHome.open(home)
    card = view(opened, card_of(opened, number), today())
    if as_json:
        print_json(card)
        return
    _print(card)
    for name in (
        "job",
        "trained",
        "rows",
        "digest",
        "snapshot",
        "attestation",
        "supersedes",
        "superseded_by",
    ):
        value = getattr(card, name)
        if value:
            out.print(escape(f"  {text(f'models.field.{name}')}: {value}"), soft_wrap=True)


@models_app.command("release", help=text("models.help_release"))
def release_part(
    number: str,
    home: HomeOption,
    into: Annotated[Path | None, typer.Option(help=text("models.option_into"))] = None,
    as_json: JsonOption = False,
) -> None:
    import msgspec

    from clients.forgetting.cards import card_of
    from clients.forgetting.releasing import release
    from clients.home import NodeHome
    from federation.files import write_secret

    opened = NodeHome.open(home)
    released = release(opened, card_of(opened, number), today())
    if as_json:
        print_json(released)
        return
    file = into or opened.results / f"model-{number}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    write_secret(file, msgspec.json.format(msgspec.json.encode(released), indent=2))
    out.print(text("models.released", file=file), soft_wrap=True)


def _print(card: CardView) -> None:
    line = text(
        "models.line",
        number=card.number,
        kind=text(f"models.kind.{card.kind}"),
        state=text(f"models.state.{card.state.value}"),
        session=card.session,
    )
    if card.deadline is not None and not card.superseded_by:
        line += " " + text("models.left", count=card.tainted_by, deadline=card.deadline)
    out.print(escape(line), soft_wrap=True)
