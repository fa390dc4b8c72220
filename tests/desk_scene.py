"""A coordinator's desk with two nodes whose homes hold small tables, and what stands behind the desk, in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from fastapi.testclient import TestClient
from gate_scene import activate, policy_for

from clients.approvals import deciding
from clients.approvals.inbox import Decision, Inbox
from clients.approvals.review import review
from clients.approvals.running import DeskTraffic
from clients.home import NodeHome, NodeSettings
from clients.tables import FieldSpec, TableSpec
from federation.desk_client import DeskClient
from federation.jobs import Job, MatchPlan, PartyPlan, PartyRole, RiskPlan, encode_job
from federation.proposals import DecidedBy, JobState, Proposal, Word, standings
from federation.publications import Noun, Publication
from federation.roster import Enrolment, from_json
from privacy.access import Role
from privacy.errors import ConfigInvalid, PeerDropped, StateConflict
from privacy.identifiers import IdentifierKind
from server.home import CoordinatorHome
from server.post_routes import Post
from server.web import create_app

NUMBER = "J-ABCDEFG2"
OTHER = "J-ABCDEFG3"
CANARY = "13900000007"
"""A phone number in every table."""
CANARY_INCOME = "73317331"
"""A value in every table."""
ROWS = 23
FIELDS = {"bank": ("income",), "shop": ("spend",)}
JOB = Job(
    name="lending",
    purpose="credit_risk",
    parties=(
        PartyPlan(name="bank", role=PartyRole.LABEL_HOLDER, risk_fields=("income",)),
        PartyPlan(name="shop", role=PartyRole.FEATURE_HOLDER, risk_fields=("spend",)),
    ),
    profile="TESTING_ONLY",
    match=MatchPlan(),
    risk=RiskPlan(trees=2, depth=2, bins=4),
)


def approve(home: NodeHome, number: str, **said) -> Decision:
    """A person looks at a proposal and says yes to it at once."""
    seen = review(home, Inbox(home).get(number).proposal)
    return deciding.approve(home, number, digest=seen.proposal.digest, policy=seen.policy, **said)


def proposal(job: Job = JOB, number: str = NUMBER, **changes) -> Proposal:
    now = datetime.now(UTC).replace(microsecond=0)
    given = {
        "number": number,
        "job": encode_job(job),
        "proposer": Role.MODELLER,
        "proposed": now,
        "expires": now + timedelta(days=3),
        **changes,
    }
    return Proposal(**given)


@dataclass
class DeskInMemory:
    """What the coordinator keeps, as `server.desk_routes.DeskService` says. A word stands."""

    jobs: dict[str, Proposal] = field(default_factory=dict)
    words: dict[str, dict[str, Word]] = field(default_factory=dict)
    signed: dict[tuple[str, str], bytes] = field(default_factory=dict)
    lists: dict[tuple[str, Noun], Publication] = field(default_factory=dict)
    calls: list[tuple] = field(default_factory=list)
    """(what, who, bytes) of everything that was handed over."""

    def propose(self, *proposals: Proposal) -> None:
        self.jobs |= {one.number: one for one in proposals}

    def proposals_for(self, party):
        now = datetime.now(UTC)
        found = []
        for number, one in self.jobs.items():
            parties = one.job_for(party).roles.all
            words = standings(parties, self.words.get(number, {}), now)
            found.append(msgspec.structs.replace(one, words=words))
        return found

    def take_word(self, word, signed):
        self.calls.append(("word", word.party, signed))
        if word.number not in self.jobs or self.jobs[word.number].digest != word.digest:
            raise ConfigInvalid("job_unknown", job=word.number)
        before = self.signed.get((word.number, word.party))
        if before not in (None, signed):
            raise StateConflict("job_word_given", party=word.party, job=word.number)
        self.signed[word.number, word.party] = signed
        self.words.setdefault(word.number, {})[word.party] = word

    def take_publication(self, noun, publication, signed):
        self.calls.append((noun.value, publication.party, signed))
        before = self.lists.get((publication.party, noun))
        if before is not None and before != publication and before.number >= publication.number:
            raise StateConflict("job_over", job=noun.value, status="old")
        self.lists[publication.party, noun] = publication


@dataclass
class DeskScene:
    """The coordinator's application and the nodes' homes."""

    coordinator: CoordinatorHome
    homes: dict[str, NodeHome]
    desk: DeskInMemory
    http: TestClient

    @classmethod
    def create(cls, folder: Path, approves: DecidedBy = DecidedBy.PERSON, job: Job = JOB) -> DeskScene:
        coordinator = CoordinatorHome.create(folder / "coordinator", "127.0.0.1", 0, "127.0.0.1")
        homes = {}
        for party in FIELDS:
            homes[party] = _home(folder, party, approves)
            file = homes[party].enrolment_file
            coordinator.enrol(from_json(file.read_bytes(), Enrolment, str(file)))
        for home in homes.values():
            home.join(coordinator.roster)
            activate(home, policy_for(home, job), is_rehearsal=True)
        desk = DeskInMemory()
        app = create_app("https://127.0.0.1:1", _no_trust(), "driver", post=Post.of(coordinator), desk=desk)
        return cls(coordinator, homes, desk, TestClient(app, base_url="https://coordinator.example"))

    def client(self, party: str, identity=None) -> DeskClient:
        home = self.homes[party]
        return DeskClient(self.coordinator.roster, party, identity or home.identity, http=self.http)

    def traffic(self, party: str) -> DeskTraffic:
        return DeskTraffic(self.homes[party], lambda _roster: self.client(party))


def _home(folder: Path, party: str, approves: DecidedBy) -> NodeHome:
    file = folder / f"{party}.csv"
    (name,) = FIELDS[party]
    phones = [f"139{number:08d}" for number in range(ROWS)]
    rows = [
        f"{phone},{CANARY_INCOME if phone == CANARY else number * 100},{number % 2}"
        for number, phone in enumerate(phones)
    ]
    file.write_text(f"phone,{name},default\n" + "\n".join(rows) + "\n", "utf-8")
    spec = TableSpec(
        path=str(file),
        id_column="phone",
        id_kind=IdentifierKind.PHONE,
        fields=(FieldSpec(name=name),),
        label_column="default",
    )
    settings = NodeSettings(name=party, table=spec, allow_testing_profile=True, approves=approves)
    return NodeHome.create(folder / party, settings)


def _no_trust():
    import ssl

    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def state(scene: DeskScene, number: str = NUMBER, to: JobState = JobState.DONE) -> None:
    """The job goes on at the coordinator."""
    scene.desk.jobs[number] = msgspec.structs.replace(scene.desk.jobs[number], state=to)


class Away:
    """A coordinator that cannot be reached, as a client."""

    def __getattr__(self, name):
        def call(*_arguments):
            if name != "close":
                raise PeerDropped("relay_unreachable")

        return call
