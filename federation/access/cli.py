"""`users`, at both command lines: who may come in at an edge, and as what."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from federation.terminal import make_app, out, print_json
from privacy.access import Role
from privacy.texts import text

if TYPE_CHECKING:
    from federation.access.accounts import Accounts

HomeOption = Annotated[Path, typer.Option("--home", help=text("access.option_home"))]
JsonOption = Annotated[bool, typer.Option("--json", help=text("terminal.option_json"))]
RolesOption = Annotated[list[Role], typer.Option("--role", help=text("access.option_role"))]
LanguageOption = Annotated[str, typer.Option("--language", help=text("access.option_language"))]
CodeOption = Annotated[bool, typer.Option("--one-time", help=text("access.option_one_time"))]


def make_users_app(open_accounts: Callable[[Path], Accounts]) -> typer.Typer:
    """The commands. open_accounts: the accounts of the edge whose home is in a folder."""
    app = make_app(text("access.help"))
    _add_making(app, open_accounts)
    _add_changing(app, open_accounts)
    return app


def _add_making(app: typer.Typer, open_accounts: Callable[[Path], Accounts]) -> None:
    @app.command("add", help=text("access.help_add"))
    def add(
        name: str,
        home: HomeOption,
        role: RolesOption,
        language: LanguageOption = "",
        code: CodeOption = False,
    ) -> None:
        from federation.access.noting import TERMINAL

        accounts = open_accounts(home)
        password = "" if code else read_password()
        accounts.add(name, role, by=TERMINAL, password=password, language=language, must_change=True)
        out.print(escape(text("access.added", name=name, roles=", ".join(sorted(set(role))))), soft_wrap=True)
        if code:
            _show_code(accounts.one_time(name, by=TERMINAL))

    @app.command("list", help=text("access.help_list"))
    def list_(home: HomeOption, as_json: JsonOption = False) -> None:
        accounts = open_accounts(home).all()
        if as_json:
            print_json(accounts)
            return
        table = Table(text("access.column_name"), text("access.column_roles"), text("access.column_state"))
        for account in accounts:
            state = text("access.state_disabled" if account.disabled else "access.state_active")
            table.add_row(escape(account.name), ", ".join(account.roles), state)
        out.print(table)

    @app.command("one-time", help=text("access.help_one_time"))
    def one_time(name: str, home: HomeOption) -> None:
        from federation.access.noting import TERMINAL

        _show_code(open_accounts(home).one_time(name, by=TERMINAL))


def _add_changing(app: typer.Typer, open_accounts: Callable[[Path], Accounts]) -> None:
    @app.command("roles", help=text("access.help_roles"))
    def roles(name: str, home: HomeOption, role: RolesOption) -> None:
        from federation.access.noting import TERMINAL

        open_accounts(home).set_roles(name, role, by=TERMINAL)
        out.print(
            escape(text("access.roles_set", name=name, roles=", ".join(sorted(set(role))))), soft_wrap=True
        )

    @app.command("password", help=text("access.help_password"))
    def password(name: str, home: HomeOption) -> None:
        from federation.access.noting import TERMINAL

        accounts = open_accounts(home)
        accounts.get(name)  # before anybody types
        accounts.set_password(name, read_password(), by=TERMINAL)
        out.print(escape(text("access.password_set", name=name)), soft_wrap=True)

    @app.command("disable", help=text("access.help_disable"))
    def disable(name: str, home: HomeOption) -> None:
        from federation.access.noting import TERMINAL

        open_accounts(home).disable(name, by=TERMINAL)
        out.print(escape(text("access.disabled", name=name)), soft_wrap=True)

    @app.command("enable", help=text("access.help_enable"))
    def enable(name: str, home: HomeOption) -> None:
        from federation.access.noting import TERMINAL

        open_accounts(home).enable(name, by=TERMINAL)
        out.print(escape(text("access.enabled", name=name)), soft_wrap=True)


def read_password() -> str:
    """Typed twice and not shown or, where nobody types, the first line of standard input."""
    if sys.stdin.isatty():
        typed: str = typer.prompt(
            text("access.prompt_password"),
            hide_input=True,
            confirmation_prompt=text("access.prompt_again"),
        )
        return typed
    return sys.stdin.readline().rstrip("\r\n")


def _show_code(code: str) -> None:
    out.print(text("access.code_is"), soft_wrap=True)
    sys.stdout.write(code + "\n")
