"""`silhouette-node jobs`: what is proposed to this node, what would leave it, and saying yes or no."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from federation.terminal import make_app, out, print_json
from privacy.errors import ConfigInvalid
from privacy.texts import text

if TYPE_CHECKING:
    from clients.approvals.inbox import Decision, Held
    from clients.home import NodeHome

jobs_app = make_app(text("approvals.help"))

HomeOption = Annotated[Path, typer.Option("--home", help=text("node.option_home"))]
JsonOption = Annotated[bool, typer.Option("--json", help=text("terminal.option_json"))]
NoteOption = Annotated[str, typer.Option(help=text("approvals.option_note"))]
DigestOption = Annotated[str, typer.Option(help=text("approvals.option_digest"))]
PolicyOption = Annotated[str, typer.Option(help=text("approvals.option_policy"))]
DaysOption = Annotated[int, typer.Option(min=1, help=text("approvals.option_days"))]


@jobs_app.command("list", help=text("approvals.help_list"))
def list_all(home: HomeOption, as_json: JsonOption = False) -> None:
    from clients.approvals.inbox import Inbox
    from clients.home import NodeHome

    inbox = Inbox(NodeHome.open(home))
    rows = [(held, inbox.decision(held.proposal.number)) for held in inbox.all()]
    if as_json:
        print_json([_line(held, said) for held, said in rows])
        return
    if not rows:
        out.print(text("approvals.none"))
    for held, said in rows:
        line = _line(held, said)
        word = text(f"approvals.word.{line['word']}")
        shown = text(
            "approvals.line",
            number=line["number"],
            job=line["job"],
            purpose=line["purpose"],
            moment=f"{held.proposal.expires:%Y-%m-%d %H:%M} UTC",
            word=word,
        )
        out.print(escape(shown), soft_wrap=True)


@jobs_app.command("show", help=text("approvals.help_show"))
def show(
    number: str,
    home: HomeOption,
    rows: Annotated[bool, typer.Option("--rows", help=text("approvals.option_rows"))] = False,
    as_json: JsonOption = False,
) -> None:
    from clients.approvals.inbox import Inbox
    from clients.approvals.review import as_lines, as_record, review
    from clients.home import NodeHome

    node = NodeHome.open(home)
    found = review(node, Inbox(node).get(number).proposal, with_rows=rows)
    if as_json:
        print_json(as_record(found))
        return
    for line in as_lines(found):
        out.print(escape(line), soft_wrap=True)


@jobs_app.command("approve", help=text("approvals.help_approve"))
def approve(
    number: str,
    home: HomeOption,
    digest: DigestOption = "",
    policy: PolicyOption = "",
    days: DaysOption = 7,
    note: NoteOption = "",
    as_json: JsonOption = False,
) -> None:
    from clients.approvals.deciding import approve as say_yes
    from clients.home import NodeHome

    node = NodeHome.open(home)
    if not digest and not policy and not as_json:
        digest, policy = _ask(node, number)
    if not digest or not policy:
        raise ConfigInvalid("proposal_unseen", name=number)
    _tell(say_yes(node, number, digest=digest, policy=policy, days=days, note=note), as_json)


def _ask(node: NodeHome, number: str) -> tuple[str, str]:
    """Show the proposal to a person, who says yes or leaves. Returns the digests of what they were shown."""
    from clients.approvals.inbox import Inbox
    from clients.approvals.review import as_lines, review

    found = review(node, Inbox(node).get(number).proposal)
    found.refuse()
    for line in as_lines(found):
        out.print(escape(line), soft_wrap=True)
    typer.confirm(text("approvals.ask"), abort=True)
    return found.proposal.digest, found.policy


@jobs_app.command("deny", help=text("approvals.help_deny"))
def deny(number: str, home: HomeOption, note: NoteOption = "", as_json: JsonOption = False) -> None:
    from clients.approvals.deciding import deny as say_no
    from clients.home import NodeHome

    _tell(say_no(NodeHome.open(home), number, note=note), as_json)


def _tell(decision: Decision, as_json: bool) -> None:
    word = decision.word
    if as_json:
        print_json(
            {
                "number": word.number,
                "digest": word.digest,
                "approved": word.approved,
                "until": word.until.isoformat() if word.approved else None,
                "reasons": list(word.reasons),
            }
        )
    elif word.approved:
        out.print(text("approvals.approved", number=word.number, moment=f"{word.until:%Y-%m-%d %H:%M} UTC"))
    else:
        out.print(text("approvals.denied", number=word.number))


def _line(held: Held, said: Decision | None) -> dict[str, Any]:
    from federation.jobs import decode_job

    proposal = held.proposal
    job = decode_job(proposal.job)
    word = "waiting" if said is None else "approved" if said.word.approved else "refused"
    return {
        "number": proposal.number,
        "digest": proposal.digest,
        "job": job.name,
        "purpose": job.purpose,
        "state": proposal.state.value,
        "proposed": proposal.proposed.isoformat(),
        "expires": proposal.expires.isoformat(),
        "seen": held.seen.isoformat(),
        "word": word,
        "by": None if said is None else said.word.by.value,
        "delivery": None if said is None else said.delivery.value,
        "words": {party: standing.value for party, standing in sorted(proposal.words.items())},
    }
