"""`silhouette-node request receipt | verify-receipt | register`: for the officer who hands a receipt over, for whoever
holds one, and for the auditor.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from federation.terminal import EXIT_INPUT, out, print_json, problems
from privacy.errors import ConfigInvalid
from privacy.texts import text

HomeOption = Annotated[Path, typer.Option("--home", help=text("node.option_home"))]
JsonOption = Annotated[bool, typer.Option("--json", help=text("terminal.option_json"))]


def add_receipt_commands(app: typer.Typer) -> None:
    """The three commands, for the group of requests."""
    app.command("receipt", help=text("receipts.help_receipt"))(hand_over)
    app.command("verify-receipt", help=text("receipts.help_verify"))(verify_receipt)
    app.command("register", help=text("receipts.help_register"))(show_register)
    app.command("copy", help=text("copies.help_copy"))(hand_out)


def hand_over(
    number: str,
    home: HomeOption,
    to: Annotated[Path, typer.Option("--to", help=text("receipts.option_to"))],
    page: Annotated[Path | None, typer.Option("--page", help=text("receipts.option_page"))] = None,
    keep: Annotated[bool, typer.Option("--keep", help=text("receipts.option_keep"))] = False,
) -> None:
    """The receipt holds the subject's key: once it is handed over, the node's own copy goes."""
    from clients.home import NodeHome
    from clients.rights import receipts
    from federation.files import replace_file

    opened = NodeHome.open(home)
    data = receipts.kept(opened, number)
    if data is None:
        raise ConfigInvalid("receipt_not_kept", case=number)
    if page is not None:
        replace_file(page, receipts.page(data).encode(), secret=True)
    replace_file(to, data, secret=True)
    if not keep:
        receipts.drop(opened, number)
    out.print(escape(text("receipts.handed_over", file=to)), soft_wrap=True)


def verify_receipt(
    file: Path,
    keys: Annotated[Path | None, typer.Option("--keys", help=text("receipts.option_keys"))] = None,
    fingerprints: Annotated[
        list[str] | None, typer.Option("--fingerprint", help=text("audit.option_fingerprint"))
    ] = None,
    as_json: JsonOption = False,
) -> None:
    from federation.audit_bundle import describe, read_receipt

    data = _bytes_of(file)
    pins = {} if keys is None else _pins(keys, set(read_receipt(data).keys))
    for item in fingerprints or ():
        name, _, pin = item.partition("=")
        pins[name] = pin
    found = read_receipt(data, pins, file.name)
    if as_json:
        findings = [finding._asdict() for finding in found.findings]
        print_json({**found.summary(), "pinned": found.pinned, "findings": findings})
    else:
        if found.keys:
            out.print(escape(text("receipts.summary", **found.summary())), soft_wrap=True)
            if not found.pinned:
                out.print(escape(text("audit.unpinned", log=found.origin)), soft_wrap=True)
        for finding in found.findings:
            problems.print(f"[red]{escape(describe(finding))}[/red]", soft_wrap=True)
        if not found.findings:
            out.print(text("audit.good"))
    if found.findings:
        raise typer.Exit(1)


def show_register(
    home: HomeOption,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help=text("receipts.option_csv"))] = False,
) -> None:
    import sys

    from clients.home import NodeHome
    from clients.rights.register import as_csv as table_of
    from clients.rights.register import register

    found = register(NodeHome.open(home))
    if as_json:
        print_json(found)
        return
    if as_csv:
        sys.stdout.write(table_of(found))
        return
    for case in found.cases:
        line = text(
            "receipts.register_line",
            case=case.case,
            state=text(f"receipts.state.{case.state}"),
            received=case.received,
            due=case.due,
        )
        out.print(escape(line), soft_wrap=True)
    out.print(text("receipts.register_sums", **found.sums()), soft_wrap=True)


def hand_out(
    number: str,
    home: HomeOption,
    to: Annotated[Path, typer.Option("--to", help=text("copies.option_to"))],
    as_json: JsonOption = False,
) -> None:
    from clients.home import NodeHome
    from clients.rights import copies
    from federation.files import replace_file

    found = copies.read(NodeHome.open(home), number)
    to.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, content in found.items():
        replace_file(to / name, content, secret=True)
    copies.remove(NodeHome.open(home), number)
    if as_json:
        print_json({"files": sorted(found)})
    else:
        out.print(text("copies.handed", count=len(found), folder=to), soft_wrap=True)


def _pins(file: Path, names: set[str]) -> dict[str, str]:
    """Fingerprints of those parties of a federation that a receipt names; the others have signed nothing in it."""
    from federation.roster import Roster, from_json

    known = from_json(_bytes_of(file), Roster, str(file)).identities("")
    strangers = names - known.keys()
    if strangers:
        problems.print(text("receipts.strangers", party=", ".join(sorted(strangers))))
        raise typer.Exit(EXIT_INPUT)
    return {name: key.fingerprint for name, key in known.items() if name in names}


def _bytes_of(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        raise ConfigInvalid("file_missing", file=file) from None
