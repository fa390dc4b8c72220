"""`silhouette-node`: what a data holder types. Heavy imports stay inside the commands that need them."""

from __future__ import annotations

import logging
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.markup import escape
from rich.table import Table

from clients import evidence
from clients.approvals.cli import jobs_app
from clients.audiences.cli import audience_app
from clients.backup.cli import backup_app
from clients.consents.cli import consent_app
from clients.desk.accounts import open_accounts
from clients.documents_cli import documents_app
from clients.enterprise.cli import alerts_app
from clients.forgetting.cli import models_app
from clients.gate.cli import policy_app
from clients.incidents.cli import incident_app
from clients.lending.cli import lending_app
from clients.rights.cli import request_app
from clients.small_handler import add_small
from clients.validation.cli import validation_app
from federation.access.cli import make_users_app
from federation.audit_cli import make_audit_app
from federation.terminal import EXIT_INPUT, make_app, out, print_json, problems, run_app
from privacy.texts import text

if TYPE_CHECKING:
    from clients.tables import TableReport, TableSpec

app = make_app(text("node.help"))
sample_app = make_app(text("node.help_sample"))
app.add_typer(sample_app, name="sample")
app.add_typer(policy_app, name="policy")
app.add_typer(consent_app, name="consent")
app.add_typer(backup_app, name="backup")
app.add_typer(documents_app, name="documents")
app.add_typer(lending_app, name="lending")
app.add_typer(validation_app, name="validation")
app.add_typer(alerts_app, name="alerts")
app.add_typer(models_app, name="models")
app.add_typer(request_app, name="request")
app.add_typer(audience_app, name="audience")
app.add_typer(incident_app, name="incident")
app.add_typer(jobs_app, name="jobs")
app.add_typer(add_small(make_audit_app(evidence.open_log, evidence.documents, evidence.keys)), name="audit")
app.add_typer(make_users_app(open_accounts), name="users")

HomeOption = Annotated[Path, typer.Option("--home", help=text("node.option_home"))]
JsonOption = Annotated[bool, typer.Option("--json", help=text("terminal.option_json"))]


@sample_app.command("world", help=text("node.help_world"))
def sample_world(
    folder: Path,
    people: Annotated[int, typer.Option(min=300, help=text("node.option_people"))] = 24_000,
    seed: Annotated[int, typer.Option(min=0)] = 20260,
) -> None:
    from clients.sample import make_world, write_world
    from clients.sample.job import FEWEST_FOR_SCORECARD, write_job

    with out.status(text("node.making_world", people=people)):
        write_world(make_world(people, seed), folder)
        write_job(folder, with_scorecard=people >= FEWEST_FOR_SCORECARD)
    out.print(text("node.made_world", folder=folder))


@sample_app.command("enterprises", help=text("node.help_enterprises"))
def sample_enterprises(
    folder: Path,
    firms: Annotated[int, typer.Option(min=300, help=text("node.option_enterprises"))] = 8_000,
    seed: Annotated[int, typer.Option(min=0)] = 20260,
) -> None:
    from clients.sample.enterprise_job import FEWEST_FOR_SCORECARD, write_enterprise_job
    from clients.sample.enterprise_world import make_enterprises, write_enterprises

    with out.status(text("node.making_enterprises", count=firms)):
        write_enterprises(make_enterprises(firms, seed), folder)
        write_enterprise_job(folder, with_scorecard=firms >= FEWEST_FOR_SCORECARD)
    out.print(text("node.made_world", folder=folder))


@sample_app.command("logins", help=text("staying.option_logins"))
def sample_logins(home: HomeOption) -> None:
    from clients.home import NodeHome
    from clients.sample.logins import add_logins

    print_json(add_logins(NodeHome.open(home)))


