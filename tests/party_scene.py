"""One party's session seen from outside: a scripted relay, and a coordinator and a partner that the test speaks for."""

import queue
from datetime import UTC, datetime

import msgspec
import numpy as np
from background import wait_until
from gate_scene import admit
from matching_parties import as_identifiers

from clients.home import NodeHome, NodeSettings
from clients.session import PartySession
from clients.tables import FieldSpec, TableSpec
from federation import align
from federation import session as control
from federation.audit_log import AuditLog
from federation.audit_messages import ShownCheckpoint
from federation.frames import Endpoint, binding_of
from federation.jobs import Job, MatchMode, MatchPlan, PartyPlan, PartyRole, encode_job
from federation.messages import COORDINATOR
from federation.roster import Enrolment, Roster, from_json
from federation.transport import SessionClosed
from federation.witnessing import CheckpointExchange
from privacy import matching
from privacy.audit import EventType
from privacy.errors import PeerDropped, StaleSnapshot
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
        purpose="credit_risk",
        parties=(plan(own, first), plan(other, second)),
        profile="TESTING_ONLY",
        match=MatchPlan(mode=MatchMode.KEYED),
    )
    return msgspec.structs.replace(job, **changes)


JOB = match_job("bank", "shop")
ATTESTATION = control.Attestation(
    policy="a" * 64, schema="b" * 64, snapshot="c" * 64, agreements=("one",), pipia="pipia-1"
)
"""What the partner says that it works on."""


