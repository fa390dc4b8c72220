"""The receipts of a node's own cases: made when a case has ended, kept sealed until the subject has had them.

What a receipt needs of a subject (its key, who used its data last) is gone when the case has ended: `prepare` keeps it
sealed from before anything is deleted, `issue` uses it up. A receipt holds the subject's key, so the node keeps it for
`KEPT_DAYS` only; the log has its digest for ever.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from clients.consents.rows import as_tokens
from clients.consents.subjects import sref
from clients.forgetting.cards import ModelState, cards
from clients.gate.policy import active_policy
from clients.home import NodeHome
from clients.rights.absences import last_snapshots, proofs_of
from clients.rights.wording import Wording, render
from federation.audit_log import AuditLog
from federation.pace import today, utc_now
from privacy.audit import EventType
from privacy.checkpoints import Checkpoint, Cosignature
from privacy.errors import ConfigInvalid, Denied
from privacy.policy import Contact
from privacy.receipts import (
    AffectedModel,
    CaseSection,
    CheckpointSection,
    Complaint,
    Opening,
    PartyAnswer,
    ProvedAbsence,
    ProvedEvent,
    Receipt,
    Reference,
    digest,
    read,
    sign,
    tellable,
)
from privacy.rights import Artefact, CaseNumber, CaseState, Outcome

if TYPE_CHECKING:
    from clients.rights.cases import Case

log = logging.getLogger("silhouette.rights")

RIGHTS: Final = "rights"
"""The project of the log's names for subjects in events of cases."""
KEPT_DAYS: Final = 30
_RECEIPT: Final = "rights/receipt/"
_OPENING: Final = "rights/opening/"
_OTHER_PROJECTS: Final = ("restrictions", "lending")
_YEARLESS: Final = 0
_PLANS: Final = {
    ModelState.ACTIVE: "kept",
    ModelState.TAINTED: "relearn",
    ModelState.SUPERSEDED: "retired",
    ModelState.RETIRED: "retired",
}
"""What is told of a model by its state (`receipts.plan` in the texts)."""


class ReceiptCase(msgspec.Struct, frozen=True, kw_only=True):
    """What a receipt says of a case. answers: of the parties that were told; reached: when which state was."""

    section: CaseSection
    outcomes: tuple[Outcome, ...] = ()
    answers: tuple[PartyAnswer, ...] = ()
    models: tuple[AffectedModel, ...] = ()


class Prepared(msgspec.Struct, frozen=True):
    """A subject's key, 16 bytes, and the sessions whose matching held it: their models may have learnt from it."""

    key: bytes
    sessions: tuple[str, ...] = ()


def receipt_case(case: Case, party: str, models: Sequence[AffectedModel] = ()) -> ReceiptCase:
    """A case of the engine as a receipt tells it. party: this one."""
    record, reached = case.record, case.record.reached
    section = CaseSection(
        number=case.number,
        party=party,
        kind=case.kind,
        requester=case.requester,
        state=case.state,
        received=case.received,
        due=case.due,
        restricted=reached.get(CaseState.RESTRICTED),
        completed=case.updated if case.is_ended else None,
        purpose=record.purpose,
        reasons=tuple(item.reason.value for item in record.findings),
    )
    answers = tuple(
        PartyAnswer(party=name, answer=one.answer, signature=one.signature)
        for name, one in sorted(record.partners.items())
    )
    return ReceiptCase(
        section=section, outcomes=tellable(record.outcomes), answers=answers, models=tuple(models)
    )


def prepare(
    home: NodeHome,
    subjects: Mapping[CaseNumber, bytes],
    sessions: Mapping[CaseNumber, Iterable[str]] | None = None,
) -> None:
    """Keep the keys of these cases' subjects until the receipts have been made. subjects: the token of each, 16 bytes;
    sessions: whose matching holds it.

    To be called before the subject's own entry is deleted; calling it again does no harm. A subject that the node does
    not know does not become known.
    """
    if not subjects:
        return
    tokens = as_tokens(list(subjects.values()))
    known = home.consents.known(tokens)
    numbers = np.array(list(subjects))[known].tolist()
    for number, key in zip(numbers, home.consents.openings(tokens[known]), strict=True):
        held = tuple(sorted(set((sessions or {}).get(number, ()))))
        home.vault.keep(_OPENING + number, msgspec.msgpack.encode(Prepared(key.tobytes(), held)))