@app.command(help=text("node.help_init"))
def init(
    home: HomeOption,
    name: Annotated[str, typer.Option(help=text("node.option_name"))],
    table: Annotated[Path, typer.Option(help=text("node.option_table"))],
    allow_testing_profile: Annotated[bool, typer.Option(help=text("node.option_testing"))] = False,
    accept_distance_disclosure: Annotated[bool, typer.Option(help=text("node.option_distance"))] = False,
    policy: Annotated[Path | None, typer.Option(help=text("node.option_policy"))] = None,
    rehearse: Annotated[Path | None, typer.Option(help=text("node.option_rehearse"))] = None,
    coordinator: Annotated[str, typer.Option(help=text("node.option_coordinator"))] = "",
    approve_by_policy: Annotated[bool, typer.Option(help=text("approvals.option_by_policy"))] = False,
) -> None:
    from clients.gate.rehearsal import activate_for_rehearsal
    from clients.home import NodeHome, NodeSettings
    from clients.tables import TableSpec
    from clients.tables.problems import refuse
    from federation.files import read_toml
    from federation.proposals import DecidedBy
    from privacy.errors import ConfigInvalid

    by_policy = approve_by_policy or rehearse is not None
    spec = absolute(read_toml(table, TableSpec), table.parent)
    plain = {
        "name": name,
        "table": msgspec.to_builtins(spec),
        "allow_testing_profile": allow_testing_profile,
        "accept_distance_disclosure": accept_distance_disclosure,
        "approves": (DecidedBy.POLICY if by_policy else DecidedBy.PERSON).value,
    }
    try:
        settings = msgspec.convert(plain, NodeSettings)
    except msgspec.ValidationError as problem:
        raise ConfigInvalid("name_invalid", name=name, problem=str(problem)) from None
    report = _check_table(spec)
    refuse(spec.path, list(report.problems))
    for note in report.notes:
        out.print(escape(note.render()))
    created = NodeHome.create(home, settings)
    if rehearse is not None:
        activate_for_rehearsal(created, rehearse, coordinator, policy)
    elif policy is not None:
        from clients.gate.policy import activate, read_policy

        activate(created, read_policy(policy))
    out.print(text("node.initialised", home=home, enrolment=created.enrolment_file))
    out.print(text("node.fingerprint", fingerprint=created.identity.public.fingerprint))


def absolute(spec: Any, folder: Path) -> Any:
    """A table spec whose paths, relative to the file they were written in, are absolute."""
    spec = msgspec.structs.replace(spec, path=str((folder / spec.path).resolve()))
    if spec.consents is not None:
        path = str((folder / spec.consents.path).resolve())
        spec = msgspec.structs.replace(spec, consents=msgspec.structs.replace(spec.consents, path=path))
    return spec


@app.command(help=text("node.help_join"))
def join(
    home: HomeOption,
    federation: Path,
    other_coordinator: Annotated[bool, typer.Option(help=text("node.option_other_coordinator"))] = False,
) -> None:
    _join(home, federation, other_coordinator)
    out.print(text("node.joined"))


def _join(home: Path, federation: Path, other_coordinator: bool = False) -> None:
    from clients.home import NodeHome
    from federation.roster import Roster, from_json
    from privacy.errors import ConfigInvalid

    if not federation.exists():
        raise ConfigInvalid("file_missing", file=federation)
    roster = from_json(federation.read_bytes(), Roster, str(federation))
    NodeHome.open(home).join(roster, other_coordinator=other_coordinator)


@app.command(help=text("node.help_validate"))
def validate(home: HomeOption, as_json: JsonOption = False) -> None:
    from clients.home import NodeHome

    report = _check_table(NodeHome.open(home).settings.table, quiet=as_json)
    if as_json:
        print_json(report)
    else:
        _show_report(report)
    if report.problems:
        raise typer.Exit(EXIT_INPUT)


def _check_table(spec: TableSpec, quiet: bool = False) -> TableReport:
    """The table's report; shows how far it has been read, except for a reader of JSON."""
    from clients.tables import validate as validate_table

    if quiet:
        return validate_table(spec)
    with out.status(text("node.checking_table", file=spec.path)) as shown:
        return validate_table(
            spec,
            on_progress=lambda done, _: shown.update(
                text("node.checking_rows", file=spec.path, rows=f"{done:,}")
            ),
        )