class Script:
    """A transport that delivers prepared frames, then says that the session is closed.

    As the relay does, it takes only messages that are bound to what was attested last.
    """

    def __init__(self):
        self.sent = []
        self.attested = []
        self.closed = False
        self.fails_to_send = False
        self.before_send = lambda recipient: None
        self.end = SessionClosed()
        self._frames = queue.SimpleQueue()

    def deliver(self, frames):
        for frame in frames:
            self._frames.put(frame)

    def send(self, recipient, frame):
        if self.fails_to_send:
            raise PeerDropped("relay_unreachable")
        self.before_send(recipient)
        binding, begins = binding_of(frame)
        if begins and binding != self.attested[-1]:
            raise StaleSnapshot("snapshot_stale_here")
        self.sent.append((recipient, frame))

    def attest(self, binding):
        self.attested.append(binding)

    def then(self, act):
        """Act when everything that was delivered before has been received; what it delivers comes next."""
        self._frames.put(act)

    def receive(self, state, wait_seconds=10.0):
        try:
            item = self._frames.get_nowait()
        except queue.Empty:
            raise self.end from None
        if not callable(item):
            return item
        later = self._frames
        self._frames = queue.SimpleQueue()
        item()
        while not later.empty():
            self._frames.put(later.get_nowait())
        return self.receive(state, wait_seconds)

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
        self._folder = folder
        self.use(JOB)

    def use(self, job, session=SESSION):
        """Take another job, which the policy admits; the coordinator and the partner begin anew."""
        self.job = job
        admit(self.home, job)
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
        self._heard = {COORDINATOR: [], "shop": []}
        self._read = len(self.script.sent)
        self._signing = set()
        self._has_attested = False

    def party(self):
        def connect(offer):
            self.connected.append(offer)
            return self.script

        return PartySession(self.home, self.offer, connect)

    def says(self, stage, message, sender=None):
        """Let a peer (default: the coordinator) send a message; a partner says first what it works on."""
        sender = sender or self.coordinator
        if sender is self.shop and not self._has_attested:
            self.attests()
        self._in_turn(lambda: self.script.deliver(sender.seal("bank", stage, message)))

    def attests(self, said=ATTESTATION):
        """Let the partner say what it works on from now on."""
        self._has_attested = True

        def attest():
            self.shop.binding = said.binding
            self.script.deliver(self.shop.seal("bank", 0, said))

        self._in_turn(attest)

    def _in_turn(self, act):
        """Now, or after what has to wait for the party's own messages: frames are numbered as they are sealed."""
        if self._signing:
            self.script.then(act)
        else:
            act()

    def start(self, number=1, name="match", voids=0):
        self.says(0 if number < 0 else number, control.StartStage(stage=number, name=name, voids=voids))
        if name == "match" and number > 0 and self.job.roles.label_holder == "bank":
            self.says(number, align.ListStamp(stamp=bytes(32)), self.shop)

    def matches(self, number=1, phones=PHONES):
        """Let the coordinator and the partner bring a matching to its end."""
        self.says(number, align.PartWanted(parts=1, part=0))
        self.says(number, matched(len(phones)))
        self.says(number, row_check(phones=phones), self.shop)

    def ends(self, number=2, voids=0):
        """Let everybody sign everybody's log in stage `number`, which a session does not end without."""
        self.witness(number, voids)
        self.says(0, control.EndSession())

    def witness(self, number, voids=0):
        """The stage in which the coordinator and the partner cosign this party's log, and it theirs."""
        self.start(number, "witness", voids)
        self._signing.add(number)
        self.script.then(lambda: self._cosign(number))

    def _cosign(self, number):
        own = self.home.identity.public
        for peer, keys in ((self.coordinator, COORDINATOR_KEYS), (self.shop, PARTNER_KEYS)):
            log = AuditLog(self._folder / f"log-{peer.own}", peer.own, keys)
            log.append(EventType.ROUND_OPENED, actor="node")
            exchange = CheckpointExchange(peer.own, {"bank": own}, log)
            answers = exchange.start()
            wait_until(lambda peer=peer: self._shown_to(peer, number))
            for message in self._shown_to(peer, number):
                answers += exchange.receive("bank", message)
            for answer in answers:
                self.script.deliver(peer.seal("bank", number, answer.message))

    def _shown_to(self, peer, number):
        heard = self._opened_by(peer, everything=True)
        return [item for stage, item in heard if stage == number and isinstance(item, ShownCheckpoint)]

    def restrict(self, *phones):
        """From now on nothing but storage may touch these subjects."""
        tokens = self.home.consents.tokens(KIND, as_identifiers(phones))
        self.home.consents.restrict(tokens, "dispute", "PIPL 46", datetime.now(UTC))

    def withdraw_rows(self, *positions, rematch=False, dtype=np.uint32):
        """Let the partner say that rows of its own leave."""
        self.attests(msgspec.structs.replace(ATTESTATION, snapshot="d" * 64))
        gone = control.RowsWithdrawn(positions=np.array(positions, dtype=dtype), rematch=rematch)
        self.says(0, gone, self.shop)

    def heard(self):
        """(stage, message) of everything the coordinator received."""
        return self._opened_by(self.coordinator)

    def shop_heard(self):
        """(stage, message) of everything the partner received."""
        return self._opened_by(self.shop)

    def _opened_by(self, peer, everything=False):
        """everything: with the messages of stages in which logs are signed; a failure is shown in any case."""
        peers = {COORDINATOR: self.coordinator, "shop": self.shop}
        for to, frame in self.script.sent[self._read :]:
            self._read += 1
            opened = peers[to].open(frame)
            if opened:
                self._heard[to].append((opened.stage, opened.message))
        heard = self._heard[peer.own]
        return [
            (stage, message)
            for stage, message in heard
            if everything or stage not in self._signing or isinstance(message, control.StageFailed)
        ]


def row_check(rows=None, phones=PHONES):
    """What a partner with the same customers says about its first matched rows."""
    tokens = matching.blind(MATCHING_KEY, KIND, as_identifiers(phones)).tokens[:rows]
    return align.RowCheck(digest=align.row_digest(MATCHING_KEY, matching.subject_refs(MATCHING_KEY, tokens)))


def matched(rows=ROWS):
    return align.Matched(pieces=1, piece=0, positions=np.arange(rows, dtype=np.uint32))
