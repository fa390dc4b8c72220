"""`silhouette-node lending`: check a decision policy, decide about the customers of a finished job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from federation.terminal import make_app, out, print_json
from privacy.texts import text

lending_app = make_app(text("lending.help"))

JsonOption = Annotated[bool, typer.Option("--json", help=text("terminal.option_json"))]


@lending_app.command("check", help=text("lending.help_check"))
def check(file: Path, as_json: JsonOption = False) -> None:
    import msgspec

    from clients.lending.plan_checks import read_plan

    plan = read_plan(file)
    if as_json:
        print_json({"digest": plan.digest, "policy": msgspec.to_builtins(plan)})
        return
    grades = Table()
    for column in ("grade", "from", "below", "lane"):
        grades.add_column(text(f"lending.column_{column}"))
    for grade in plan.grades:
        bounds = ("-" if bound is None else f"{bound:g}" for bound in (grade.low, grade.high))
        grades.add_row(grade.name, *bounds, text(f"lending.lane.{grade.lane.value}"))
    out.print(grades)
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
