"""The federation in which the journeys are made: real processes, few people, short keys, one finished job.

At telecom a person says yes to jobs; the other nodes' policies do it by themselves.
"""

from __future__ import annotations

import msgspec
from browsing import Who
from three_nodes import ThreeNodes, eventually

from clients.approvals import deciding
from clients.approvals.inbox import Inbox
from clients.approvals.review import review
from clients.desk.accounts import open_access as open_desk
from federation.access.noting import TERMINAL
from federation.jobs import Job
from federation.proposals import DecidedBy
from privacy.access import Caller, Means, Role
from server.accounts import open_access as open_console
from server.jobs.proposals import Jobs
from server.jobs.submitting import SubmittedJob
from server.jobs.views import JobView

PASSWORD = "eine ganze Reihe Schafe"
BY_PERSON = "telecom"
AT_CONSOLE = {
    "mira": Role.MODELLER,
    "aldo": Role.AUDITOR,
    "anja": Role.AUDITOR,
    "ana": Role.ANALYST,
}
AT_DESKS = {
    "bank": {"ana": Role.ANALYST, "bo": Role.ANALYST, "odile": Role.OFFICER},
    "ecommerce": {},
    BY_PERSON: {"olga": Role.OPERATOR},
}
_MODELLER = Caller("mira", frozenset({Role.MODELLER}), Means.LOGIN)


class Journeys(ThreeNodes):
    """`start` takes as long as one small job."""

    number = ""
    """Of the finished job."""

    def __init__(self, folder) -> None:
        super().__init__(folder, with_console=True)

    def start(self) -> None:
        self.local.start()
        self._let_person_decide()
        submitted = SubmittedJob(self.local.coordinator, self.job)
        self.number = submitted.number
        self.say_yes(self.number)
        outcome = submitted.follow(lambda event: None)
        assert outcome.status == "done", outcome.texts
        self.remember()
        self._add_accounts()
        self.local.wait_until_open()

    def _let_person_decide(self) -> None:
        home = self.home(BY_PERSON)
        home.write_settings(msgspec.structs.replace(home.settings, approves=DecidedBy.PERSON))
        self.local.stop_node(BY_PERSON)
        self.local.start_node(BY_PERSON)

    def say_yes(self, number: str) -> None:
        """The person at telecom approves, at the command line."""
        home = self.home(BY_PERSON)
        held = eventually(
            lambda: next((one for one in Inbox(home).all() if one.proposal.number == number), None)
        )
        seen = review(home, held.proposal)
        assert seen.is_admitted, seen
        deciding.approve(home, number, digest=seen.proposal.digest, policy=seen.policy, who="olga")

    def _add_accounts(self) -> None:
        accounts = open_console(self.local.coordinator).accounts
        for name, role in AT_CONSOLE.items():
            accounts.add(name, [role], by=TERMINAL, password=PASSWORD)
        for party, people in AT_DESKS.items():
            accounts = open_desk(self.home(party)).accounts if people else None
            for name, role in people.items():
                accounts.add(name, [role], by=TERMINAL, password=PASSWORD)

    def at_console(self, name: str) -> Who:
        """Somebody at the console."""
        return Who(self.local.console_url, "/login", name, PASSWORD)

    def at_desk(self, party: str, name: str) -> Who:
        """Somebody at a node's desk."""
        return Who(self.local.desk_url(party).removesuffix("/desk/"), "/desk/login", name, PASSWORD)

    @property
    def jobs(self) -> Jobs:
        """The coordinator's jobs, as another process of its owner sees them."""
        home = self.local.coordinator
        return Jobs(home.database, home, home.audit)

    def propose(self, job: Job) -> JobView:
        """A modeller proposes."""
        return self.jobs.propose(_MODELLER, job)
