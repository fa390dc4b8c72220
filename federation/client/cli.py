"""`login`, `logout`, `jobs` and a command for every other noun: the coordinator's API from a shell."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.markup import escape

from federation.client.cli_jobs import make_jobs_app
from federation.terminal import make_app, out, print_json
from privacy.texts import text

if TYPE_CHECKING:
    from federation.client.connecting import Console

JsonOption = Annotated[bool, typer.Option("--json", help=text("terminal.option_json"))]
MostOption = Annotated[int, typer.Option("--most", min=1, help=text("client.option_most"))]
PartyOption = Annotated[str, typer.Option("--party", help=text("client.option_party"))]
MOST: Final = 100
"""How many things of a list are shown when nobody says otherwise."""


@dataclass(frozen=True, slots=True)
class _Noun:
    """columns: what a list shows; by_party: whether lists can be of one party; words: what names one thing."""

    name: str
    columns: tuple[str, ...]
    words: int = 1
    by_party: bool = False


_NOUNS: Final = (
    _Noun("parties", ("name", "node", "fingerprint")),
    _Noun("datasets", ("party", "name", "id_kind", "fields"), words=2, by_party=True),
    _Noun("purposes", ("party", "name", "basis", "methods", "recipients"), words=2, by_party=True),
    _Noun("models", ("number", "party", "kind", "purpose", "state", "trained", "rows"), by_party=True),
    _Noun("personas", ("job", "name", "purpose", "segments", "sizes")),
    _Noun("requests", ("party", "counts"), by_party=True),
    _Noun("tokens", ("id", "label", "roles", "expires")),
)


def add_client(app: typer.Typer, audit: typer.Typer) -> None:
    """Add the commands to a command line; those about events to its `audit`."""
    app.command(help=text("client.help_login"))(login)
    app.command(help=text("client.help_logout"))(logout)
    app.add_typer(make_jobs_app(), name="jobs")
    for noun in _NOUNS:
        app.add_typer(_app_of(noun), name=noun.name)
    audit.command("list", help=text("client.help_audit_list"))(list_events)
    audit.command("event", help=text("client.help_audit_event"))(show_event)


def login(
    url: Annotated[str, typer.Argument(help=text("client.option_url"))],
    name: Annotated[str, typer.Option("--name", help=text("client.option_name"))] = "",
    certificate: Annotated[str, typer.Option("--certificate", help=text("client.option_certificate"))] = "",
    days: Annotated[int, typer.Option("--days", min=1, max=365, help=text("client.option_days"))] = 30,
    as_json: JsonOption = False,
) -> None:
    """Without a name: the token is the first line of standard input."""
    from pathlib import Path

    from federation.client.connecting import connect, open_http
    from federation.client.credentials import Credentials, keep
    from federation.client.logging_in import token_of
    from privacy.texts import current_language

    pinned = str(Path(certificate).resolve()) if certificate else ""
    with open_http(url, pinned) as http:
        if name:
            token, _ = token_of(http, name, _secret(), language=current_language(), days=days)
        else:
            token = _secret()
        me = connect(url, token, http=http).me()
    file = keep(Credentials(url, token, pinned))
    if as_json:
        print_json({"url": url, "name": me.name, "roles": me.roles})
        return
    roles = ", ".join(me.roles)
    out.print(escape(text("client.logged_in", name=me.name, roles=roles, file=file)), soft_wrap=True)


def logout() -> None:
    from federation.client.credentials import drop, stored

    found = stored()
    drop(found.url)
    out.print(escape(text("client.logged_out", url=found.url)), soft_wrap=True)


def list_events(
    type_: Annotated[str, typer.Option("--type", help=text("client.option_type"))] = "",
    actor: Annotated[str, typer.Option("--actor", help=text("client.option_actor"))] = "",
    about: Annotated[str, typer.Option("--about", help=text("client.option_about"))] = "",
    most: MostOption = MOST,
    as_json: JsonOption = False,
) -> None:
    from federation.client.showing import show_list

    with opened() as console:
        rows = list(islice(console.audit.list(type=type_, actor=actor, about=about), most))
    show_list(rows, ("seq", "time", "type", "actor", "artefact"), as_json=as_json)


def show_event(
    number: Annotated[int, typer.Argument(min=0, help=text("client.option_event"))],
    as_json: JsonOption = False,
) -> None:
    from federation.client.showing import show_one

    with opened() as console:
        entry = console.audit.get(number)
    show_one(entry if as_json else entry.event, as_json=as_json)


def _app_of(noun: _Noun) -> typer.Typer:
    app = make_app(text(f"client.help_{noun.name}"))
    by_party = noun.by_party

    def listed(party: str, most: int, *, as_json: bool) -> None:
        from federation.client.showing import show_list

        with opened() as console:
            wanted: Callable[..., Iterable[Any]] = getattr(console, noun.name).list
            rows = list(islice(wanted(party=party) if by_party else wanted(), most))
        show_list(rows, noun.columns, as_json=as_json)

    if by_party:

        @app.command("list", help=text("client.help_list"))
        def list_of_party(
            party: PartyOption = "", most: MostOption = MOST, as_json: JsonOption = False
        ) -> None:
            listed(party, most, as_json=as_json)

    else:

        @app.command("list", help=text("client.help_list"))
        def list_all(most: MostOption = MOST, as_json: JsonOption = False) -> None:
            listed("", most, as_json=as_json)

    if noun.words == 1:

        @app.command("show", help=text("client.help_show"))
        def show(name: str, as_json: JsonOption = False) -> None:
            _show(noun, (name,), as_json=as_json)

    else:

        @app.command("show", help=text("client.help_show"))
        def show_of_party(party: str, name: str, as_json: JsonOption = False) -> None:
            _show(noun, (party, name), as_json=as_json)

    if noun.name == "tokens":

        @app.command("revoke", help=text("client.help_revoke"))
        def revoke(token: str) -> None:
            with opened() as console:
                console.tokens.revoke(token)

    return app


def _show(noun: _Noun, words: tuple[str, ...], *, as_json: bool) -> None:
    from federation.client.showing import show_one

    with opened() as console:
        show_one(getattr(console, noun.name).get(*words), as_json=as_json)


def opened() -> Console:
    """The coordinator that somebody has logged in at."""
    from federation.client.connecting import connect

    return connect()


def _secret() -> str:
    """Typed and not shown or, where nobody types, the first line of standard input."""
    if sys.stdin.isatty():
        found: str = typer.prompt(text("client.secret"), hide_input=True)
        return found
    return sys.stdin.readline().rstrip("\r\n")
