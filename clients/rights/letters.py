"""What comes from other parties: tasks become cases here, and answers say what the others have done.

A task becomes a case under its sender's number. The same again is answered the same; another one of that sender under
the number, or one under the number of an own case, is refused and told so. That a third party has used the number first
is no reason to refuse: all parties of a case know its number, and one could keep it from another. The case then has a
number of its own here (`number_here`). An answer counts from the party that was asked, signed by it, and newer than the
last.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec

from clients.home import NodeHome
from clients.rights.cases import KEPT_RESULTS, Case, Locators, Partner, Record, VerifiedBy
from clients.rights.courier import Received, check_answer
from clients.rights.kinds import TOLD
from privacy.clocks import answer_due
from privacy.errors import UnexpectedMessage
from privacy.receipts import tellable
from privacy.rights import CaseNumber, CaseState, Outcome, Requester, Task, TaskAnswer
from privacy.sealing import PublicIdentity

NUMBERS_RECORD: Final = "rights/numbers"
_NUMBER_DIGITS: Final = 32
_NO_ANSWER: Final = frozenset({CaseState.COMPLETED, CaseState.PARTIAL, CaseState.REJECTED})
"""The states that an answer may tell."""


def digest_of(task: Task) -> str:
    """SHA-256 of a task, hexadecimal."""
    return hashlib.sha256(msgspec.msgpack.encode(task)).hexdigest()


def numbers_key(home: NodeHome) -> bytes:
    """What `other_number` makes numbers with: 32 bytes that nobody else has, so that nobody takes those beforehand."""
    return home.vault.keep(NUMBERS_RECORD, secrets.token_bytes(32))


def other_number(key: bytes, party: str, number: CaseNumber) -> CaseNumber:
    """What a party's case is called here when its number is taken: HMAC-SHA256 of both, cut to 128 bits."""
    return hmac.digest(key, f"{party}|{number}".encode(), "sha256").hex()[:_NUMBER_DIGITS]


def number_here(known: Mapping[str, Case], party: str, task: Task, key: bytes) -> CaseNumber:
    """What the case of a task is called here: as its sender calls it, unless a third party's case is called so."""
    other, holder = other_number(key, party, task.case), known.get(task.case)
    is_taken = holder is not None and holder.origin not in ("", party)
    return other if is_taken or other in known else task.case


def case_of(party: str, task: Task, now: datetime, number: CaseNumber | None = None) -> Case:
    """A new case for a task. It is due when the first party has to answer, or from today on, whichever is earlier.

    number: what it is called here, if not as in the task. Raises `UnexpectedMessage` for a kind of request that stays
    with the party at whose door it was filed.
    """
    if task.kind not in TOLD:
        raise UnexpectedMessage("rights_task_kind", party=party)
    return Case(
        number=number or task.case,
        origin=party,
        kind=task.kind,
        state=CaseState.IDENTIFIED,
        requester=Requester.SUBJECT,
        received=now,
        due=min(task.due, answer_due(now.astimezone().date())),
        updated=now,
        wake=now,
        record=Record(
            purpose=task.purpose,
            identified=True,
            verified_by=VerifiedBy.PARTY,
            task=digest_of(task),
            called="" if number in (None, task.case) else task.case,
            reached={CaseState.RECEIVED: now, CaseState.IDENTIFIED: now},
        ),
        locators=Locators(shared=task.rows),
    )


def check_repeated(case: Case, party: str, task: Task) -> None:
    """Raises `UnexpectedMessage` unless it is the very task that the case was made for."""
    if case.origin != party or case.record.task != digest_of(task):
        raise UnexpectedMessage("rights_task_conflict", party=party)


def refusal_of(own: str, task: Task, now: datetime) -> TaskAnswer:
    """What a party hears of a task that was refused."""
    return TaskAnswer(case=task.case, party=own, at=now, state=CaseState.REJECTED, outcomes=())


def outcomes_for_others(case: Case) -> tuple[Outcome, ...]:
    """What the party that has asked hears: what may be told at all, and no day that was reckoned from the row.

    The law is named, for the subject has to hear it (PIPL 47).
    """
    duty = case.record.duty
    outcomes = tellable(case.record.outcomes)
    if duty is not None and duty.is_fixed:
        return outcomes
    return tuple(msgspec.structs.replace(one, until=None) for one in outcomes)


def with_answer(
    case: Case | None, letter: Received, answer: TaskAnswer, keys: Mapping[str, PublicIdentity]
) -> Case | None:
    """The case with a party's answer; None when it tells nothing new.

    Raises `UnexpectedMessage` for an answer of a party that was not asked, or that it cannot be an answer,
    `SignatureInvalid` for one that the party has not signed.
    """
    partners = {} if case is None else case.record.partners
    if case is None or case.origin or answer.party != letter.party or letter.party not in partners:
        raise UnexpectedMessage("rights_answer_unasked", party=letter.party)
    if answer.state not in _NO_ANSWER or letter.party not in keys:
        raise UnexpectedMessage("rights_answer_unasked", party=letter.party)
    check_answer(keys[letter.party], answer, letter.signature)
    before = partners[letter.party]
    if before.answer is not None and before.answer.at >= answer.at:
        return None
    if before.is_done and not _ends_keeping(before, answer):
        return None
    told = Partner(sent=before.sent, answer=answer, signature=letter.signature, outcomes=answer.outcomes)
    record = msgspec.structs.replace(case.record, partners={**partners, letter.party: told})
    return msgspec.structs.replace(case, record=record)


def _ends_keeping(before: Partner, answer: TaskAnswer) -> bool:
    """Whether a party that was done, and had kept something, has looked at that again (`clients.rights.kept`)."""
    was_kept = any(one.result in KEPT_RESULTS for one in before.outcomes)
    is_done = answer.state is CaseState.COMPLETED and not any(one.is_open for one in answer.outcomes)
    return was_kept and is_done and not before.left


def keys_of(home: NodeHome) -> Mapping[str, PublicIdentity]:
    """The members of the federation with their keys, without this one; nobody before the node has joined."""
    if not home.roster_file.exists():
        return {}
    return {
        party.name: PublicIdentity.from_text(party.identity)
        for party in home.roster.parties
        if party.name != home.settings.name
    }


def numbers_in(letters: Sequence[Received], key: bytes) -> list[str]:
    """What the cases that letters are about may be called here, each once."""
    found = dict.fromkeys(letter.message.case for letter in letters)
    tasks = (letter for letter in letters if isinstance(letter.message, Task))
    return list(found | dict.fromkeys(other_number(key, one.party, one.message.case) for one in tasks))
