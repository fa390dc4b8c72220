"""The coordinator's driver: whom it lets in, what it begins again when rows leave, and what it refuses."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from federation import align
from federation import session as control
from federation.frames import Endpoint
from federation.jobs import Job, PartyPlan, PartyRole, RiskPlan
from federation.messages import COORDINATOR
from federation.roles import MemoryStore
from federation.roster import Enrolment
from federation.transport import SessionClosed
from privacy.audit import EventType
from privacy.reasons import Reason
from privacy.sealing import Identity
from server import rounds
from server.home import CoordinatorHome
from server.records import JobRecord
from server.rounds import Driver

SESSION = "5e5510" * 5
PARTIES = ("bank", "shop")
KEYS = {name: Identity.generate() for name in PARTIES}
JOB = Job(
    name="tiny",
    purpose="credit_risk",
    parties=(
        PartyPlan(name="bank", role=PartyRole.LABEL_HOLDER, segment_fields=("x",), risk_fields=("x",)),
        PartyPlan(name="shop", role=PartyRole.FEATURE_HOLDER, segment_fields=("y",), risk_fields=("y",)),
    ),
)
THREE_STAGES = msgspec.structs.replace(JOB, risk=RiskPlan())


def attestation(snapshot=""):
    return control.Attestation(
        policy="a" * 64, schema="b" * 64, snapshot=snapshot, agreements=("one",), pipia="pipia-1"
    )


class NoRole:
    """A coordinator that has nothing to do in a stage."""

    result = True

    def start(self):
        return []

    def receive(self, sender, message):
        raise AssertionError((sender, message))


class Coordination:
    """A coordinator's home and its relay; the test speaks for both parties.

    on_start: called with (number, name) when the driver has told everybody to begin a stage.
    """

    url = "memory://relay"
    session = SESSION

    def __init__(self, folder, job=JOB):
        self.home = CoordinatorHome.create(folder / "coordinator", "127.0.0.1", 1, "127.0.0.1")
        for name, keys in KEYS.items():
            self.home.enrol(Enrolment(name, keys.public.to_text(), "PEM"))
        self.job = job
        peers = {name: keys.public for name, keys in KEYS.items()} | {COORDINATOR: self.home.identity.public}
        self.parties = {
            name: Endpoint(
                name,
                keys,
                {peer: key for peer, key in peers.items() if peer != name},
                SESSION,
                job.digest,
            )
            for name, keys in KEYS.items()
        }
        self.started = []
        self.heard = []
        self.on_start = self.finishes
        self.store = MemoryStore()
        self._frames = []

    # --- the driver's side of the relay, and its invitation

    def open(self, tokens):
        return self

    def idle(self):
        return dict.fromkeys(self.parties, (0.0, "waiting"))

    def send(self, recipient, frame=None):
        if frame is None:  # the offers of the invitation
            return
        received = self.parties[recipient].open(frame)
        self.heard.append((recipient, received.message))
        if isinstance(received.message, control.StartStage) and recipient == PARTIES[-1]:
            self.started.append((received.message.stage, received.message.name, received.message.voids))
            self.on_start(received.message.stage, received.message.name)

    def attest(self, binding):
        raise AssertionError("the coordinator holds no rows")

    def receive(self, state, wait_seconds):
        if not self._frames:
            raise SessionClosed
        return self._frames.pop(0)

    def refusals(self):
        return {}

    def wait_closed(self):
        pass

    def close(self):
        pass

    # --- what the parties say

    def says(self, party, stage, message):
        self._frames += self.parties[party].seal(COORDINATOR, stage, message)

    def attests(self, party, snapshot=""):
        said = attestation(snapshot)
        self.parties[party].binding = said.binding
        self.says(party, 0, said)

    def joins(self):
        for party in PARTIES:
            self.attests(party)
            self.says(party, 0, control.Ready(version="1"))

    def leaves(self, party, *, rematch=False):
        self.attests(party, "c" * 64)
        self.says(party, 0, control.StageVoided(rematch=rematch))

    def finishes(self, number, _name):
        for party in PARTIES:
            self.says(party, number, finished(number))

    # --- the driver

    def run(self):
        record = JobRecord.create(self.home, self.job)
        Driver(
            self.job,
            record,
            self.home.identity,
            self.home.roster,
            self,
            self,
            self.store,
            self.home.audit,
        ).run()
        return record.outcome

    def events(self, *types):
        return [event for event in self.home.audit.events() if event.type in types]


def finished(stage):
    return control.StageFinished(
        stage=stage, seconds=0.1, bytes_sent={}, bytes_received={}, received={}, peak_memory_bytes=1
    )


@pytest.fixture
def scene(tmp_path, monkeypatch):
    monkeypatch.setattr(rounds, "coordinator_role", lambda *_: None)
    monkeypatch.setattr(rounds, "CheckpointExchange", lambda *_: NoRole())
    return Coordination(tmp_path)


@pytest.fixture
def longer(scene, tmp_path):
    return Coordination(tmp_path / "longer", THREE_STAGES)


def failed(scene, code="unexpected_message"):
    outcome = scene.run()
    assert (outcome.status, outcome.code) == ("failed", code)
    told = [(recipient, message) for recipient, message in scene.heard if isinstance(message, control.Abort)]
    assert [recipient for recipient, _ in told] == list(PARTIES)
    return outcome


# --- joining


def test_a_job_runs_with_a_witness_after_every_stage(longer):
    longer.joins()
    assert longer.run().status == "done"
    assert longer.started == [
        (1, "match", 0), (2, "witness", 0), (3, "risk", 0), (4, "witness", 0), (5, "score", 0), (6, "witness", 0),
    ]  # fmt: skip
    assert [recipient for recipient, message in longer.heard if isinstance(message, control.EndSession)] == [
        *PARTIES
    ]
    opened = longer.events(EventType.ROUND_OPENED, EventType.ROUND_AGGREGATED)
    assert [event.stage for event in opened] == ["match", "match", "risk", "risk", "score", "score"]


def test_what_everybody_works_on_is_in_the_log(scene):
    scene.attests("bank")
    scene.attests("bank", "c" * 64)
    scene.joins()
    assert scene.run().status == "done"
    accepted = scene.events(EventType.ROUND_UPDATE_ACCEPTED)
    assert [event.artefact for event in accepted] == ["bank", "bank", "bank", "shop"]
    digests = [dict(event.digests) for event in accepted]
    assert [found["binding"] for found in digests] == [
        attestation(snapshot).binding.hex() for snapshot in ("", "c" * 64, "", "")
    ]
    assert ["snapshot" in found for found in digests] == [False, True, False, False]
    assert {found["policy"] for found in digests} == {"a" * 64}


def test_nobody_joins_without_an_attestation(scene):
    scene.attests("bank")
    scene.says("bank", 0, control.Ready(version="1"))
    scene.says("shop", 0, control.Ready(version="1"))
    failed(scene)
    assert scene.started == []


def test_nobody_joins_with_a_binding_that_was_not_attested(scene):
    scene.parties["bank"].binding = bytes(32)
    scene.says("bank", 0, control.Ready(version="1"))
    failed(scene, "stale_snapshot")
    refused = scene.events(EventType.ROUND_UPDATE_REFUSED)
    assert [(event.artefact, event.reasons) for event in refused] == [
        (COORDINATOR, (Reason.CONSENT_STALE_SNAPSHOT.value,))
    ]


@pytest.mark.parametrize("binding", [b"", bytes(32)])
def test_a_message_on_anything_else_than_was_attested(scene, binding):
    def start(number, name):
        scene.parties["shop"].binding = binding
        scene.says("shop", number, finished(number))

    scene.on_start = start
    scene.joins()
    failed(scene, "stale_snapshot")


# --- rows leave


def voided(scene, *when, rematch=False, parties=("shop",)):
    """The stages that are started when rows leave during these, by number."""

    def start(number, name):
        if number not in when:
            scene.finishes(number, name)
            return
        scene.says("bank", number, finished(number))
        for party in parties:
            scene.leaves(party, rematch=rematch)
        # What was under way when the others heard of it.
        scene.says("bank", number, align.TokenPart(part=0, tokens=b""))
        scene.says("bank", number, finished(number))

    scene.on_start = start
    scene.joins()
    outcome = scene.run()
    assert outcome.status == "done"
    return scene.started


def test_a_stage_begins_again_when_rows_leave(scene):
    assert voided(scene, 1) == [(1, "match", 0), (2, "match", 1), (3, "witness", 1)]
    assert [event.stage for event in scene.events(EventType.ROUND_VOIDED)] == ["match"]
    opened = scene.events(EventType.ROUND_OPENED, EventType.ROUND_AGGREGATED)
    assert [(event.type, event.stage) for event in opened] == [
        (EventType.ROUND_OPENED, "match"),
        (EventType.ROUND_OPENED, "match"),
        (EventType.ROUND_AGGREGATED, "match"),
    ]


def test_news_of_several_parties_is_counted(scene):
    """The second one arrives when the stage has begun again, and makes that run void as well."""
    assert voided(scene, 1, parties=PARTIES) == [
        (1, "match", 0), (2, "match", 1), (3, "match", 2), (4, "witness", 2),
    ]  # fmt: skip


def test_finished_stages_stay_when_rows_leave_later(longer):
    assert voided(longer, 3) == [
        (1, "match", 0), (2, "witness", 0), (3, "risk", 0), (4, "risk", 1), (5, "witness", 1),
        (6, "score", 1), (7, "witness", 1),
    ]  # fmt: skip


def test_logs_are_witnessed_again_when_rows_leave_meanwhile(longer):
    assert voided(longer, 2)[:4] == [(1, "match", 0), (2, "witness", 0), (3, "witness", 1), (4, "risk", 1)]


@pytest.mark.parametrize(("number", "name"), [(2, "witness"), (3, "risk"), (5, "score")])
def test_everything_begins_again_when_a_list_has_changed(longer, number, name):
    started = voided(longer, number, rematch=True)
    assert started[number - 1] == (number, name, 0)
    again = [stage for _, stage, _ in started[number:]]
    assert again == ["match", "witness", "risk", "witness", "score", "witness"]
    assert [place for place, *_ in started] == list(range(1, number + 7))


# --- what it refuses


@pytest.mark.parametrize("stage", [0, 2, 7])
def test_a_message_of_another_stage(scene, stage):
    scene.on_start = lambda number, name: scene.says("bank", stage, finished(stage))
    scene.joins()
    failed(scene)


@pytest.mark.parametrize(
    "message",
    [
        control.RowsWithdrawn(positions=np.zeros(1, np.uint32), rematch=False),
        control.StartStage(stage=1, name="match"),
        control.EndSession(),
        align.TokenPart(part=0, tokens=b""),
    ],
)
def test_messages_that_are_not_for_the_coordinator(scene, message):
    scene.on_start = lambda number, name: scene.says("bank", number, message)
    scene.joins()
    failed(scene)


def test_a_refusal_of_a_party_is_in_the_log_by_its_codes(scene):
    reasons = (Reason.AGREEMENT_SCOPE, Reason.PIPIA_STALE)
    refusal = control.StageFailed(code="denied", texts={"en": "refused", "zh-CN": "拒绝"}, reasons=reasons)
    scene.store.put("part", b"something")
    scene.on_start = lambda number, name: scene.says("shop", number, refusal)
    scene.joins()
    failed(scene, "peer_failed")
    refused = scene.events(EventType.ROUND_UPDATE_REFUSED)
    assert [(event.artefact, event.reasons) for event in refused] == [
        ("shop", tuple(reason.value for reason in reasons))
    ]
    assert not scene.store.records, "what was refused is not run again from where it was"
