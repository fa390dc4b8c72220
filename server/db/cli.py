"""`silhouette database`: which tables there are, and forward and back to those of another version."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from federation.terminal import make_app, out, print_json
from privacy.texts import text

database_app = make_app(text("database.help"))

HomeOption = Annotated[Path, typer.Option("--home", help=text("server.option_home"))]
JsonOption = Annotated[bool, typer.Option("--json", help=text("terminal.option_json"))]


@database_app.command(help=text("database.help_current"))
def current(home: HomeOption, as_json: JsonOption = False) -> None:
    from server.db.migrating import current as revision_of
    from server.db.migrating import latest
    from server.home import CoordinatorHome

    found, newest = revision_of(CoordinatorHome.open(home).database), latest()
    if as_json:
        print_json({"revision": found, "latest": newest})
    elif found:
        out.print(text("database.current", found=found, installed=newest))
    else:
        out.print(text("database.empty", installed=newest))


@database_app.command(help=text("database.help_upgrade"))
def upgrade(home: HomeOption) -> None:
    from server.db.migrating import current as revision_of
    from server.db.migrating import upgrade as upgrade_to
    from server.home import CoordinatorHome

    database = CoordinatorHome.open(home).database
    upgrade_to(database)
    out.print(text("database.changed", found=revision_of(database)))


@database_app.command(help=text("database.help_downgrade"))
def downgrade(
    home: HomeOption,
    revision: Annotated[str, typer.Argument(help=text("database.option_revision"))],
    yes: Annotated[bool, typer.Option("--yes", help=text("database.option_yes"))] = False,
) -> None:
    from privacy.errors import ConfigInvalid
    from server.db.migrating import EMPTY, check_known
    from server.db.migrating import downgrade as downgrade_to
    from server.home import CoordinatorHome

    coordinator = CoordinatorHome.open(home)
    if coordinator.running is not None:
        raise ConfigInvalid("database_in_use", folder=home)
    check_known(revision)
    if not yes and not typer.confirm(text("database.confirm", found=revision)):
        raise typer.Exit(1)
    downgrade_to(coordinator.database, revision)
    out.print(text("database.gone_back" if revision == EMPTY else "database.changed", found=revision))