def _show_report(report: TableReport) -> None:
    """The table's health for people: rows, then fields, then every problem with its remedy."""
    rows = Table(title=report.file)
    rows.add_column(text("node.column_rows_of"))
    rows.add_column(text("node.column_rows"), justify="right")
    counted = {
        text("tables.funnel.rows_in_file"): report.rows,
        **{text(f"tables.funnel.identifier_{why}"): count for why, count in report.bad_identifiers.items()},
        text("tables.funnel.duplicate"): report.duplicates,
        text("tables.funnel.under_age"): report.under_age,
        text("tables.funnel.age_unknown"): report.age_unknown,
        text("tables.funnel.eligible"): report.usable_rows,
        **{text("node.rows_consented", purpose=purpose): count for purpose, count in report.eligible.items()},
    }
    for label, count in counted.items():
        rows.add_row(label, f"{count:,}")
    out.print(rows)
    out.print(text("node.spellings", respelled=f"{report.respelled:,}", collisions=f"{report.collisions:,}"))
    fields = Table(title=text("node.fields_title"))
    fields.add_column(text("node.column_field"))
    for column in ("missing", "not_numeric", "out_of_range"):
        fields.add_column(text(f"node.column_{column}"), justify="right")
    for item in report.fields:
        fields.add_row(
            item.name, f"{item.missing_share:.1%}", f"{item.not_numeric:,}", f"{item.out_of_range:,}"
        )
    out.print(fields)
    for note in report.notes:
        out.print(escape(note.render()))
    for problem in report.problems:
        problems.print(f"[red]{escape(problem.render())}[/red]")


@app.command(help=text("node.help_start"))
def start(
    home: HomeOption,
    federation: Annotated[Path | None, typer.Option(help=text("node.option_federation"))] = None,
    desk_port: Annotated[int | None, typer.Option(min=0, max=65535, help=text("node.option_desk"))] = None,
) -> None:
    from clients.home import NodeHome
    from clients.node import start as start_node

    if federation is not None:
        _join(home, federation)
    node = NodeHome.open(home)
    logging.basicConfig(
        filename=node.folder / "logs" / "node.log",
        level=logging.WARNING,
        format="%(asctime)s %(name)s %(message)s",
    )
    stopped = threading.Event()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_number, lambda *_: stopped.set())
    start_node(
        node,
        stopped,
        lambda: out.print(text("node.started", name=node.settings.name, url=node.roster.url)),
        desk_port,
        lambda port: out.print(text("node.desk", port=port)),
    )


@app.command(help=text("node.help_status"))
def status(home: HomeOption, as_json: JsonOption = False) -> None:
    from clients.home import NodeHome

    node = NodeHome.open(home)
    roster = node.roster if node.roster_file.exists() else None
    sessions = sorted({name.split("/")[1] for name in node.vault.names("job/")})
    state = {
        "name": node.settings.name,
        "table": node.settings.table.path,
        "fingerprint": node.identity.public.fingerprint,
        "coordinator": roster.url if roster else None,
        "parties": {name: key.fingerprint for name, key in roster.identities(node.settings.name).items()}
        if roster
        else {},
        "sessions": sessions,
    }
    if as_json:
        print_json(state)
        return
    for key, value in state.items():
        names = [f"{name} ({key})" for name, key in value.items()] if isinstance(value, dict) else value
        shown = ", ".join(names) if isinstance(names, list) else names
        out.print(f"{text(f'node.status_{key}')}: {shown or '-'}")


@app.command(help=text("node.help_explain"))
def explain(
    job: Path,
    home: HomeOption,
    rows: Annotated[int | None, typer.Option(min=1, help=text("node.option_explain_rows"))] = None,
    as_json: JsonOption = False,
) -> None:
    from clients.explain import explain as plan_of_node
    from clients.home import NodeHome
    from federation.group_explain import show

    show([plan_of_node(NodeHome.open(home), job, rows)], as_json)


@app.command(help=text("node.help_compare"))
def compare(
    session: str,
    home: Annotated[list[Path], typer.Option("--home", help=text("node.option_homes"))],
) -> None:
    from clients.compare import compare as compare_pooled

    print_json(compare_pooled(home, session))


def main() -> None:
    """Entry point of `silhouette-node`."""
    run_app(app)
