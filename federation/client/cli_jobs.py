"""`jobs`: proposing, looking at, watching and stopping jobs at a coordinator, from a shell."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.markup import escape

from federation.terminal import EXIT_INTERRUPTED, EXIT_REFUSED, make_app, out, print_json
from privacy.texts import text

if TYPE_CHECKING:
    from federation.client.connecting import Console
    from federation.client.job_records import Preview
    from federation.client.jobs import Job

JsonOption = Annotated[bool, typer.Option("--json", help=text("terminal.option_json"))]
NumberArgument = Annotated[str, typer.Argument(help=text("client.option_job"))]
MOST: Final = 100
_EXITS: Final = {"done": 0, "refused": EXIT_REFUSED, "expired": EXIT_REFUSED}
"""The exit status of a job that was watched to its end; anything else: 1."""


def make_jobs_app() -> typer.Typer:
    """The commands."""
    app = make_app(text("client.help_jobs"))
    app.command("propose", help=text("client.help_propose"))(propose)
    app.command("list", help=text("client.help_list"))(list_)
    app.command("show", help=text("client.help_show"))(show)
    app.command("watch", help=text("client.help_watch"))(watch)
    app.command("stop", help=text("client.help_stop"))(stop)
    app.command("report", help=text("client.help_report"))(report)
    return app


def propose(
    file: Path,
    days: Annotated[int, typer.Option("--days", min=1, max=90, help=text("client.option_wait_days"))] = 14,
    preview: Annotated[bool, typer.Option("--preview", help=text("client.option_preview"))] = False,
    wait: Annotated[bool, typer.Option("--wait", help=text("client.option_wait"))] = False,
    as_json: JsonOption = False,
) -> None:
    with _opened() as console:
        if preview:
            _show_preview(console.jobs.preview(file), as_json=as_json)
            return
        job = console.jobs.propose(file, days=days)
        if wait:
            _watch(job, as_json=as_json)
        elif as_json:
            print_json(job.record)
        else:
            parties = ", ".join(job.record.waiting_for)
            out.print(escape(text("client.proposed", job=job.number, parties=parties)), soft_wrap=True)


def list_(
    state: Annotated[list[str] | None, typer.Option("--state", help=text("client.option_state"))] = None,
    party: Annotated[str, typer.Option("--party", help=text("client.option_party"))] = "",
    most: Annotated[int, typer.Option("--most", min=1, help=text("client.option_most"))] = MOST,
    as_json: JsonOption = False,
) -> None:
    from federation.client.showing import show_list

    with _opened() as console:
        rows = list(islice(console.jobs.list(state=state or (), party=party), most))
    show_list(rows, ("number", "name", "purpose", "state", "parties", "proposed"), as_json=as_json)


def show(number: NumberArgument, as_json: JsonOption = False) -> None:
    from federation.client.showing import show_one

    with _opened() as console:
        show_one(console.jobs.get(number).record, as_json=as_json)


def watch(number: NumberArgument, as_json: JsonOption = False) -> None:
    with _opened() as console:
        _watch(console.jobs.get(number), as_json=as_json)


def stop(number: NumberArgument, as_json: JsonOption = False) -> None:
    with _opened() as console:
        job = console.jobs.get(number).stop()
    if as_json:
        print_json(job.record)
    else:
        out.print(escape(text("client.stopping", job=number)), soft_wrap=True)


def report(
    number: NumberArgument,
    into: Annotated[Path | None, typer.Option("--into", help=text("client.option_into"))] = None,
) -> None:
    with _opened() as console:
        found = console.jobs.get(number).report()
        if into is None:
            print_json(found.figures)
        else:
            out.print(escape(text("client.report_written", page=found.save(into))), soft_wrap=True)


def _watch(job: Job, *, as_json: bool) -> None:
    """Show what happens until the end; as JSON, one event a line. Ctrl-C ends the watching, not the job."""
    import sys

    import msgspec

    from federation.client.watching import shown

    try:
        if as_json:
            for event in job.watch():
                sys.stdout.write(msgspec.json.encode(event).decode() + "\n")
                sys.stdout.flush()
        else:
            shown(job, terminal=out)
            out.print(escape(job.record.message), soft_wrap=True)
    except KeyboardInterrupt:
        raise typer.Exit(EXIT_INTERRUPTED) from None
    raise typer.Exit(_EXITS.get(job.state, 1))


def _show_preview(preview: Preview, *, as_json: bool) -> None:
    if as_json:
        print_json(preview)
        return
    for party in preview.parties:
        out.print(escape(party.party), style="bold")
        for stage in party.stages:
            out.print(
                escape(f"  {text(f'server.stage.{stage.stage}')}: {', '.join(stage.fields)}"), soft_wrap=True
            )
            for item in stage.leaves:
                out.print(escape(f"    → {', '.join(item.to)}: {item.text}"), soft_wrap=True)


def _opened() -> Console:
    from federation.client.connecting import connect

    return connect()
