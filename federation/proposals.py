"""Jobs that somebody at the coordinator proposes, and what each party says to them. Sans-I/O.

Parties   The coordinator, and the parties of the job; who is in no job sees none of it.
Rounds    Coordinator -> party: the proposals that concern it. Party -> coordinator: one signed word on each.
What each party learns
          Party: the whole job, the role of whoever proposed it, and how the others' words stand, without their reasons.
          Coordinator: yes or no, by a person or by the party's policy, under which policy and code and until when; for
          a no the codes of the reasons. No person's name, and nothing of any row.
Source    PIPL 51 (who decides about processing has the permission to) and 20 (joint handlers agree on each use).
Deviations
          None.
Equals    Signing the same sheet of paper.
Cost      Some 0.2 ms for a word at either end.

A word is about the SHA-256 of the job's own bytes: a coordinator that runs another job than the one it has shown has
nobody's word for it. It is signed for one coordinator, and a later one of the same party on the same proposal has a
higher `revision`.
What it does not promise. A word that holds until a day holds for every run of that job until then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from federation.jobs import Job, Name, decode_job, encode_job
from federation.post_messages import MAX_ANSWER_BYTES
from federation.roles import Disclosure, Disclosures
from federation.signed_records import open_record, sign_record
from privacy.access import Role
from privacy.errors import MessageInvalid, UnexpectedMessage
from privacy.sealing import Identity, PublicIdentity

DOMAIN: Final = "silhouette word on a job v1"
MAX_JOB_BYTES: Final = 64 << 10
"""Of a proposed job: a thousand fields of sixty letters."""
MAX_PROPOSALS: Final = 100
"""Open ones of one party; with the largest jobs they still fit one answer (`MAX_ANSWER_BYTES`)."""
MAX_PARTIES: Final = 64
MAX_WORD_BYTES: Final = 16 << 10
MAX_CODES: Final = 64
LONGEST_WORD: Final = timedelta(days=90)
"""For how long somebody may say yes at once (our choice): what a job needs is looked at again at times."""

Number = Annotated[str, Meta(pattern=r"^J-[A-Z2-7]{8}\Z")]
"""Of a proposal."""
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Code = Annotated[str, Meta(pattern=r"^(R(-[A-Z]+)+|[a-z][a-z_]{0,47})\Z")]
"""Of a reason (`privacy.reasons`) or of an error (`privacy.errors`): a word of ours, never a sentence of somebody's."""
Moment = Annotated[datetime, Meta(tz=True)]
Revision = Annotated[int, Meta(ge=1, lt=2**53)]


class JobState(StrEnum):
    """How far a job is: the first three are open, the others its ends."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"
    REFUSED = "refused"
    EXPIRED = "expired"


OPEN_STATES: Final = frozenset({JobState.PROPOSED, JobState.APPROVED, JobState.RUNNING})


class Standing(StrEnum):
    """How one party's word stands, as the others are told."""

    WAITING = "waiting"
    APPROVED = "approved"
    REFUSED = "refused"


class DecidedBy(StrEnum):
    """Who has said a word: somebody at the party, or its node by what its policy says."""

    PERSON = "person"
    POLICY = "policy"


class Proposal(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="type",
    tag="desk.proposal/1",
):
    """Coordinator -> party: a job that is to run. job: its canonical bytes; expires: when words are too late;
    words: how every party's word stands.
    """

    number: Number
    job: Annotated[bytes, Meta(max_length=MAX_JOB_BYTES)]
    proposer: Role
    proposed: Moment
    expires: Moment
    state: JobState = JobState.PROPOSED
    words: Annotated[dict[Name, Standing], Meta(max_length=MAX_PARTIES)] = {}

    @property
    def digest(self) -> str:
        """Of the job: `Job.digest` of what it decodes to."""
        return hashlib.sha256(self.job).hexdigest()

    def job_for(self, party: str) -> Job:
        """The job, checked. Raises `ConfigInvalid` for one that is none or in which the party takes no part, and
        `MessageInvalid` for bytes that are not canonical, whose digest would be no job's.
        """
        job = decode_job(self.job)
        job.plan_of(party)
        if encode_job(job) != self.job:
            raise MessageInvalid("desk_record")
        return job

    def is_over(self, now: datetime) -> bool:
        """Whether nobody's word is waited for any more: it has ended, or has expired before all had answered."""
        return self.state not in OPEN_STATES or (self.state is JobState.PROPOSED and self.expires <= now)


