"""`silhouette-node policy`: what is in force, what would be refused, and putting a file in force."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from federation.terminal import EXIT_REFUSED, make_app, out, print_json, problems
from privacy.texts import text

policy_app = make_app(text("gate.help"))

HomeOption = Annotated[Path, typer.Option("--home", help=text("node.option_home"))]
JsonOption = Annotated[bool, typer.Option("--json", help=text("terminal.option_json"))]


@policy_app.command("activate", help=text("gate.help_activate"))
def activate(home: HomeOption, file: Path) -> None:
    from clients.gate.policy import activate as put_in_force
    from clients.gate.policy import read_policy
    from clients.home import NodeHome

    policy = put_in_force(NodeHome.open(home), read_policy(file))
    out.print(text("gate.activated", digest=policy.digest))


@policy_app.command("show", help=text("gate.help_show"))
def show(home: HomeOption, as_json: JsonOption = False) -> None:
    import msgspec

    from clients.gate.policy import active_policy
    from clients.home import NodeHome

    policy = active_policy(NodeHome.open(home))
    if as_json:
        print_json({"digest": policy.digest, "policy": msgspec.to_builtins(policy)})
        return
    out.print(text("gate.in_force", digest=policy.digest))
    for purpose in policy.purposes:
        parties = ", ".join(item.party for item in purpose.recipients)
        out.print(
            text("gate.purpose", name=purpose.name, basis=purpose.basis.value, parties=parties),
            soft_wrap=True,
        )


@policy_app.command("draft", help=text("gate.help_draft"))
def draft(
    home: HomeOption, job: Path, into: Annotated[Path, typer.Option(help=text("gate.option_into"))]
) -> None:
    import tomli_w

    from clients.gate.draft import draft_policy, for_approval
    from clients.home import NodeHome, for_toml
    from federation.jobfile import read_job_file
    from federation.pace import today

    node = NodeHome.open(home)
    coordinator = node.roster.identities(node.settings.name)["coordinator"].fingerprint
    policy = draft_policy(
        node.settings.name, node.settings.table, read_job_file(job).job, coordinator, today()
    )
    into.write_text(tomli_w.dumps(for_toml(for_approval(policy))), "utf-8")
    out.print(text("gate.drafted", file=into))


@policy_app.command("check", help=text("gate.help_check"))
def check(home: HomeOption, job: Path, as_json: JsonOption = False) -> None:
    """Every reason for which this node would refuse a job; nothing is read of the table's rows."""
    from clients.gate.gate import preview
    from clients.home import NodeHome
    from federation.jobfile import read_job_file

    findings = preview(NodeHome.open(home), read_job_file(job).job)
    if as_json:
        print_json([{"reason": item.reason.value, "about": item.about} for item in findings])
    elif not findings:
        out.print(text("gate.admitted"))
    for item in () if as_json else findings:
        problems.print(f"[red]{escape(item.render())}[/red]", soft_wrap=True)
    if findings:
        raise typer.Exit(EXIT_REFUSED)


@policy_app.command("sweep", help=text("gate.help_sweep"))
def sweep(home: HomeOption, as_json: JsonOption = False) -> None:
    from clients.gate.retention import sweep as remove_expired
    from clients.home import NodeHome

    removed = remove_expired(NodeHome.open(home))
    if as_json:
        print_json({"removed": removed})
    else:
        out.print(text("gate.swept", count=removed))
