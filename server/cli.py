"""`silhouette`: what a coordinator's operator and a modeller type. Heavy imports stay inside the commands."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from federation.access.cli import make_users_app
from federation.audit_cli import make_audit_app
from federation.client.cli import add_client
from federation.terminal import EXIT_INTERRUPTED, make_app, out, print_json, problems, run_app
from privacy.texts import text
from server import accounts, evidence
from server.db.cli import database_app

app = make_app(text("server.help"))
audit_app = make_audit_app(evidence.open_log, evidence.documents, evidence.keys)
app.add_typer(audit_app, name="audit")
app.add_typer(make_users_app(accounts.open_accounts), name="users")
app.add_typer(database_app, name="database")
add_client(app, audit_app)

HomeOption = Annotated[Path, typer.Option("--home", help=text("server.option_home"))]
JsonOption = Annotated[bool, typer.Option("--json", help=text("terminal.option_json"))]


@app.command(help=text("server.help_init"))
def init(
    home: HomeOption,
    public_name: Annotated[str, typer.Option(help=text("server.option_public_name"))],
    host: Annotated[str, typer.Option(help=text("server.option_host"))] = "0.0.0.0",  # noqa: S104
    port: Annotated[int, typer.Option(min=0, max=65535, help=text("server.option_port"))] = 8440,
    console_port: Annotated[int, typer.Option(min=0, max=65535, help=text("api.option_console_port"))] = 8441,
) -> None:
    from server.home import CoordinatorHome

    created = CoordinatorHome.create(home, host, port, public_name, console_port)
    out.print(text("server.initialised", home=home, roster=created.roster_file))


@app.command(help=text("server.help_enrol"))
def enrol(
    home: HomeOption,
    enrolment: Path,
    replace: Annotated[bool, typer.Option(help=text("server.option_replace"))] = False,
) -> None:
    from federation.roster import Enrolment, from_json
    from privacy.errors import ConfigInvalid
    from privacy.sealing import PublicIdentity
    from server.home import CoordinatorHome

    if not enrolment.exists():
        raise ConfigInvalid("file_missing", file=enrolment)
    coordinator = CoordinatorHome.open(home)
    party = from_json(enrolment.read_bytes(), Enrolment, str(enrolment))
    coordinator.enrol(party, replace=replace)
    fingerprint = PublicIdentity.from_text(party.identity).fingerprint
    out.print(
        text("server.enrolled", name=party.name, fingerprint=fingerprint, roster=coordinator.roster_file)
    )


@app.command(help=text("server.help_serve"))
def serve(home: HomeOption) -> None:
    from server.home import CoordinatorHome
    from server.service import serve as serve_home

    coordinator = CoordinatorHome.open(home)
    asyncio.run(serve_home(coordinator, lambda url: out.print(text("server.serving", url=url))))


@app.command(help=text("api.help_console"))
def console(
    home: HomeOption,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help=text("api.option_port"))] = None,
) -> None:
    from server.console_service import serve_console
    from server.home import CoordinatorHome

    coordinator = CoordinatorHome.open(home)
    asyncio.run(serve_console(coordinator, lambda url: out.print(text("api.serving", url=url)), port))


@app.command(help=text("api.help_openapi"))
def openapi() -> None:
    from server.console_service import openapi_document

    print_json(openapi_document())


@app.command(help=text("server.help_status"))
def status(home: HomeOption, as_json: JsonOption = False) -> None:
    from privacy.sealing import PublicIdentity
    from server.flower import FlowerControl
    from server.home import CoordinatorHome

    coordinator = CoordinatorHome.open(home)
    running, roster = coordinator.running, coordinator.roster
    nodes = FlowerControl(coordinator).node_status() if running else {}
    parties = {
        party.name: {
            "status": nodes.get(running.node_ids.get(party.name, 0), "offline") if running else "unknown",
            "fingerprint": PublicIdentity.from_text(party.identity).fingerprint,
        }
        for party in roster.parties
    }
    state = {"serving": running is not None, "url": roster.url, "parties": parties}
    if as_json:
        print_json(state)
        return
    out.print(text("server.serving" if running else "server.not_serving", url=roster.url))
    for name, party in parties.items():
        out.print(f"{name}: {party['status']} ({party['fingerprint']})")


@app.command(help=text("server.help_run"))
def run(
    job: Path,
    home: Annotated[Path | None, typer.Option("--home", help=text("server.option_running_home"))] = None,
    into: Annotated[Path | None, typer.Option(help=text("server.option_into"))] = None,
    explain: Annotated[bool, typer.Option("--explain", help=text("server.option_explain"))] = False,
    rows: Annotated[int, typer.Option(min=1, help=text("server.option_explain_rows"))] = 100_000,
    as_json: Annotated[bool, typer.Option("--json", help=text("server.option_explain_json"))] = False,
) -> None:
    from federation.group_explain import plan_job, show
    from federation.jobfile import read_job_file
    from server.running import run_job

    if explain:
        show(plan_job(read_job_file(job).job, rows), as_json)
        return
    _end_with(lambda: run_job(job, home, into, out))


@app.command(help=text("server.help_forget"))
def forget(
    session: Annotated[str, typer.Argument(help=text("server.option_session"))],
    home: HomeOption,
    into: Annotated[Path | None, typer.Option(help=text("server.option_into"))] = None,
) -> None:
    from server.running import run_again

    _end_with(lambda: run_again(session, home, into, out))


@app.command(help=text("server.help_demo"))
def demo(
    size: Annotated[str, typer.Option(help=text("server.option_size"))] = "24k",
    into: Annotated[Path, typer.Option(help=text("server.option_into"))] = Path("demo"),
    serve: Annotated[bool, typer.Option("--serve", help=text("staying.option_serve"))] = False,
) -> None:
    from server.running import run_demo
    from server.staying import stay

    _end_with(lambda: run_demo(size, into, out, stay if serve else None))


def _end_with(work: Callable[[], int]) -> None:
    """Exit with the status of `work`; Ctrl-C and a termination are one clear line, after everything has stopped."""
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_number, signal.default_int_handler)
    try:
        status = work()
    except KeyboardInterrupt:
        problems.print(text("server.interrupted"))
        status = EXIT_INTERRUPTED
    raise typer.Exit(status)


def main() -> None:
    """Entry point of `silhouette`."""
    run_app(app)
