"""`silhouette-node consent`: what subjects have said, from a file or from their own mouth.

Identifiers come from standard input or a file and never stand on the command line, which a shell remembers and every
user of the machine can list.
"""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.markup import escape

from federation.terminal import make_app, out, print_json, problems
from privacy.consent import ConsentKind, Need, Statement
from privacy.errors import ConfigInvalid
from privacy.texts import text

if TYPE_CHECKING:
    from clients.consents.changes import Changes
    from clients.consents.holding import Held

consent_app = make_app(text("consents.help"))

HomeOption = Annotated[Path, typer.Option("--home", help=text("node.option_home"))]
JsonOption = Annotated[bool, typer.Option("--json", help=text("terminal.option_json"))]
FromArgument = Annotated[Path | None, typer.Argument(help=text("consents.option_from"))]
PurposeOption = Annotated[str, typer.Option(help=text("consents.option_purpose"))]
KindOption = Annotated[str | None, typer.Option(help=text("consents.option_kind"))]
ScopeOption = Annotated[str | None, typer.Option(help=text("consents.option_scope"))]
RecipientOption = Annotated[str | None, typer.Option(help=text("consents.option_recipient"))]
ReasonOption = Annotated[str | None, typer.Option(help=text("consents.option_reason"))]


@consent_app.command("import", help=text("consents.help_import"))
def bring_in(home: HomeOption, as_json: JsonOption = False) -> None:
    from clients.consents.node import bring_in as import_log
    from clients.home import NodeHome

    report = import_log(NodeHome.open(home))
    if as_json:
        print_json(report)
    elif report.is_unchanged:
        out.print(text("consents.unchanged"))
    else:
        numbers = {name: f"{value:,}" for name, value in msgspec.structs.asdict(report).items()}
        del numbers["is_unchanged"]
        out.print(text("consents.imported", **numbers), soft_wrap=True)


@consent_app.command("grant", help=text("consents.help_grant"))
def grant(
    home: HomeOption,
    purpose: PurposeOption,
    file: FromArgument = None,
    kind: KindOption = None,
    scope: ScopeOption = None,
    recipient: RecipientOption = None,
    notice: Annotated[str, typer.Option(help=text("consents.option_notice"))] = "",
    until: Annotated[str, typer.Option(help=text("consents.option_until"))] = "",
    as_json: JsonOption = False,
) -> None:
    said = _statement(
        purpose=purpose,
        granted=True,
        kind=kind or ConsentKind.GENERAL.value,
        scope=scope or "",
        recipient=recipient or "",
        notice=notice,
        until=_end_of(until),
    )
    changes = _changes(home)
    identifiers = changes.identifiers(read_identifiers(file))
    _done(changes.give(identifiers, [said]), len(identifiers), as_json)


@consent_app.command("withdraw", help=text("consents.help_withdraw"))
def withdraw(
    home: HomeOption,
    file: FromArgument = None,
    purpose: Annotated[str | None, typer.Option(help=text("consents.option_withdraw"))] = None,
    kind: KindOption = None,
    scope: ScopeOption = None,
    recipient: RecipientOption = None,
    as_json: JsonOption = False,
) -> None:
    from clients.consents.node import bring_in_for_withdrawal
    from clients.home import NodeHome

    changes = _changes(home)
    identifiers = changes.identifiers(read_identifiers(file))
    named = (purpose, _kind(kind), scope, recipient)
    try:
        bring_in_for_withdrawal(NodeHome.open(home))
    finally:  # a file that cannot be read holds up no word
        version = changes.withdraw(identifiers, *named)
    _done(version, len(identifiers), as_json)


@consent_app.command("restrict", help=text("consents.help_restrict"))
def restrict(
    home: HomeOption,
    reason: Annotated[str, typer.Option(help=text("consents.option_reason"))],
    file: FromArgument = None,
    law: Annotated[str, typer.Option(help=text("consents.option_law"))] = "",
    review: Annotated[str, typer.Option(help=text("consents.option_review"))] = "",
    as_json: JsonOption = False,
) -> None:
    from clients.consents.changes import restriction_of

    changes = _changes(home)
    identifiers = changes.identifiers(read_identifiers(file))
    version = changes.restrict(identifiers, restriction_of(reason), law, _day(review) if review else None)
    _done(version, len(identifiers), as_json)


@consent_app.command("lift", help=text("consents.help_lift"))
def lift(
    home: HomeOption, file: FromArgument = None, reason: ReasonOption = None, as_json: JsonOption = False
) -> None:
    from clients.consents.changes import restriction_of

    changes = _changes(home)
    identifiers = changes.identifiers(read_identifiers(file))
    version = changes.lift(identifiers, None if reason is None else restriction_of(reason))
    _done(version, len(identifiers), as_json)