def prepared(home: NodeHome) -> list[CaseNumber]:
    """The cases whose subjects' keys are kept: their receipts have not been made yet."""
    return [name.removeprefix(_OPENING) for name in home.vault.names(_OPENING)]


def issue(home: NodeHome, cases: Sequence[ReceiptCase]) -> dict[CaseNumber, bytes]:
    """Make the receipts of cases that have ended, log and keep them; by number.

    The keys that `prepare` kept are destroyed. A case without one gets a receipt with its own events alone. Reads the
    log once, however many cases there are. What would tell what the law keeps confidential is not made.
    """
    kept_keys = {case.section.number: _prepared(home, case.section.number) for case in cases}
    openings = {number: _opening(home, one) for number, one in kept_keys.items()}
    found, snapshots = _events_of(home.audit, openings), last_snapshots(home)
    made: dict[CaseNumber, bytes] = {}
    for case in cases:
        number, opening = case.section.number, openings[case.section.number]
        is_restricted = case.section.restricted is not None
        absences = proofs_of(snapshots, opening) if is_restricted else ()
        told = _with_models(home, case, kept_keys[number])
        try:
            receipt = _assembled(home, told, opening, found[number], absences)
        except ConfigInvalid as error:  # one that may not be told keeps nobody else from a receipt
            log.error("case %s has no receipt: %s", number, error.key)
            spend(home, number)
            continue
        made[number] = _keep(home, receipt)
        spend(home, number)
    return made


def kept(home: NodeHome, number: CaseNumber) -> bytes | None:
    """The receipt of a case, as long as it is kept. Where witnesses have cosigned since, it comes with that, anew."""
    try:
        data = home.vault.get(_RECEIPT + number)
    except Denied:  # its time is over, and it has not been swept yet
        return None
    if data is None:
        return None
    receipt = read(data)
    last = max((msgspec.json.decode(item.event)["seq"] for item in receipt.events), default=-1)
    if receipt.checkpoint.cosignatures or not _cosigned(home.audit, last + 1):
        return data
    lines = {msgspec.json.decode(item.event)["seq"]: item.event for item in receipt.events}
    checkpoint, events = _proved(home.audit, lines)
    keys = _keys(home, checkpoint, receipt.answers)
    return _keep(home, msgspec.structs.replace(receipt, checkpoint=checkpoint, events=events, keys=keys))


def drop(home: NodeHome, number: CaseNumber) -> None:
    """The subject has its receipt: the node's copy goes, and with it the last copy of the subject's key here."""
    spend(home, number)  # first: with the key alone there, the receipt would be made once more
    home.vault.remove_one(_RECEIPT + number)


def spend(home: NodeHome, number: CaseNumber) -> None:
    """The receipt has been made: the key that `prepare` kept goes, should a kill have left it there."""
    home.vault.remove_one(_OPENING + number)


def page(data: bytes, language: str | None = None) -> str:
    """A receipt for reading and printing. Raises `MessageInvalid` for a file that is none."""
    return render("clients.rights", "receipt.html.j2", Wording(language), receipt=read(data), days=KEPT_DAYS)


def _keep(home: NodeHome, receipt: Receipt) -> bytes:
    data, number = sign(receipt, home.identity), receipt.case.number
    home.audit.append(
        EventType.DSR_RECEIPT_ISSUED, actor="node", artefact=number, digests={"receipt": digest(data)}
    )
    home.vault.put(_RECEIPT + number, data, days=KEPT_DAYS)
    return data


def _prepared(home: NodeHome, number: CaseNumber) -> Prepared | None:
    data = home.vault.get(_OPENING + number)
    return None if data is None else msgspec.msgpack.decode(data, type=Prepared)


