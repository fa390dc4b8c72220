"""Saying yes or no to a proposed job, by a person or by this node's policy, and holding sessions to what was said.

A word goes into the audit log first (PIPL 51: who decides is on record), then signed into the outbox. Where a person
decides (`approves = "person"`), a yes holds until its day, for the very job, and only as long as the policy, the
installed code and everybody's keys are those under which it was given: what would leave might be another thing under
others, or go to somebody else.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from clients.approvals.inbox import Decision, Held, Inbox
from clients.approvals.review import Review, review
from clients.gate.policy import active_policy
from clients.home import NodeHome
from federation.bundle import installed_digest
from federation.jobs import Job
from federation.pace import utc_now
from federation.proposals import LONGEST_WORD, DecidedBy, Word, sign_word
from privacy.audit import EventType, is_name
from privacy.errors import ConfigInvalid, Denied, InputError, StateConflict
from privacy.reasons import Finding, Findings, Reason

log = logging.getLogger("silhouette.approvals")

HOLDS_DAYS: Final = 7
"""For how long a yes holds where nobody says another time: long enough for a job to be repaired and run again."""
_OPERATOR: Final = "operator"
_NODE: Final = "node"


def approve(
    home: NodeHome,
    number: str,
    *,
    digest: str,
    policy: str,
    days: int = HOLDS_DAYS,
    who: str = "",
    note: str = "",
) -> Decision:
    """A person says yes to what they were shown. digest, policy: of the job and of the policy in force, as the review
    had them (`Review.proposal.digest`, `Review.policy`); who, note: stay at this node.

    Raises `NotFound`, `StateConflict` for a proposal that is over or is another than was shown, `ConfigInvalid` for
    days that are too many, and what stands against the job: `Denied` with all findings of the gate, or another refusal.
    """
    if not 1 <= days <= LONGEST_WORD.days:
        raise ConfigInvalid("proposal_days", maximum=LONGEST_WORD.days)
    inbox = Inbox(home)
    with inbox.changing():
        seen = _seen(home, inbox.get(number))
        if (seen.proposal.digest, seen.policy) != (digest, policy):
            raise StateConflict("proposal_changed", name=number)
        seen.refuse()
        return _say(home, inbox, seen, approved=True, days=days, by=DecidedBy.PERSON, who=who, note=note)


def deny(home: NodeHome, number: str, *, who: str = "", note: str = "") -> Decision:
    """A person says no: no session of the job begins here from now on, and one that runs ends.

    It counts whatever was said before. The others are told the codes of what the gate says, if it says anything.
    Raises `NotFound`, `StateConflict`.
    """
    inbox = Inbox(home)
    with inbox.changing():
        seen = _seen(home, inbox.get(number))
        return _say(home, inbox, seen, approved=False, codes=seen.codes, who=who, note=note)


def answer_by_policy(home: NodeHome) -> list[Decision]:
    """Answer every proposal that has no word yet by what the gate says now, and where the policy's word was given to
    others' keys than they have now. What fails is left for another time.

    Raises `LogUnavailable`.
    """
    inbox, answered = Inbox(home), []
    for held in inbox.all():
        if not _wants_policy(home, inbox, held):
            continue
        try:
            with inbox.changing():
                seen = _seen(home, held)
                codes = (*seen.codes, *missing_approval(home, seen.job).codes)
                if _wants_policy(home, inbox, held):
                    by = DecidedBy.POLICY
                    answered.append(_say(home, inbox, seen, approved=not codes, codes=codes, by=by))
        except InputError as error:
            log.warning("proposal %s is not answered: %s", held.proposal.number, error.code)
    return answered


def missing_approval(home: NodeHome, job: Job) -> Findings:
    """Why no session of a job may begin here for want of somebody's yes; empty where it may.

    Where the policy decides, only a person's no stands in the way; a person's last word on the same job counts, under
    whatever number it was proposed.
    """
    last = _last_by_a_person(home, job)
    needs_yes = home.settings.approves is DecidedBy.PERSON
    if last is None:
        is_missing = needs_yes
    elif last.word.approved:
        is_missing = needs_yes and not _still_holds(home, last, job)
    else:
        is_missing = True
    return Findings.of([Finding(Reason.JOB_NOT_APPROVED, job.name)] if is_missing else [])


def taken_back(home: NodeHome, job: Job) -> Findings:
    """Why a session that runs has to end: a person's last word on its job is a no. Empty where there is none."""
    last = _last_by_a_person(home, job)
    is_denied = last is not None and not last.word.approved
    return Findings.of([Finding(Reason.JOB_NOT_APPROVED, job.name)] if is_denied else [])


