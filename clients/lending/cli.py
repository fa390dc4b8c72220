"""`silhouette-node lending`: check a decision policy, decide about the customers of a finished job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from clients.lending.appeals_cli import appeal_app
from federation.terminal import make_app, out, print_json
from privacy.texts import text

lending_app = make_app(text("lending.help"))
lending_app.add_typer(appeal_app, name="appeal")

JsonOption = Annotated[bool, typer.Option("--json", help=text("terminal.option_json"))]


@lending_app.command("check", help=text("lending.help_check"))
def check(
    file: Path,
    against: Annotated[Path | None, typer.Option(help=text("lending.option_against"))] = None,
    as_json: JsonOption = False,
) -> None:
    import msgspec

    from clients.lending.plan_changes import changes_between
    from clients.lending.plan_checks import read_plan

    plan = read_plan(file)
    changes = () if against is None else changes_between(read_plan(against), plan)
    if as_json:
        print_json({"digest": plan.digest, "policy": msgspec.to_builtins(plan), "changes": changes})
        return
    grades = Table()
    for column in ("grade", "from", "below", "lane"):
        grades.add_column(text(f"lending.column_{column}"))
    for grade in plan.grades:
        bounds = ("-" if bound is None else f"{bound:g}" for bound in (grade.low, grade.high))
        grades.add_row(grade.name, *bounds, text(f"lending.lane.{grade.lane.value}"))
    out.print(grades)
    for change in changes:
        out.print(escape(change.render()), soft_wrap=True)
    out.print(escape(text("lending.checked", file=file, name=plan.name, digest=plan.digest)), soft_wrap=True)


@lending_app.command("decide", help=text("lending.help_decide"))
def decide(
    results: Annotated[Path, typer.Option("--results", help=text("lending.option_results"))],
    policy: Annotated[Path, typer.Option("--policy", help=text("lending.option_policy"))],
    home: Annotated[Path | None, typer.Option("--home", help=text("lending.option_home"))] = None,
    attributes: Annotated[Path | None, typer.Option(help=text("lending.option_attributes"))] = None,
    as_json: JsonOption = False,
) -> None:
    from clients.home import NodeHome
    from clients.lending.cases import decide_about, home_of

    node = NodeHome.open(home_of(results) if home is None else home)
    found = decide_about(node, results, policy, attributes).summary
    if as_json:
        print_json(found)
        return
    lanes = Table()
    lanes.add_column(text("lending.column_lane"))
    lanes.add_column(text("lending.column_people"), justify="right")
    for lane, people in found["lanes"].items():
        lanes.add_row(text(f"lending.lane.{lane}"), f"{people:,}")
    out.print(lanes)
    total = f"{sum(found['lanes'].values()):,}"
    lines = [text("lending.decided", file=found["file"], name=found["policy"], people=total)]
    people, refused = f"{found['needs_human']:,}", f"{found['refused_automation']:,}"
    lines.append(text("lending.needs_human", people=people, refused=refused))
    if found["left_out"]:
        lines.append(text("lending.left_out", people=f"{found['left_out']:,}"))
    for line in lines:
        out.print(escape(line), soft_wrap=True)


@lending_app.command("simulate", help=text("lending.help_simulate"))
def simulate(
    results: Annotated[Path, typer.Option("--results", help=text("lending.option_decided"))],
    assumptions: Annotated[Path | None, typer.Option(help=text("lending.option_assumptions"))] = None,
    seed: Annotated[int, typer.Option(min=0, help=text("lending.option_seed"))] = 0,
    as_json: JsonOption = False,
) -> None:
    from clients.lending.cases import read_decided
    from clients.lending.routing import FlowAssumptions
    from clients.lending.routing import simulate as simulate_flow
    from federation.files import read_toml

    lanes, grades = read_decided(results)
    given = None if assumptions is None else read_toml(assumptions, FlowAssumptions)
    report = simulate_flow(lanes, grades, assumptions=given, seed=seed)
    if as_json:
        print_json(report)
        return
    rows = Table()
    for column in ("lane", "share", "median", "p90"):
        rows.add_column(text(f"lending.column_{column}"), justify="left" if column == "lane" else "right")
    named = {text(f"lending.lane.{lane}"): found for lane, found in report["lanes"].items()}
    named |= {text("lending.flow_all"): report["all"], text("lending.flow_baseline"): report["baseline"]}
    for name, found in named.items():
        days = ("-" if found[key] is None else f"{found[key]:.1f}" for key in ("median_days", "p90_days"))
        rows.add_row(name, f"{found.get('share', 1.0):.0%}", *days)
    out.print(rows)
    out.print(text("lending.flow_assumed"), soft_wrap=True)


@lending_app.command("parity", help=text("lending.help_parity"))
def parity(
    results: Annotated[Path, typer.Option("--results", help=text("lending.option_decided"))],
    policy: Annotated[Path, typer.Option("--policy", help=text("lending.option_policy"))],
    home: Annotated[Path | None, typer.Option("--home", help=text("lending.option_home"))] = None,
    attributes: Annotated[Path | None, typer.Option(help=text("lending.option_attributes"))] = None,
    prices: Annotated[Path | None, typer.Option(help=text("lending.option_prices"))] = None,
    persona: Annotated[str, typer.Option(help=text("lending.option_persona"))] = "segment",
    as_json: JsonOption = False,
) -> None:
    from clients.home import NodeHome
    from clients.lending.cases import home_of
    from clients.lending.parity import check_parity

    node = NodeHome.open(home_of(results) if home is None else home)
    found = check_parity(node, results, policy, attributes, prices, persona)
    if as_json:
        print_json(found)
        return
    numbers = {"people": f"{found.people:,}", "count": f"{found.groups:,}"}
    out.print(
        text("lending.parity_holds" if found.groups else "lending.parity_nothing", **numbers), soft_wrap=True
    )