def _with_models(home: NodeHome, case: ReceiptCase, known: Prepared | None) -> ReceiptCase:
    """The case with the models that its subject's row took part in, where it is about models at all."""
    if known is None or case.models or not any(one.artefact is Artefact.MODEL for one in case.outcomes):
        return case
    found = [
        AffectedModel(
            model=card.number, kind=card.kind, plan=_PLANS[card.state(today())], until=card.deadline
        )
        for session in known.sessions
        for card in cards(home, session)
    ]
    return msgspec.structs.replace(case, models=tuple(found))


def _opening(home: NodeHome, known: Prepared | None) -> Opening:
    if known is None:
        return Opening()
    projects = [RIGHTS, *_OTHER_PROJECTS]
    with contextlib.suppress(Denied):
        projects += [item.name for item in active_policy(home).purposes]
    first = next(iter(home.audit.events(0, 1)), None)
    start = utc_now().year if first is None else int(first.time[:4])
    years = [_YEARLESS, *range(start, utc_now().year + 1)]
    references = tuple(Reference(project=project, epoch=year) for project in projects for year in years)
    return Opening(key=known.key.hex(), references=references)


def _events_of(log: AuditLog, openings: Mapping[CaseNumber, Opening]) -> dict[CaseNumber, dict[int, str]]:
    """By case: its events and its subject's, as lines by number."""
    owners = {
        sref(bytes.fromhex(opening.key), item.project, item.epoch): number
        for number, opening in openings.items()
        for item in opening.references
    }
    found: dict[CaseNumber, dict[int, str]] = {number: {} for number in openings}
    for line in log.lines():
        event = msgspec.json.decode(line)
        for number in {event.get("artefact", ""), owners.get(event.get("sref", ""), "")} & found.keys():
            found[number][event["seq"]] = line.decode()
    return found


def _assembled(
    home: NodeHome,
    case: ReceiptCase,
    opening: Opening,
    lines: Mapping[int, str],
    absences: tuple[ProvedAbsence, ...],
) -> Receipt:
    checkpoint, events = _proved(home.audit, lines)
    return Receipt(
        case=case.section,
        outcomes=case.outcomes,
        answers=case.answers,
        models=case.models,
        opening=opening,
        events=events,
        checkpoint=checkpoint,
        absences=absences,
        complaint=Complaint(handler=_handler(home)),
        keys=_keys(home, checkpoint, case.answers),
    )


def _proved(log: AuditLog, lines: Mapping[int, str]) -> tuple[CheckpointSection, tuple[ProvedEvent, ...]]:
    """Events with proofs to the first cosigned checkpoint that has them all, or else to a new one."""
    cosigned = _cosigned(log, max(lines, default=-1) + 1)
    made, signed = cosigned[0] if cosigned else (log.checkpoint(), ())
    events = tuple(
        ProvedEvent(event=line, proof=tuple(part.hex() for part in log.inclusion(seq, made.size)))
        for seq, line in sorted(lines.items())
    )
    return CheckpointSection(checkpoint=made, cosignatures=signed), events


def _cosigned(log: AuditLog, size: int) -> list[tuple[Checkpoint, tuple[Cosignature, ...]]]:
    return [(made, signed) for made, signed in log.checkpoints() if made.size >= size and signed]


def _keys(home: NodeHome, checkpoint: CheckpointSection, answers: Iterable[PartyAnswer]) -> dict[str, str]:
    """Public keys of everybody who has signed something; whom the roster does not know stays unknown."""
    known = home.roster.identities(home.settings.name) if home.roster_file.exists() else {}
    signers = {item.witness for item in checkpoint.cosignatures} | {
        item.party for item in answers if item.answer
    }
    found = {name: known[name].to_text() for name in sorted(signers & known.keys())}
    return found | {home.settings.name: home.identity.public.to_text()}


def _handler(home: NodeHome) -> Contact:
    try:
        return active_policy(home).handler
    except Denied:
        return Contact(name=home.settings.name, contact="")
