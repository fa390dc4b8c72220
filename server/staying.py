"""After a demo its console and desks stay open until Ctrl-C, with a login for everybody who works there."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from rich.console import Console
from rich.markup import escape

from federation.access.accounts import CODE_LIFE
from federation.access.noting import TERMINAL
from privacy.access import Role
from privacy.texts import text
from server.accounts import open_access
from server.home import CoordinatorHome
from server.local import LocalFederation

LOOK_SECONDS: Final = 0.5
_MINUTES: Final = round(CODE_LIFE.total_seconds() / 60)


def stay(local: LocalFederation, console: Console) -> None:
    """Print where everything is and who comes in there; returns at Ctrl-C.

    Raises `ConfigInvalid` when a process of the federation does not open its pages.
    """
    with console.status(text("staying.opening")):
        local.wait_until_open()
        at_console, at_desks = console_logins(local.coordinator), local.desk_logins()
    _print_place(console, text("staying.console", url=local.console_url), at_console)
    for party, codes in at_desks.items():
        _print_place(console, text("staying.desk", party=party, url=local.desk_url(party)), codes)
    home = local.coordinator.folder
    console.print(text("staying.codes", minutes=_MINUTES), soft_wrap=True)
    console.print(
        escape(text("staying.another", home=home, party=local.home_of(next(iter(at_desks))))), soft_wrap=True
    )
    console.print(text("staying.until"), soft_wrap=True)
    try:
        while True:
            time.sleep(LOOK_SECONDS)
    except KeyboardInterrupt:
        console.print(text("staying.ending"))


def console_logins(home: CoordinatorHome) -> dict[str, str]:
    """A new account for each role at the console; codes by name, each good once."""
    accounts = open_access(home).accounts
    names = {role: f"demo-{role.value}" for role in Role}
    for role, name in names.items():
        accounts.add(name, [role], by=TERMINAL)
    return {name: accounts.one_time(name, by=TERMINAL) for name in names.values()}


def _print_place(console: Console, place: str, codes: Mapping[str, str]) -> None:
    console.print()
    console.print(place, soft_wrap=True)
    for name, code in codes.items():
        console.print(escape(f"  {name:<14} {code}"), soft_wrap=True, highlight=False)