@consent_app.command("show", help=text("consents.help_show"))
def show(home: HomeOption, file: FromArgument = None, as_json: JsonOption = False) -> None:
    found = _changes(home).held(read_identifiers(file))
    if as_json:
        print_json(found)
        return
    for number, one in enumerate(found, start=1):
        _show_one(number, one)


@consent_app.command("count", help=text("consents.help_count"))
def count(
    home: HomeOption,
    purpose: Annotated[str | None, typer.Option(help=text("consents.option_count"))] = None,
    kind: KindOption = None,
    scope: ScopeOption = None,
    recipient: RecipientOption = None,
    as_json: JsonOption = False,
) -> None:
    from clients.home import NodeHome

    need = None
    if purpose is not None:
        need = Need(purpose, _kind(kind) or ConsentKind.GENERAL, scope or "", recipient or "")
    people = NodeHome.open(home).consents.people(datetime.now(UTC), need)
    if as_json:
        print_json({"people": people})
    else:
        out.print(text("consents.people", people=f"{people:,}"))


@consent_app.command("prompt", help=text("consents.help_prompt"))
def prompt(
    home: HomeOption, purpose: PurposeOption, file: FromArgument = None, as_json: JsonOption = False
) -> None:
    from clients.consents.prompts import ask
    from clients.consents.tables import Source
    from clients.home import NodeHome

    answers = ask(NodeHome.open(home), read_identifiers(file), purpose, Source.CLI)
    if as_json:
        print_json({"answers": answers})
        return
    for number, answer in enumerate(answers, start=1):
        if answer.may_ask:
            line = text("consents.prompt_yes", number=number)
        else:
            line = text("consents.prompt_no", number=number, code=answer.reason, since=answer.since or "-")
        out.print(escape(line), soft_wrap=True)


def _changes(home: Path) -> Changes:
    from clients.consents.node import changes_of
    from clients.consents.tables import Source
    from clients.home import NodeHome

    return changes_of(NodeHome.open(home), Source.CLI)


def read_identifiers(file: Path | None) -> list[str]:
    """Identifiers, one a line. Raises `ConfigInvalid` for a file that is not there or is no text."""
    if file is None and sys.stdin.isatty():
        problems.print(text("consents.prompt"))
    try:
        content = sys.stdin.read() if file is None else file.read_text("utf-8-sig")
    except FileNotFoundError:
        raise ConfigInvalid("file_missing", file=file) from None
    except (OSError, UnicodeDecodeError):
        raise ConfigInvalid("consent_list_unreadable") from None
    return [line.strip() for line in content.splitlines() if line.strip()]


def _statement(**fields: object) -> Statement:
    try:
        return msgspec.convert(fields, Statement)
    except msgspec.ValidationError as problem:
        raise ConfigInvalid("consent_statement", problem=str(problem)) from None


def _kind(kind: str | None) -> ConsentKind | None:
    return None if kind is None else _statement(purpose="any", granted=False, kind=kind).kind


def _day(written: str) -> date:
    try:
        return date.fromisoformat(written)
    except ValueError:
        raise ConfigInvalid("consent_day") from None


def _end_of(until: str) -> datetime | None:
    """The moment at which a consent ends; a date is its last day, in this computer's zone."""
    from clients.consents.changes import end_of_day

    return end_of_day(_day(until)) if until else None


def _done(version: int, subjects: int, as_json: bool) -> None:
    if as_json:
        print_json({"version": version, "subjects": subjects})
    else:
        out.print(text("consents.done", subjects=f"{subjects:,}"))


def _show_one(number: int, one: Held) -> None:
    """One subject, by its place in what was asked: an identifier is not printed."""
    out.print(text("consents.subject", number=number))
    for word in one.words:
        about = " ".join(filter(None, (word.purpose, word.kind, word.scope, word.recipient)))
        until = word.until.astimezone().isoformat(" ", "minutes") if word.until else "-"
        stated = word.stated.astimezone().isoformat(" ", "minutes") if word.stated else "-"
        status = text(f"consents.status.{word.status}")
        line = text(
            "consents.word", about=about, status=status, stated=stated, until=until, notice=word.notice or "-"
        )
        out.print(escape(line), soft_wrap=True)
    for restriction in one.restrictions:
        reason = text(f"consents.restriction.{restriction.reason}")
        out.print(escape(text("consents.restricted", reason=reason, law=restriction.law)), soft_wrap=True)
    if not one.words and not one.restrictions:
        out.print(text("consents.nothing"))
