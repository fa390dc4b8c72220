"""`silhouette-node backup`: archives of a node, and what a node has to do that came back from one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from federation.terminal import make_app, out, print_json, problems
from privacy.texts import text

backup_app = make_app(text("backup.help"))

HomeOption = Annotated[Path, typer.Option("--home", help=text("node.option_home"))]
JsonOption = Annotated[bool, typer.Option("--json", help=text("terminal.option_json"))]


@backup_app.command("create", help=text("backup.help_create"))
def create(file: Path, home: HomeOption, as_json: JsonOption = False) -> None:
    from clients.backup.archive import create as make_archive
    from clients.home import NodeHome

    with _shown(text("backup.creating")) as tell:
        made = make_archive(NodeHome.open(home), file, tell)
    if as_json:
        print_json(made)
        return
    line = text("backup.created", file=made.file, subjects=f"{made.subjects:,}", size=_size(made.bytes))
    out.print(escape(line), soft_wrap=True)
    out.print(escape(text("backup.keep_keys", folder=home)), soft_wrap=True)


@backup_app.command("restore", help=text("backup.help_restore"))
def restore(
    file: Path,
    home: Annotated[Path, typer.Option("--home", help=text("backup.option_new"))],
    keys: Annotated[Path, typer.Option("--keys", help=text("backup.option_keys"))],
    audit_log: Annotated[Path | None, typer.Option("--audit-log", help=text("backup.option_log"))] = None,
    as_json: JsonOption = False,
) -> None:
    from clients.backup.restoring import restore as restore_archive

    with _shown(text("backup.restoring")) as tell:
        done = restore_archive(file, home, keys, audit_log, tell)
    if as_json:
        print_json(done)
        return
    numbers = {"subjects": f"{done.subjects:,}", "left_out": f"{done.left_out:,}"}
    out.print(escape(text("backup.restored", home=done.home, **numbers)), soft_wrap=True)
    out.print(escape(text("backup.then_replay", home=done.home)), soft_wrap=True)


@backup_app.command("list", help=text("backup.help_list"))
def listed(home: HomeOption, as_json: JsonOption = False) -> None:
    from clients.backup.keys import BackupKeys
    from clients.home import NodeHome

    folder = NodeHome.open(home).folder
    found = BackupKeys(folder).archives() if BackupKeys.exist(folder) else []
    if as_json:
        print_json([{**one._asdict(), "is_there": Path(one.file).exists()} for one in found])
        return
    if not found:
        out.print(text("backup.none"))
        return
    table = Table()
    for column in ("created", "file", "subjects", "size"):
        table.add_column(text(f"backup.column_{column}"))
    for one in found:
        name = one.file if Path(one.file).exists() else text("backup.gone", file=one.file)
        table.add_row(one.created, escape(name), f"{one.subjects:,}", _size(one.bytes))
    out.print(table)


@backup_app.command("replay", help=text("backup.help_replay"))
def replay(home: HomeOption, as_json: JsonOption = False) -> None:
    from clients.backup.guard import replay as delete_again
    from clients.home import NodeHome
    from clients.rights.erasing import erase

    done = delete_again(NodeHome.open(home), erase)
    if as_json:
        print_json(done)
    elif done.entries:
        line = text("backup.replayed", entries=f"{done.entries:,}", subjects=f"{done.subjects:,}")
        out.print(escape(line), soft_wrap=True)
    else:
        out.print(text("backup.nothing_missing"))


@contextmanager
def _shown(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error for a person who waits, where that is a terminal."""
    with Progress(console=problems, transient=True, disable=not problems.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _size(count: int) -> str:
    return f"{count / 1_000_000:,.1f} MB"
