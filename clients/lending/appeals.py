"""The human route: somebody asks for a person; one who had no part in the rule reviews, and says why (PIPL 24 (3)).

    requested --assign--> assigned --decide--> decided
        \\--withdraw--> withdrawn <--withdraw--/

An appeal names no one: it holds a keyed reference to the subject (`ConsentStore.srefs`), or none, and which grade or
rule of which version of the policy it is about. It is kept sealed in the node's vault; the log hears of its beginning
and of the reviewer's answer. Days are calendar days.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import date, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from msgspec import Meta

from clients.lending.plan import DecisionPolicy
from privacy.audit import EventType
from privacy.errors import ConfigInvalid, ReviewerNotIndependent, SealBroken
from privacy.policy import Digest, Name

if TYPE_CHECKING:
    from clients.home import NodeHome

APPEALS: Final = "lending/appeal/"
"""Vault records of appeals begin so."""
LENDING: Final = "lending"
"""The project of references to subjects in appeals: those in jobs cannot be linked with them."""
KEPT_DAYS: Final = 3 * 366
"""As long as impact assessments and records of processing (PIPL 56), counted from the last change."""
DEFAULT_DAYS: Final = 15
"""Within which an answer is given where the policy says nothing else."""
_NUMBER_BYTES: Final = 16
_LONG_NUMBER: Final = re.compile(r"\d([-\s._]?\d){7}")
"""Eight digits, together or spaced out: a landline number at least."""


class Status(StrEnum):
    """Where an appeal is."""

    REQUESTED = "requested"
    ASSIGNED = "assigned"
    DECIDED = "decided"
    WITHDRAWN = "withdrawn"


class Outcome(StrEnum):
    """What the reviewer decided about the first decision."""

    UPHELD = "upheld"
    CHANGED = "changed"


class Ground(StrEnum):
    """What the review rests on."""

    DATA_CORRECTED = "data_corrected"
    CIRCUMSTANCES = "circumstances"
    POLICY_MISAPPLIED = "policy_misapplied"
    EXCEPTION = "exception"
    CONFIRMED = "confirmed"


class Appeal(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One appeal. number: random, for records; about: the grade's name or the rule's id; policy: its version's digest;
    barred: who set or approved it; due: the last day for the answer; note: the reviewer's words, without identifiers.
    """

    number: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
    policy: Digest
    about: str
    barred: tuple[Name, ...]
    requested: date
    due: date
    sref: Digest = ""
    status: Status = Status.REQUESTED
    reviewer: str = ""
    outcome: Outcome | None = None
    ground: Ground | None = None
    note: str = ""
    closed: date | None = None

    def assign(self, reviewer: Name) -> Appeal:
        """Give it to a reviewer, or to another one. Raises `ReviewerNotIndependent`, `ConfigInvalid`."""
        self._expect(Status.ASSIGNED, Status.REQUESTED, Status.ASSIGNED)
        if reviewer in self.barred or not reviewer:
            raise ReviewerNotIndependent("lending_appeal_reviewer", name=reviewer)
        return msgspec.structs.replace(self, status=Status.ASSIGNED, reviewer=reviewer)

    def decide(self, reviewer: Name, outcome: Outcome, ground: Ground, note: str, today: date) -> Appeal:
        """The reviewer's decision. Raises `ReviewerNotIndependent` for anybody else, `ConfigInvalid`."""
        self._expect(Status.DECIDED, Status.ASSIGNED)
        if reviewer != self.reviewer or reviewer in self.barred:
            raise ReviewerNotIndependent("lending_appeal_reviewer", name=reviewer)
        if _LONG_NUMBER.search(note):
            raise ConfigInvalid("lending_appeal_note")
        return msgspec.structs.replace(
            self, status=Status.DECIDED, outcome=outcome, ground=ground, note=note, closed=today
        )

    def withdraw(self, today: date) -> Appeal:
        """The subject takes it back. Raises `ConfigInvalid` for one that is decided."""
        self._expect(Status.WITHDRAWN, Status.REQUESTED, Status.ASSIGNED)
        return msgspec.structs.replace(self, status=Status.WITHDRAWN, closed=today)

    def is_overdue(self, today: date) -> bool:
        """Whether the answer is late."""
        return self.closed is None and today > self.due

    def _expect(self, next_status: Status, *allowed: Status) -> None:
        if self.status not in allowed:
            raise ConfigInvalid("lending_appeal_state", status=self.status.value, expected=next_status.value)


