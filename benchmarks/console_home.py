"""What `benchmarks.console_load` works on: a coordinator's home with many jobs, parties' lists and a hundred users."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

from sqlalchemy import func, select

from federation.access.office import Access
from federation.database import reading
from federation.pace import utc_now
from federation.proposals import DecidedBy, JobState, Word, sign_word
from federation.publications import Noun, publication_of, sign_publication
from federation.roster import Enrolment
from privacy.access import Caller, Means, Role
from privacy.sealing import Identity
from server.accounts import open_access
from server.db.tables import EventRow
from server.home import CoordinatorHome
from server.jobs.claims import Claims
from server.jobs.desk import Publications
from server.jobs.proposals import Jobs
from server.jobs.views import JobView
from server.records import JobRecord

PARTIES: Final = ("bank", "shop", "telecom")
JOBS: Final = 200
OPEN: Final = 20
"""Of them, that wait for a party's word; all others are done, but for one that runs."""
LINES: Final = 5
"""Of a run's record, beside the four or five events of its states and the two of words: 2,000 events in all."""
ITEMS: Final = 12
"""Datasets and models of each party."""
COLUMNS: Final = 40
_PROPOSER: Final = Caller("ada", frozenset({Role.MODELLER}), Means.LOGIN)
_STAGE: Final = "match"
_LATER: Final = datetime.timedelta(days=30)
_FILE: Final = """
name = "{name}"
purpose = "credit_risk"
[segments]
[[party]]
name = "{holder}"
role = "label_holder"
segment_fields = ["income", "deposits"]
[[party]]
name = "{partner}"
role = "feature_holder"
segment_fields = ["spend", "visits"]
"""


@dataclass(frozen=True, slots=True)
class Reader:
    """A user: a token for programs, and the cookie of a login for pages."""

    name: str
    token: str = field(repr=False)
    cookie: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Filled:
    """What is there: numbers of done jobs, the one that runs with who follows it, and the users."""

    done: tuple[str, ...]
    running: JobView
    claims: Claims
    users: tuple[Reader, ...]
    events: int


def fill(folder: Path, users: int) -> Filled:
    """Make the home in a folder that is not there, by the services that the coordinator itself uses.

    The database is the one that the environment names, or the home's own file.
    """
    home = CoordinatorHome.create(folder, "127.0.0.1", 0, "127.0.0.1")
    identities = {party: Identity.generate() for party in PARTIES}
    for party, identity in identities.items():
        home.enrol(Enrolment(party, identity.public.to_text(), f"flower key of {party}"))
    access = open_access(home)
    _publish(home, identities)
    jobs = Jobs(home.database, home, home.audit)
    claims = Claims(home.database, home.audit, "first", "home", lambda: home.roster)
    done = []
    for place in range(JOBS - OPEN - 1):
        begun = _begun(jobs, claims, home, identities, place)
        claims.end(begun, JobState.DONE)
        done.append(begun.number)
    running = _begun(jobs, claims, home, identities, len(done))
    for place in range(OPEN):
        waiting = _proposed(jobs, JOBS - OPEN + place)
        _say(jobs, home, identities, waiting, waiting.parties[0])
    with reading(home.database) as session:
        events = session.scalar(select(func.count()).select_from(EventRow)) or 0
    readers = tuple(_reader(access, f"reader-{place:03d}") for place in range(users))
    return Filled(tuple(done), running, claims, readers, events)


def progress(parties: tuple[str, ...], lines: int) -> Iterator[dict[str, Any]]:
    """Lines of a run's record."""
    yield {"time": time.time(), "event": "stage_started", "stage": _STAGE, "number": 1, "of": 3}
    for place in range(1, lines):
        party = parties[place % len(parties)]
        yield progress_of(party, place, lines)


def progress_of(party: str, done: int, total: int) -> dict[str, Any]:
    """One line: how far a party is, now."""
    return {
        "time": time.time(), "event": "progress", "party": party, "step": "blind", "done": done, "total": total
    }  # fmt: skip


def _reader(access: Access, name: str) -> Reader:
    account = access.accounts.add(name, [Role.MODELLER], by=_PROPOSER.name)
    cookie, caller = access.logins.begin(account)
    _, token = access.tokens.issue(caller, "load", caller.roles, 1)
    return Reader(name, token, cookie)


def _proposed(jobs: Jobs, place: int) -> JobView:
    holder, partner = PARTIES[place % 3], PARTIES[(place + 1) % 3]
    return jobs.propose(_PROPOSER, _FILE.format(name=f"job-{place:03d}", holder=holder, partner=partner))


def _begun(
    jobs: Jobs, claims: Claims, home: CoordinatorHome, identities: dict[str, Identity], place: int
) -> JobView:
    """A job that everybody has agreed to, and that runs."""
    job = _proposed(jobs, place)
    for party in job.parties:
        _say(jobs, home, identities, job, party)
    begun = claims.begin(job.number, JobRecord.create(home, job.job).job_id)
    if begun is None:
        raise RuntimeError("a job does not begin")
    claims.copy(begun, [*progress(job.parties, LINES)])
    return begun


def _say(
    jobs: Jobs, home: CoordinatorHome, identities: dict[str, Identity], job: JobView, party: str
) -> JobView:
    now = utc_now()
    word = Word(
        number=job.number, digest=job.digest, party=party, approved=True, by=DecidedBy.POLICY, revision=1, made=now,
        until=now + _LATER, policy="a" * 64, code="c" * 64,
    )  # fmt: skip
    return jobs.word(sign_word(word, identities[party], home.roster.coordinator), party)


def _publish(home: CoordinatorHome, identities: dict[str, Identity]) -> None:
    publications = Publications(home.database, home)
    serial = count()
    for party, identity in identities.items():
        for noun, items in _lists(serial).items():
            made = publication_of(noun, party, 1, utc_now(), items)
            publications.take(noun, party, sign_publication(made, identity, home.roster.coordinator))


def _lists(serial: Iterator[int]) -> dict[Noun, Any]:
    wording = {"zh": "信用风险", "en": "Credit risk"}
    columns = [
        {"name": f"c{place}", "kind": "income", "sensitivity": "sensitive"} for place in range(COLUMNS)
    ]
    return {
        Noun.DATASETS: [
            {"name": f"table-{place}", "id_kind": "phone", "columns": columns} for place in range(ITEMS)
        ],
        Noun.PURPOSES: [
            {"name": "credit_risk", "title": wording, "basis": "consent", "treatment": "credit_risk"}
        ],
        Noun.MODELS: [
            {
                "number": f"{next(serial):032x}", "kind": "boosting", "job": f"job-{place:03d}",
                "purpose": "credit_risk", "parties": list(PARTIES[:2]), "state": "active",
                "trained": "2026-11-20", "rows": 12_000, "k_min": 50,
            }
            for place in range(ITEMS)
        ],
        Noun.AUDIENCES: [],
        Noun.REQUESTS: {"received": 2, "completed": 7},
    }  # fmt: skip