def _last_by_a_person(home: NodeHome, job: Job) -> Decision | None:
    """What somebody here has said last on this very job, under whatever number."""
    said = [one for one in Inbox(home).decisions() if one.word.by is DecidedBy.PERSON]
    return next((one for one in reversed(said) if one.word.digest == job.digest), None)


def _wants_policy(home: NodeHome, inbox: Inbox, held: Held) -> bool:
    said = inbox.decision(held.proposal.number)
    if said is None:
        return True
    is_renewed = said.word.by is DecidedBy.POLICY and said.word.approved
    return is_renewed and said.keys != _keys_of(home, held.proposal.job_for(home.settings.name))


def _still_holds(home: NodeHome, said: Decision, job: Job) -> bool:
    try:
        policy = active_policy(home).digest
    except Denied:
        return False
    word = said.word
    is_same = word.policy == policy and word.code == installed_digest() and said.keys == _keys_of(home, job)
    return word.holds_at(utc_now()) and is_same


def _keys_of(home: NodeHome, job: Job) -> str:
    """SHA-256 of the keys of the coordinator and of the job's parties in this node's roster, in hexadecimal."""
    roster = home.roster
    parties = sorted((one.name, one.identity) for one in roster.parties if one.name in job.roles.all)
    return hashlib.sha256(msgspec.json.encode((roster.coordinator, parties))).hexdigest()


def _seen(home: NodeHome, held: Held) -> Review:
    if held.proposal.is_over(utc_now()):
        raise StateConflict("proposal_over", name=held.proposal.number)
    return review(home, held.proposal)


def _say(
    home: NodeHome,
    inbox: Inbox,
    seen: Review,
    *,
    approved: bool,
    codes: Sequence[str] = (),
    days: int = HOLDS_DAYS,
    by: DecidedBy = DecidedBy.PERSON,
    who: str = "",
    note: str = "",
) -> Decision:
    now, proposal = utc_now(), seen.proposal
    last = max((one.word.revision for one in inbox.decisions()), default=0)
    word = Word(
        number=proposal.number,
        digest=proposal.digest,
        party=seen.party,
        approved=approved,
        # By the clock, so that a node that was restored from a copy goes on above what it had said since; and above
        # every word, so that the last one counts when the clock has been set back.
        revision=max(_milliseconds(now), last + 1),
        made=now,
        until=now + timedelta(days=days),
        policy=seen.policy,
        code=installed_digest(),
        by=by,
        reasons=tuple(dict.fromkeys(codes)),
    )
    _note(home, word)
    signed = sign_word(word, home.identity, home.roster.coordinator)
    decision = Decision(
        word=word,
        signed=signed,
        job=seen.job.name,
        purpose=seen.job.purpose,
        keys=_keys_of(home, seen.job),
        who=who,
        note=note,
    )
    inbox.keep(decision)
    return decision


def _note(home: NodeHome, word: Word) -> None:
    """Into the log. Raises `LogUnavailable`: what cannot be recorded is not said."""
    home.audit.append(
        EventType.JOB_APPROVED if word.approved else EventType.JOB_REFUSED,
        actor=_OPERATOR if word.by is DecidedBy.PERSON else _NODE,
        job=word.digest,
        artefact=word.number if is_name(word.number) else "",
        policy=word.policy,
        reasons=tuple(code for code in word.reasons if code.startswith("R-")),
    )


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