def request(plan: DecisionPolicy, about: str, today: date, sref: str = "") -> Appeal:
    """A new appeal against what a grade or a rule of a policy led to. Raises `ConfigInvalid` for an unknown one."""
    grade, rule = plan.grade(about), plan.rule(about)
    if grade is None and rule is None:
        raise ConfigInvalid("lending_appeal_rule", name=about)
    route = None if grade is None else grade.human_route
    signed = plan if rule is None else rule
    return Appeal(
        number=secrets.token_hex(_NUMBER_BYTES),
        policy=plan.digest,
        about=about,
        barred=(signed.set_by, signed.approved_by),
        requested=today,
        due=today + timedelta(days=DEFAULT_DAYS if route is None else route.days),
        sref=sref,
    )


class AppealDesk:
    """The appeals of one node: every change stored, beginning and answer in the audit log before that."""

    def __init__(self, home: NodeHome) -> None:
        self._home = home

    def request(self, plan: DecisionPolicy, about: str, today: date, sref: str = "") -> Appeal:
        """Take an appeal; see `request`."""
        made = request(plan, about, today, sref)
        self._log(EventType.ADM_REFUSED_BY_SUBJECT, made)
        return self._put(made)

    def assign(self, number: str, reviewer: Name) -> Appeal:
        """See `Appeal.assign`."""
        return self._put(self.get(number).assign(reviewer))

    def decide(
        self, number: str, reviewer: Name, outcome: Outcome, ground: Ground, note: str, today: date
    ) -> Appeal:
        """See `Appeal.decide`."""
        decided = self.get(number).decide(reviewer, outcome, ground, note, today)
        days = (today - decided.requested).days
        self._log(
            EventType.ADM_HUMAN_REVIEWED,
            decided,
            numbers={"days": days, "changed": int(outcome is Outcome.CHANGED)},
        )
        return self._put(decided)

    def withdraw(self, number: str, today: date) -> Appeal:
        """See `Appeal.withdraw`."""
        return self._put(self.get(number).withdraw(today))

    def get(self, number: str) -> Appeal:
        """One appeal. Raises `ConfigInvalid` for an unknown one, `SealBroken` for a record that is none."""
        data = self._home.vault.get(APPEALS + number)
        if data is None:
            raise ConfigInvalid("lending_appeal_unknown", name=number)
        try:
            return msgspec.json.decode(data, type=Appeal)
        except msgspec.MsgspecError:
            raise SealBroken("vault_broken", name=APPEALS + number) from None

    def all(self) -> tuple[Appeal, ...]:
        """Every appeal that is kept, the oldest first."""
        over = set(self._home.vault.expired())
        names = (name for name in self._home.vault.names(APPEALS) if name not in over)
        found = [self.get(name.removeprefix(APPEALS)) for name in names]
        return tuple(sorted(found, key=lambda one: (one.requested, one.number)))

    def open(self, today: date) -> dict[str, int]:
        """How many wait for a reviewer, wait for a decision, and are late."""
        found = self.all()
        return {
            "requested": sum(one.status is Status.REQUESTED for one in found),
            "assigned": sum(one.status is Status.ASSIGNED for one in found),
            "overdue": sum(one.is_overdue(today) for one in found),
        }

    def _put(self, appeal: Appeal) -> Appeal:
        self._home.vault.put(APPEALS + appeal.number, msgspec.json.encode(appeal), days=KEPT_DAYS)
        return appeal

    def _log(self, event: EventType, appeal: Appeal, **fields: Any) -> None:
        """The note stays out: its digest alone would tell nothing to those who may not read it."""
        record = hashlib.sha256(appeal.number.encode()).hexdigest()
        self._home.audit.append(
            event,
            actor="operator",
            artefact=appeal.about,
            sref=appeal.sref,
            digests={"lending_policy": appeal.policy, "appeal": record},
            **fields,
        )
