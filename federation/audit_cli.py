"""`audit show | export | verify`: the same commands for a data holder and for the coordinator.

Heavy imports stay inside the commands that need them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from federation.terminal import EXIT_REFUSED, make_app, out, print_json, problems
from privacy.errors import ConfigInvalid
from privacy.texts import text

if TYPE_CHECKING:
    from federation.audit_log import AuditLog
    from federation.standalone.verify import Bundle, Finding
    from privacy.audit import Event
    from privacy.sealing import PublicIdentity


class ExportFor(StrEnum):
    """Who asked for a bundle."""

    AUDIT = "audit"
    FOREIGN_AUTHORITY = "foreign_authority"


HomeOption = Annotated[Path, typer.Option("--home", help=text("audit.option_home"))]
JsonOption = Annotated[bool, typer.Option("--json", help=text("terminal.option_json"))]
TypeOption = Annotated[list[str] | None, typer.Option("--type", help=text("audit.option_type"))]
SinceOption = Annotated[int, typer.Option("--since", min=0, help=text("audit.option_since"))]
FingerprintOption = Annotated[
    list[str] | None, typer.Option("--fingerprint", help=text("audit.option_fingerprint"))
]


def make_audit_app(
    open_log: Callable[[Path], AuditLog],
    documents: Callable[[Path], Mapping[str, bytes]],
    keys: Callable[[Path], Mapping[str, PublicIdentity]],
) -> typer.Typer:
    """The commands over one side's homes: how to open a home's log, what its events refer to, whom it knows.

    documents: content by name; keys: public keys of everyone who has ever cosigned, by name.
    """
    app = make_app(text("audit.help"))

    @app.command(help=text("audit.help_show"))
    def show(
        home: HomeOption, types: TypeOption = None, since: SinceOption = 0, as_json: JsonOption = False
    ) -> None:
        _check_types(types or ())
        log = open_log(home)
        events = [event for event in log.events(since) if _wanted(event, types)]
        if as_json:
            print_json(events)
        else:
            _show(log, events)

    @app.command(help=text("audit.help_export"))
    def export(
        home: HomeOption,
        file: Path,
        why: Annotated[ExportFor, typer.Option("--for", help=text("audit.option_for"))] = ExportFor.AUDIT,
        approval: Annotated[str, typer.Option(help=text("audit.option_approval"))] = "",
        as_json: JsonOption = False,
    ) -> None:
        from federation.audit_bundle import export as export_bundle

        log = open_log(home)
        if why is ExportFor.FOREIGN_AUTHORITY:
            _check_approval(log, approval, as_json)
        written = export_bundle(log, file, documents(home), keys(home))
        made, _ = log.checkpoints()[-1]
        if as_json:
            print_json({"file": str(written), "events": made.size, "fingerprint": made.key})
            return
        out.print(
            text("audit.exported", file=written, events=made.size, fingerprint=made.key), soft_wrap=True
        )

    @app.command(help=text("audit.help_verify"))
    def verify(
        bundles: list[Path], fingerprints: FingerprintOption = None, as_json: JsonOption = False
    ) -> None:
        from federation.audit_bundle import read
        from federation.standalone.verify import compare

        pins = dict(map(_fingerprint, fingerprints or ()))
        opened = [read(_bytes_of(file), pins, file.name) for file in bundles]
        found = [finding for bundle in opened for finding in bundle.findings]
        found += [finding for one, other in combinations(opened, 2) for finding in compare(one, other)]
        found = list(dict.fromkeys(found))
        _tell(opened, found, as_json)
        if found:
            raise typer.Exit(1)

    return app


def _check_approval(log: AuditLog, approval: str, as_json: bool) -> None:
    """Nothing is handed to a foreign authority without the approval of the competent one in China (PIPL 41)."""
    from privacy.audit import EventType
    from privacy.reasons import Finding, Reason

    if approval:
        log.append(EventType.EXPORT_APPROVED, actor="operator", artefact=approval)
        return
    finding = Finding(Reason.FOREIGN_AUTHORITY_REQUEST)
    log.append(EventType.EXPORT_REFUSED, actor="operator", reasons=(finding.reason.value,))
    if as_json:
        print_json({"reasons": [finding.reason.value]})
    else:
        problems.print(f"[red]{escape(finding.render())}[/red]", soft_wrap=True)
    raise typer.Exit(EXIT_REFUSED)


def _check_types(types: list[str] | tuple[str, ...]) -> None:
    from privacy.audit import EventType

    families = {name.split(".")[0] for name in EventType}
    for name in types:
        if name not in families | set(EventType):
            raise ConfigInvalid("audit_type_unknown", name=name, known=", ".join(sorted(families)))


def _wanted(event: Event, types: list[str] | None) -> bool:
    return not types or event.type in types or event.type.split(".")[0] in types


def _show(log: AuditLog, events: list[Event]) -> None:
    table = Table()
    for column in ("seq", "time", "type", "about", "reasons", "numbers"):
        table.add_column(text(f"audit.column_{column}"), justify="right" if column == "seq" else "left")
    for event in events:
        names = (event.actor, event.job, event.stage, event.artefact)
        numbers = (f"{name} {number:,}" for name, number in event.numbers.items())
        cells = (" ".join(filter(None, names)), " ".join(event.reasons), ", ".join(numbers))
        table.add_row(str(event.seq), event.time, event.type, *map(escape, cells))
    out.print(table)
    out.print(text("audit.log_state", log=log.origin, events=log.size, root=log.root.hex()), soft_wrap=True)
    for made, signed in log.checkpoints()[-1:]:
        witnesses = ", ".join(sorted(one.witness for one in signed)) or "-"
        out.print(text("audit.log_signed", events=made.size, time=made.time, witnesses=witnesses))


def _fingerprint(pin: str) -> tuple[str, str]:
    from federation.standalone.verify import FINGERPRINT

    name, _, digits = pin.partition("=")
    if not name or not FINGERPRINT.fullmatch(digits):
        raise ConfigInvalid("audit_fingerprint_invalid", name=pin)
    return name, digits


def _bytes_of(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise ConfigInvalid("file_missing", file=file) from None
    except OSError as problem:
        raise ConfigInvalid("file_invalid", file=file, problem=problem.strerror) from None


def _tell(bundles: list[Bundle], found: list[Finding], as_json: bool) -> None:
    from federation.audit_bundle import describe

    known = [bundle for bundle in bundles if bundle.keys]
    if as_json:
        told = [finding._asdict() | {"text": describe(finding)} for finding in found]
        logs = [bundle.summary() | {"pinned": bundle.pinned} for bundle in known]
        print_json({"bundles": logs, "findings": told})
        return
    for bundle in known:
        out.print(escape(text("audit.summary", **bundle.summary())), soft_wrap=True)
    for bundle in known:
        if not bundle.pinned:
            out.print(escape(text("audit.unpinned", log=bundle.origin)), soft_wrap=True)
    for finding in found:
        problems.print(f"[red]{escape(describe(finding))}[/red]", soft_wrap=True)
    if not found:
        out.print(text("audit.good"))
