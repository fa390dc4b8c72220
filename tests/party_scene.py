"""One party's session seen from outside: a scripted relay, and a coordinator and a partner that the test speaks for."""

import queue

import msgspec
import numpy as np
from matching_parties import as_identifiers

from clients.home import NodeHome, NodeSettings
from clients.session import PartySession
from clients.tables import FieldSpec, TableSpec
from federation import align
from federation import session as control
from federation.frames import Endpoint
from federation.jobs import Job, MatchMode, MatchPlan, PartyPlan, PartyRole, encode_job
from federation.messages import COORDINATOR
from federation.roster import Enrolment, Roster, from_json
from federation.transport import SessionClosed
from privacy import matching
from privacy.errors import PeerDropped
from privacy.identifiers import IdentifierKind
from privacy.sealing import Identity

SESSION = "5e5510" * 5
ROWS = 60
PHONES = [f"139{number:08d}" for number in range(ROWS)]
CANARY = "13900000007"
URL = "https://coordinator.example"
COORDINATOR_KEYS = Identity.generate()
PARTNER_KEYS = Identity.generate()
KIND = "phone/plain"
MATCHING_KEY = bytes(range(32))
"""What the label holder under test derives as the matching key, so that its partner here can know it beforehand."""


def plan(name, role=PartyRole.FEATURE_HOLDER, fields=("income",)):
    return PartyPlan(name=name, role=role, segment_fields=fields, risk_fields=fields)


def match_job(own, other, own_is_holder=True, **changes):
    """A job that only matches, between the party under test and its partner."""
    roles = [PartyRole.LABEL_HOLDER, PartyRole.FEATURE_HOLDER]
    first, second = roles if own_is_holder else reversed(roles)
    job = Job(
        name="tiny",
        purpose="marketing",
        parties=(plan(own, first), plan(other, second)),
        profile="TESTING_ONLY",
        match=MatchPlan(mode=MatchMode.KEYED),
    )
    return msgspec.structs.replace(job, **changes)


JOB = match_job("bank", "shop")


class Script:
    """A transport that delivers prepared frames, then says that the session is closed."""

    def __init__(self):
        self.sent = []
        self.attested = []
        self.closed = False
        self.fails_to_send = False
        self.end = SessionClosed()
        self._frames = queue.SimpleQueue()

    def deliver(self, frames):
        for frame in frames:
            self._frames.put(frame)

    def send(self, recipient, frame):
        if self.fails_to_send:
            raise PeerDropped("relay_unreachable")
        self.sent.append((recipient, frame))

    def attest(self, binding):
        self.attested.append(binding)

    def receive(self, state, wait_seconds=10.0):
        try:
            return self._frames.get_nowait()
        except queue.Empty:
            raise self.end from None

    def close(self):
        self.closed = True


class Scene:
    """The bank's home, its coordinator and its partner as seen from outside, and one session."""

    def __init__(self, folder):
        table = folder / "bank.csv"
        lines = [f"{phone},{number % 7},{number % 2}" for number, phone in enumerate(PHONES)]
        table.write_text("phone,income,default\n" + "\n".join(lines))
        spec = TableSpec(
            path=str(table),
            id_column="phone",
            id_kind=IdentifierKind.PHONE,
            fields=(FieldSpec(name="income"),),
        )
        settings = NodeSettings(name="bank", table=spec, allow_testing_profile=True)
        self.home = NodeHome.create(folder / "home", settings)
        own = from_json(self.home.enrolment_file.read_bytes(), Enrolment, "enrolment.json")
        partner = Enrolment("shop", PARTNER_KEYS.public.to_text(), "PEM")
        self.home.join(Roster(URL, "PEM", COORDINATOR_KEYS.public.to_text(), (own, partner)))
        self.script = Script()
        self.connected = []
        self.use(JOB)

    def use(self, job, session=SESSION):
        """Take another job; the coordinator and the partner begin anew."""
        self.job = job
        self.offer = control.Offer(session, URL, "token", encode_job(job))
        keys = {COORDINATOR: COORDINATOR_KEYS, "shop": PARTNER_KEYS}
        public = {name: key.public for name, key in keys.items()} | {"bank": self.home.identity.public}
        self.coordinator, self.shop = (
            Endpoint(
                name,
                keys[name],
                {peer: key for peer, key in public.items() if peer != name},
                session,
                job.digest,
            )
            for name in (COORDINATOR, "shop")
        )

    def party(self):
        def connect(offer):
            self.connected.append(offer)
            return self.script

        return PartySession(self.home, self.offer, connect)

    def says(self, stage, message, sender=None):
        """Let a peer (default: the coordinator) send a message."""
        self.script.deliver((sender or self.coordinator).seal("bank", stage, message))

    def start(self, number=1, name="match"):
        self.says(0 if number < 0 else number, control.StartStage(stage=number, name=name))
        if (number, name) == (1, "match") and self.job.roles.label_holder == "bank":
            self.says(1, align.ListStamp(stamp=bytes(32)), self.shop)

    def matches(self):
        """Let the coordinator and the partner bring the first stage to its end."""
        self.says(1, align.PartWanted(parts=1, part=0))
        self.says(1, matched())
        self.says(1, row_check(), self.shop)

    def heard(self):
        """(stage, message) of everything the coordinator received."""
        opened = [self.coordinator.open(frame) for to, frame in self.script.sent if to == COORDINATOR]
        return [(item.stage, item.message) for item in opened if item]


def row_check(rows=ROWS):
    """What a partner with the same customers says about its first matched rows."""
    tokens = matching.blind(MATCHING_KEY, KIND, as_identifiers(PHONES)).tokens[:rows]
    return align.RowCheck(digest=align.row_digest(MATCHING_KEY, matching.subject_refs(MATCHING_KEY, tokens)))


def matched(rows=ROWS):
    return align.Matched(pieces=1, piece=0, positions=np.arange(rows, dtype=np.uint32))