class Proposals(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="desk.proposals/1"
):
    """All proposals that a party should know of now. version: of this list (`version_of`)."""

    version: Digest
    proposals: Annotated[tuple[Proposal, ...], Meta(max_length=MAX_PROPOSALS)] = ()


class Word(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="type",
    tag="desk.word/1",
):
    """Party -> coordinator: what it says to one proposal.

    digest: of the job; made, until: from when and how long a yes holds; policy: digest of the party's policy in force,
    empty where there was none; code: digest of its installed code; reasons: codes of a no.
    """

    number: Number
    digest: Digest
    party: Name
    approved: bool
    revision: Revision
    made: Moment
    until: Moment
    policy: Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?\Z")]
    code: Digest
    by: DecidedBy
    reasons: Annotated[tuple[Code, ...], Meta(max_length=MAX_CODES)] = ()

    def holds_at(self, now: datetime) -> bool:
        """Whether it is a yes that has not ended."""
        return self.approved and now < self.until


DISCLOSES: Final = Disclosures(
    "proposals",
    label_holder=(
        Disclosure("jobs", ("desk.proposals/1", "desk.proposal/1")),
        Disclosure("standings", ("desk.proposals/1", "desk.proposal/1")),
    ),
    feature_holder=(
        Disclosure("jobs", ("desk.proposals/1", "desk.proposal/1")),
        Disclosure("standings", ("desk.proposals/1", "desk.proposal/1")),
    ),
    coordinator=(Disclosure("words", ("desk.word/1",)),),
)
"""What is told before a job begins; the job's own protocols declare the rest."""

_PROPOSALS: Final = msgspec.msgpack.Decoder(Proposals)
_WORD: Final = msgspec.msgpack.Decoder(Word)


def version_of(proposals: Sequence[Proposal]) -> str:
    """SHA-256 of a list of proposals, in hexadecimal: another one as soon as anything of it has changed."""
    return hashlib.sha256(msgspec.msgpack.encode(tuple(proposals), order="deterministic")).hexdigest()


def encode_proposals(proposals: Sequence[Proposal]) -> bytes:
    """The coordinator's answer. Raises `MessageInvalid` for a list that no answer has room for."""
    data = msgspec.msgpack.encode(Proposals(version_of(proposals), tuple(proposals)))
    if len(proposals) > MAX_PROPOSALS or len(data) > MAX_ANSWER_BYTES:
        raise MessageInvalid("desk_record_large", limit=MAX_ANSWER_BYTES)
    return data


def decode_proposals(data: bytes) -> Proposals:
    """Inverse of `encode_proposals`, checked. Raises `MessageInvalid`."""
    try:
        found = _PROPOSALS.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise MessageInvalid("desk_record") from None
    numbers = {proposal.number for proposal in found.proposals}
    if len(numbers) < len(found.proposals) or version_of(found.proposals) != found.version:
        raise MessageInvalid("desk_record")
    return found


def sign_word(word: Word, identity: Identity, coordinator: str) -> bytes:
    """The word as it is sent. coordinator: its public keys as the roster has them."""
    return sign_record(word, identity, DOMAIN, coordinator, MAX_WORD_BYTES)


def open_word(signed: bytes, party: str, identity: PublicIdentity, coordinator: str) -> Word:
    """A word of this party, spoken to this coordinator.

    Raises `SignatureInvalid`, `MessageInvalid`, and `UnexpectedMessage` for a word in another party's name.
    """
    word = open_record(signed, _WORD, identity, DOMAIN, coordinator, MAX_WORD_BYTES)
    if word.party != party:
        raise UnexpectedMessage("desk_other_party", sender=party)
    if word.until - word.made > LONGEST_WORD:
        raise MessageInvalid("desk_record")
    return word


def standings(parties: Sequence[str], words: Mapping[str, Word], now: datetime) -> dict[str, Standing]:
    """How the words of a job's parties stand; a yes that has ended counts as none."""
    found = {}
    for party in parties:
        word = words.get(party)
        if word is None or (word.approved and not word.holds_at(now)):
            found[party] = Standing.WAITING
        else:
            found[party] = Standing.APPROVED if word.approved else Standing.REFUSED
    return found
