"""`silhouette-node request`: requests of data subjects, from the door to their end.

Identifiers, codes and corrected values come from standard input, one a line, and never stand on the command line.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer
from rich.markup import escape

from clients.rights.receipts_cli import add_receipt_commands
from clients.rights.searching_cli import add_search_command
from federation.terminal import EXIT_REFUSED, make_app, out, print_json, problems
from privacy.errors import ConfigInvalid
from privacy.rights import Requester, RequestKind
from privacy.texts import text

if TYPE_CHECKING:
    from clients.rights.alarms import Alarm
    from clients.rights.cases import Authority, Case
    from clients.rights.intake import Intake
    from clients.rights.limits import HeldOver
    from clients.rights.store import CaseStore
    from privacy.rights import Outcome

request_app = make_app(text("rights.help"))
add_receipt_commands(request_app)
add_search_command(request_app)

HomeOption = Annotated[Path, typer.Option("--home", help=text("node.option_home"))]
JsonOption = Annotated[bool, typer.Option("--json", help=text("terminal.option_json"))]
NumberArgument = Annotated[str, typer.Argument(help=text("rights.option_number"))]
VouchOption = Annotated[str, typer.Option(help=text("rights.option_verified_by"))]

_OWN: Final = "rights."
"""How the reasons of outcomes begin that are keys of the texts."""


@request_app.command("new", help=text("rights.help_new"))
def new(
    home: HomeOption,
    kind: Annotated[RequestKind, typer.Option(help=text("rights.option_kind"))],
    requester: Annotated[Requester, typer.Option(help=text("rights.option_requester"))] = Requester.SUBJECT,
    verified_by: VouchOption = "",
    purpose: Annotated[str, typer.Option(help=text("rights.option_purpose"))] = "",
    field: Annotated[str, typer.Option(help=text("rights.option_field"))] = "",
    document: Annotated[str, typer.Option(help=text("rights.option_document"))] = "",
    document_kind: Annotated[str, typer.Option(help=text("rights.option_document_kind"))] = "",
    checked_by: Annotated[str, typer.Option(help=text("rights.option_checked_by"))] = "",
    arranged_otherwise: Annotated[bool, typer.Option(help=text("rights.option_arranged"))] = False,
    as_json: JsonOption = False,
) -> None:
    from clients.rights.cases import Correction
    from clients.rights.intake import Request
    from clients.rights.views import view

    lines = _lines()
    correction = None
    if field:
        correction = Correction(field, lines.pop() if len(lines) > 1 else "")
    authority = _authority(document, document_kind, checked_by, arranged_otherwise) if document else None
    fields = {"kind": kind, "requester": requester, "verified_by": verified_by, "purpose": purpose}
    try:
        request = msgspec.convert({**fields, "authority": authority, "correction": correction}, Request)
    except msgspec.ValidationError:
        raise ConfigInvalid("rights_purpose") from None
    filed = _intake(home).file_many(request, lines)
    if as_json:
        print_json([{**msgspec.to_builtins(view(one.case)), "code": one.code} for one in filed])
    for one in filed:
        if not as_json:
            out.print(text("rights.filed", case=one.case.number, due=one.case.due), soft_wrap=True)
            if one.code:
                out.print(text("rights.code", code=one.code), soft_wrap=True)
    _show_refusals([one.case for one in filed])


@request_app.command("verify", help=text("rights.help_verify"))
def verify(
    number: NumberArgument,
    home: HomeOption,
    verified_by: VouchOption = "",
    new_code: Annotated[bool, typer.Option(help=text("rights.option_new_code"))] = False,
    as_json: JsonOption = False,
) -> None:
    from clients.rights.views import view

    intake, code = _intake(home), ""
    if new_code:
        case, code = intake.new_code(number)
    elif verified_by:
        case = intake.vouch(number, verified_by)
    else:
        case = intake.verify(number, "".join(_lines()[:1]))
    if as_json:
        print_json({**msgspec.to_builtins(view(case)), "code": code})
    elif code:
        out.print(text("rights.code", code=code), soft_wrap=True)
    else:
        out.print(text("rights.verified", case=case.number), soft_wrap=True)


@request_app.command("list", help=text("rights.help_list"))
def show_all(
    home: HomeOption,
    everything: Annotated[bool, typer.Option("--all", help=text("rights.option_all"))] = False,
    as_json: JsonOption = False,
) -> None:
    from clients.rights.views import line_view

    lines = [line_view(line) for line in _store(home).lines(only_open=not everything)]
    if as_json:
        print_json(lines)
        return
    for line in lines:
        names = {
            "kind": text(f"receipts.kind.{line.kind.value}"),
            "state": text(f"receipts.state.{line.state.value}"),
        }
        out.print(text("rights.line", case=line.number, due=line.due, **names), soft_wrap=True)
    if not lines:
        out.print(text("rights.nothing"))


@request_app.command("show", help=text("rights.help_show"))
def show(number: NumberArgument, home: HomeOption, as_json: JsonOption = False) -> None:
    from clients.rights.views import view

    case = _store(home).get(number)
    if case is None:
        raise ConfigInvalid("rights_case_unknown", case=number)
    found = view(case)
    if as_json:
        print_json(found)
        return
    names = {
        "kind": text(f"receipts.kind.{found.kind.value}"),
        "state": text(f"receipts.state.{found.state.value}"),
    }
    out.print(text("rights.line", case=found.number, due=found.due, **names), soft_wrap=True)
    for outcome in found.outcomes:
        out.print(escape(_outcome(outcome)), soft_wrap=True)
    for party, partner in found.partners.items():
        out.print(text("rights.partner", party=party, state=_partner_state(partner.state)))
        for outcome in partner.outcomes:
            out.print(escape("  " + _outcome(outcome)), soft_wrap=True)
    if found.letter:
        out.print(escape(found.letter), soft_wrap=True)


@request_app.command("run", help=text("rights.help_run"))
def run(home: HomeOption, as_json: JsonOption = False) -> None:
    from clients.home import NodeHome
    from clients.rights.running import Requests

    requests = Requests(NodeHome.open(home))
    try:
        progress = requests.settle()
    finally:
        requests.close()
    moved = {state.value: count for state, count in sorted(progress.moved.items())}
    if as_json:
        print_json({"moved": moved, "letters": progress.letters, "is_busy": progress.is_busy})
    elif progress.is_busy:
        out.print(text("rights.busy"), soft_wrap=True)
    else:
        for state, count in moved.items():
            out.print(text("rights.moved", state=text(f"receipts.state.{state}"), count=count))
        out.print(text("rights.ran"))


@request_app.command("reject", help=text("rights.help_reject"))
def reject(
    number: NumberArgument,
    home: HomeOption,
    reason: Annotated[list[str], typer.Option(help=text("rights.option_reason"))],
    as_json: JsonOption = False,
) -> None:
    from clients.rights.intake import REFUSALS

    known = {one.value: one for one in REFUSALS}
    if not set(reason) <= set(known):
        raise ConfigInvalid("rights_reason", known=", ".join(known))
    refusal = _intake(home).reject(number, [known[code] for code in reason])
    if as_json:
        print_json({"case": number, "reasons": refusal.findings.codes, "letter": refusal.letter()})
    else:
        out.print(escape(refusal.letter()), soft_wrap=True)


@request_app.command("reopen", help=text("rights.kept.help_reopen"))
def reopen_cases(
    home: HomeOption,
    numbers: Annotated[list[str] | None, typer.Argument(help=text("rights.option_number"))] = None,
    due: Annotated[bool, typer.Option("--due", help=text("rights.kept.option_due"))] = False,
    as_json: JsonOption = False,
) -> None:
    from clients.home import NodeHome
    from clients.rights.kept import due_again, reopen
    from clients.rights.store import CaseStore
    from clients.rights.views import view
    from federation.pace import today, utc_now

    if bool(numbers) == due:
        raise ConfigInvalid("rights_reopen_which")
    opened = NodeHome.open(home)
    store = CaseStore(opened.vault)
    chosen = numbers or due_again(store, today())
    cases = reopen(opened, store, chosen, utc_now())
    if as_json:
        print_json([view(case) for case in cases])
        return
    for case in cases:
        out.print(text("rights.kept.reopened", case=case.number), soft_wrap=True)
    if not cases:
        out.print(text("rights.kept.nothing"), soft_wrap=True)


@request_app.command("alarms", help=text("rights.help_alarms"))
def show_alarms(home: HomeOption, as_json: JsonOption = False) -> None:
    from clients.rights.alarms import alarms
    from clients.rights.limits import held_over
    from federation.pace import utc_now

    store = _store(home)
    found: list[Alarm | HeldOver] = [*alarms(store, utc_now()), *held_over(store, utc_now())]
    if as_json:
        print_json(found)
        return
    for alarm in found:
        out.print(escape(alarm.render()), soft_wrap=True)
    if not found:
        out.print(text("rights.no_alarms"))


def _intake(home: Path) -> Intake:
    from clients.home import NodeHome
    from clients.rights.intake import Intake

    return Intake(NodeHome.open(home))


def _store(home: Path) -> CaseStore:
    from clients.home import NodeHome
    from clients.rights.store import CaseStore

    return CaseStore(NodeHome.open(home).vault)


def _authority(document: str, kind: str, checked_by: str, arranged_otherwise: bool) -> Authority:
    from clients.rights.cases import Authority

    fields = {
        "document": document,
        "kind": kind,
        "checked_by": checked_by,
        "arranged_otherwise": arranged_otherwise,
    }
    try:
        return msgspec.convert(fields, Authority)
    except msgspec.ValidationError:
        raise ConfigInvalid("rights_document") from None


def _lines() -> list[str]:
    """What stands on standard input, line by line."""
    if sys.stdin.isatty():
        problems.print(text("rights.prompt"))
    return [line.strip() for line in sys.stdin.read().splitlines() if line.strip()]


def _partner_state(state: str) -> str:
    if state == "sent":
        return text("rights.partner_sent")
    return text("rights.partner_left") if state == "left" else text(f"receipts.state.{state}")


def _outcome(outcome: Outcome) -> str:
    what = text(f"receipts.artefact.{outcome.artefact.value}")
    parts = [text(f"receipts.result.{outcome.result.value}"), outcome.law]
    if outcome.until is not None:
        parts.append(text("receipts.until", until=outcome.until))
    if outcome.review is not None:
        parts.append(text("receipts.review", review=outcome.review))
    if outcome.reason.startswith(_OWN):
        parts.append(text(f"rights.{outcome.reason.removeprefix(_OWN)}"))
    return f"{what}: {' · '.join(filter(None, parts))}"


def _show_refusals(cases: list[Case]) -> None:
    """The letters of cases that were refused, to the error channel; then the command ends as a refusal does."""
    from clients.rights.views import refusal_of

    refusals = [refusal for case in cases if (refusal := refusal_of(case)) is not None]
    for refusal in refusals:
        problems.print(escape(refusal.letter()), soft_wrap=True)
    if refusals:
        raise typer.Exit(EXIT_REFUSED)
