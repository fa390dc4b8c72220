"""`silhouette-node audit small`: the self-check of a handler of fewer than 100,000 people, from its log and policy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from federation.terminal import out, print_json
from privacy.texts import current_language, text

if TYPE_CHECKING:
    from clients.home import NodeHome
    from privacy.audit_items.small import SelfCheck

HomeOption = Annotated[Path, typer.Option("--home", help=text("node.option_home"))]
JsonOption = Annotated[bool, typer.Option("--json", help=text("terminal.option_json"))]


def people_of(home: NodeHome, stated: int = 0) -> int:
    """How many people this node processes: what the holder states, the consent store knows (who was forgotten is not
    among them), or the last admitted table had in rows, whichever is most.
    """
    from sqlalchemy import func, select

    from clients.consents.tables import subjects
    from privacy.audit import EventType

    with home.consents.engine.connect() as connection:
        known = int(connection.execute(select(func.count()).select_from(subjects)).scalar_one())
    rows = 0
    for event in home.audit.events():
        if event.type is EventType.DATASET_ADMITTED:
            rows = event.numbers.get("rows", 0)
    return max(stated, known, rows)


def check_of(home: NodeHome, stated: int = 0) -> SelfCheck:
    """The form, filled in. Raises `Denied` for a node without a policy, `ConfigInvalid` for too many people."""
    from clients.gate.policy import active_policy, catalog_of
    from privacy.audit_items import Cosigned
    from privacy.audit_items.small import self_check

    policy = active_policy(home)
    cosigned = [
        Cosigned(made.size, frozenset(one.witness for one in signed))
        for made, signed in home.audit.checkpoints()
    ]
    return self_check(home.audit.events(), policy, catalog_of(policy), people_of(home, stated), cosigned)


def add_small(app: typer.Typer) -> typer.Typer:
    """The same audit commands, and this one."""

    @app.command("small", help=text("audit.help_small"))
    def small(
        home: HomeOption,
        people: Annotated[int, typer.Option("--people", min=0, help=text("audit.option_people"))] = 0,
        as_json: JsonOption = False,
    ) -> None:
        from clients.home import NodeHome

        made = check_of(NodeHome.open(home), people)
        if as_json:
            print_json(made)
            return
        is_chinese = current_language().startswith("zh")
        out.print(escape(made.note.zh if is_chinese else made.note.en), soft_wrap=True)
        for item in made.items:
            title = item.title.zh if is_chinese else item.title.en
            result = text(f"audit.small_result.{item.result.value}")
            out.print(
                escape(text("audit.small_line", number=item.item, title=title, found=result)), soft_wrap=True
            )

    return app
