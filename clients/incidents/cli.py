"""`silhouette-node incident`: the register of incidents, its clocks and its letters."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec
import typer
from rich.markup import escape

from federation.pace import utc_now
from federation.terminal import make_app, out, print_json, problems
from privacy.errors import ConfigInvalid
from privacy.texts import text

if TYPE_CHECKING:
    from clients.incidents.register import Incident, Register

incident_app = make_app(text("incidents.help"))

HomeOption = Annotated[Path, typer.Option("--home", help=text("node.option_home"))]
JsonOption = Annotated[bool, typer.Option("--json", help=text("terminal.option_json"))]
ToOption = Annotated[str, typer.Option("--to", help=text("incidents.option_to"))]

_Choice = TypeVar("_Choice", bound=StrEnum)


@incident_app.command("open", help=text("incidents.help_open"))
def open_incident(
    home: HomeOption,
    what: Annotated[str, typer.Option(help=text("incidents.option_what"))],
    noticed: Annotated[str, typer.Option(help=text("incidents.option_noticed"))] = "",
    as_json: JsonOption = False,
) -> None:
    register = _register(home)
    _show(register, [register.open(what, _moment(noticed))], as_json)


@incident_app.command("classify", help=text("incidents.help_classify"))
def classify(
    number: str,
    home: HomeOption,
    people: Annotated[str, typer.Option(help=text("incidents.option_people"))],
    categories: Annotated[str, typer.Option(help=text("incidents.option_categories"))] = "",
    cause: Annotated[str, typer.Option(help=text("incidents.option_cause"))] = "",
    harm: Annotated[str, typer.Option(help=text("incidents.option_harm"))] = "",
    measures: Annotated[str, typer.Option(help=text("incidents.option_measures"))] = "",
    advice: Annotated[str, typer.Option(help=text("incidents.option_advice"))] = "",
    contact: Annotated[str, typer.Option(help=text("incidents.option_contact"))] = "",
    important_data: Annotated[bool, typer.Option(help=text("incidents.option_important"))] = False,
    national_security: Annotated[bool, typer.Option(help=text("incidents.option_security"))] = False,
    harm_avoided: Annotated[bool, typer.Option(help=text("incidents.option_avoided"))] = False,
    as_json: JsonOption = False,
) -> None:
    from clients.incidents.register import Classification, People

    known = Classification(
        people=_choice(People, people),
        categories=tuple(filter(None, (name.strip() for name in categories.split(",")))),
        cause=cause,
        harm=harm,
        measures=measures,
        advice=advice,
        contact=contact,
        important_data=important_data,
        national_security=national_security,
        harm_avoided=harm_avoided,
    )
    register = _register(home)
    _show(register, [register.classify(number, known)], as_json)


@incident_app.command("letter", help=text("incidents.help_letter"))
def letter(
    number: str,
    home: HomeOption,
    to: ToOption,
    into: Annotated[Path, typer.Option("--into", help=text("incidents.option_into"))],
    as_json: JsonOption = False,
) -> None:
    from clients.incidents.letters import write_letters
    from clients.incidents.register import Told

    files = write_letters(_register(home).get(number), _choice(Told, to), into)
    if as_json:
        print_json({"files": [str(file) for file in files]})
        return
    for file in files:
        out.print(escape(text("incidents.written", file=file)), soft_wrap=True)


@incident_app.command("report", help=text("incidents.help_report"))
def report(
    number: str,
    home: HomeOption,
    to: ToOption,
    when: Annotated[str, typer.Option("--at", help=text("incidents.option_at"))] = "",
    as_json: JsonOption = False,
) -> None:
    from clients.incidents.register import Told

    register = _register(home)
    _show(register, [register.report(number, _choice(Told, to), _moment(when))], as_json)


@incident_app.command("close", help=text("incidents.help_close"))
def close(number: str, home: HomeOption, as_json: JsonOption = False) -> None:
    register = _register(home)
    _show(register, [register.close(number, utc_now())], as_json)


@incident_app.command("list", help=text("incidents.help_list"))
def show_all(home: HomeOption, as_json: JsonOption = False) -> None:
    register = _register(home)
    _show(register, register.all(), as_json)


def _register(home: Path) -> Register:
    from clients.home import NodeHome
    from clients.incidents.register import Register

    return Register(NodeHome.open(home))


def _show(register: Register, found: list[Incident] | tuple[Incident, ...], as_json: bool) -> None:
    from clients.incidents.clocks import alarms, clocks_of

    now, is_critical = utc_now(), register.is_critical()
    if as_json:
        shown: list[dict[str, Any]] = []
        for one in found:
            clocks = clocks_of(one, is_critical=is_critical)
            late = [msgspec.to_builtins(clock) | {"late": clock.is_late(now)} for clock in clocks]
            shown.append(msgspec.to_builtins(one) | {"clocks": late})
        print_json({"incidents": shown})
        return
    for one in found:
        status = text(f"incidents.status.{one.status.value}")
        noticed = one.noticed.astimezone().isoformat(" ", "minutes")
        line = text("incidents.line", number=one.number, status=status, time=noticed, what=one.what)
        out.print(escape(line), soft_wrap=True)
        for clock in clocks_of(one, is_critical=is_critical):
            duty = text(f"incidents.duty.{clock.duty.value}")
            sure = text(f"incidents.confidence.{clock.confidence.value}")
            due = clock.due.astimezone().isoformat(" ", "minutes")
            line = text("incidents.clock", duty=duty, due=due, source=clock.source, sure=sure)
            out.print(escape(line), soft_wrap=True)
        for alarm in alarms(one, now, is_critical=is_critical):
            problems.print(f"[red]{escape(alarm)}[/red]", soft_wrap=True)


def _choice(kind: type[_Choice], word: str) -> _Choice:
    try:
        return kind(word)
    except ValueError:
        raise ConfigInvalid("incident_choice", name=word, known=", ".join(kind)) from None


def _moment(written: str) -> datetime:
    """A time as people write it, without a zone in this computer's; now when nothing is written. Not one to come."""
    now = utc_now()
    try:
        found = datetime.fromisoformat(written).astimezone(UTC) if written else now
    except ValueError:
        raise ConfigInvalid("incident_time") from None
    if found > now:
        raise ConfigInvalid("incident_time")
    return found
