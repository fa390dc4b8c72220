"""Scenario 1: somebody withdraws while a job computes."""

import subprocess
import threading
import time

import numpy as np
import pytest
from scenario_world import funnel_of, lending_job, phones_of, segments_job

from clients import compare
from clients.consents.subjects import kind_label
from clients.consents.tables import Restriction
from clients.gate.gate import Gate
from federation.children import program
from federation.jobs import Deadlines, RiskPlan
from federation.messages import COORDINATOR
from federation.session import RowsWithdrawn, StageVoided, StartStage
from federation.wire import tag_of
from privacy.audit import EventType
from privacy.merkle import leaf_hash
from privacy.snapshots import Snapshot, verify_absence, verify_membership

WHO = 11
SEEN_SECONDS = 10.0
"""Within which a node's watch, which looks four times a second, has to have noticed."""


class Once:
    """Acts once, when a party is about to seal its n-th message of a kind."""

    def __init__(self, own, kind, number, act):
        self._own, self._kind, self._left, self._act = own, kind, number, act

    def __call__(self, own, recipient, message):
        if own == self._own and tag_of(message) == self._kind:
            self._left -= 1
            if self._left == 0:
                self._act()

    @property
    def has_acted(self):
        return self._left <= 0


def together(*watchers):
    def tell(own, recipient, message):
        for watcher in watchers:
            watcher(own, recipient, message)

    return tell


class Live(compare.PooledParty):
    """A party right after its session, with what it holds in memory."""

    def __init__(self, scene, party):
        self.home, self.context = scene.home(party), scene.contexts[party]
        self._prefix = f"job/{scene.session}/"


def equals_pooled(scene, job):
    """The result is that of plain models on the pooled columns of the rows that stayed.

    Segments and trees that were finished before somebody left stay as they were: they are of other rows.
    """
    parties = [Live(scene, party) for party in scene.parties]
    opened = stages_opened(scene, COORDINATOR)
    if job.segments is not None and opened[-1] == "segments":
        found = compare._compare_segments(job, parties)
        assert found["ari_pooled"] == 1.0
        assert found["largest_centroid_difference"] < 1e-6
    if job.risk is not None and opened.count("risk") == 1:
        assert compare._compare_risk(job, parties)["largest_score_difference"] < 1e-12


def snapshots(scene, party="bank"):
    """Every snapshot of a party in the last session, in order."""
    prefix = f"job/{scene.session}/snapshot/"
    names = sorted(scene.home(party).vault.names(prefix), key=lambda name: int(name.rpartition("/")[2]))
    data = [scene.home(party).vault.get(name) for name in names]
    return [Snapshot.of(np.frombuffer(one, np.uint8).reshape(-1, 32)) for one in data]


def commitment_of(scene, phone, job, party="bank"):
    """What the snapshots of the last session hold of a subject; only the node can compute it."""
    home, changes = scene.home(party), scene.changes(party)
    tokens = home.consents.tokens(kind_label(home.settings.table), changes.identifiers([phone]))
    context = f"{job.project_name}\x00{scene.session}".encode()
    return home.consents.commitments(tokens, context)[0].tobytes()


def stages_opened(scene, owner):
    found = scene.events(owner, EventType.ROUND_OPENED)
    return [event.stage for event in found if event.session == scene.session]


def has_left(scene, outcome, job, phone, party="bank", of=90):
    """The subject is in no result and, provably, in no later snapshot; the others are."""
    assert outcome.status == "done", outcome.texts
    customers = scene.customers("bank", job)
    assert phone not in set(customers["identifier"])
    assert len(customers) == of - 1
    first, *_, last = snapshots(scene, party)
    commitment = commitment_of(scene, phone, job, party)
    verify_membership(first.root, commitment, first.membership(commitment))
    verify_absence(last.root, commitment, last.absence(commitment))
    attested = [event.digests.get("snapshot") for event in updates_of(scene, party)]
    assert last.root.hex() == attested[-1]
    assert first.root.hex() in attested
    for home in scene.nodes.values():
        assert len(scene.contexts[home.settings.name].kept.rows) == of - 1
    equals_pooled(scene, job)
    assert scene.leaks() == []


def updates_of(scene, party):
    found = scene.events(COORDINATOR, EventType.ROUND_UPDATE_ACCEPTED)
    return [event for event in found if event.artefact == party and event.session == scene.session]


def voided(scene, party="bank", reason="R-CONSENT-WITHDRAWN"):
    """The party's own event about it, and the subject's, which no reader can tell from any other's."""
    (event,) = scene.events(party, EventType.ROUND_VOIDED)
    assert event.reasons == (reason,)
    assert event.numbers == {}
    return event


# --- one withdraws


@pytest.mark.scenario(1)
def test_withdrawal_while_segments_are_found(world):
    """Withdrawal mid-round: the stage begins again without the subject, what was finished before stays."""
    scene = world()
    scene.agree()
    scene.build()
    job = segments_job()
    scene.admit(job)
    phone = scene.phones[WHO]
    leaves = Once("bank", "kmeans.assignments/1", 2, lambda: scene.withdraw("bank", phone))
    outcome = scene.run(job, leaves)
    assert leaves.has_acted
    has_left(scene, outcome, job, phone)
    assert funnel_of(outcome, "bank")["matched"] == 90  # what was told before it was withdrawn
    assert stages_opened(scene, COORDINATOR) == ["match", "segments", "segments"]
    assert [event.stage for event in scene.events(COORDINATOR, EventType.ROUND_VOIDED)] == ["segments"]
    voided(scene)
    # Were the customers to be matched again, whoever left would not be among them.
    context = scene.contexts["bank"]
    assert len(context.table) == 90
    context.unmatch()
    assert len(context.table) == 89
    assert phone.encode() not in context.table.identifiers
    withdrawn = scene.events("bank", EventType.CONSENT_WITHDRAWN)
    assert {event.artefact for event in withdrawn} == {"marketing", "marketing/separate/provide/shop"}
    assert all(len(event.sref) == 64 for event in withdrawn)


@pytest.mark.scenario(1)
def test_withdrawal_while_trees_grow(world):
    """Withdrawal mid-round: at a partner, on the command line, while a model is trained."""
    scene = world()
    scene.agree("credit_risk")
    scene.build()
    job = segments_job("credit_risk", risk=RiskPlan(trees=3, depth=2, bins=8))
    scene.admit(job)
    phone = scene.phones[WHO]

    def withdraw():
        command = (
            program("silhouette-node"),
            "consent",
            "withdraw",
            "--home",
            str(scene.home("shop").folder),
        )
        subprocess.run(command, input=phone, text=True, check=True, capture_output=True)

    leaves = Once("shop", "boosting.candidates/1", 1, withdraw)
    outcome = scene.run(job, leaves)
    assert leaves.has_acted
    has_left(scene, outcome, job, phone, "shop")
    assert stages_opened(scene, COORDINATOR) == ["match", "segments", "risk", "risk", "score"]
    assert stages_opened(scene, "bank") == ["match", "segments", "risk", "risk", "score"]
    voided(scene, "shop")
    assert scene.events("bank", EventType.ROUND_VOIDED) == []
    released = outcome.result["releases"]["bank"]["session.risk_release/1"]
    assert released["train_rows"] + released["test_rows"] == 89


@pytest.mark.scenario(1)
def test_withdrawal_while_scores_are_computed(world):
    """Withdrawal mid-round: the model stays valid (article 15), the subject is not scored."""
    scene = world()
    scene.agree("credit_risk")
    scene.build()
    job = lending_job()
    scene.admit(job)
    phone = scene.phones[WHO]
    leaves = Once("bank", "scoring.ask/1", 1, lambda: scene.withdraw("bank", phone))
    outcome = scene.run(job, leaves)
    assert leaves.has_acted
    assert outcome.status == "done", outcome.texts
    assert stages_opened(scene, COORDINATOR) == ["match", "risk", "score", "score"]
    customers = scene.customers("bank", job)
    assert len(customers) == 89
    assert phone not in set(customers["identifier"])
    assert scene.leaks() == []


@pytest.mark.scenario(1)
def test_withdrawal_while_customers_are_matched(world):
    """Withdrawal mid-round: the matching itself begins again, with a list that others see nothing of."""
    scene = world()
    scene.agree()
    scene.build()
    job = segments_job()
    scene.admit(job)
    phone = scene.phones[WHO]
    leaves = Once("bank", "align.points/1", 1, lambda: scene.withdraw("bank", phone))
    outcome = scene.run(job, leaves)
    assert leaves.has_acted
    has_left(scene, outcome, job, phone)
    assert funnel_of(outcome, "bank")["matched"] == 89
    assert stages_opened(scene, COORDINATOR) == ["match", "match", "segments"]
    voided(scene)


@pytest.mark.scenario(1)
def test_withdrawal_between_two_stages(world):
    """Withdrawal mid-round: between stages, while everybody signs everybody's log, nothing finished is lost."""
    scene = world()
    scene.agree()
    scene.build()
    job = segments_job()
    scene.admit(job)
    phone = scene.phones[WHO]
    leaves = Once("bank", "audit.cosigned/1", 1, lambda: scene.withdraw("bank", phone))
    outcome = scene.run(job, leaves)
    assert leaves.has_acted
    assert outcome.status == "done", outcome.texts
    opened = stages_opened(scene, COORDINATOR)
    assert opened in (["match", "segments"], ["match", "match", "segments"])
    assert phone not in set(scene.customers("bank", job)["identifier"])
    equals_pooled(scene, job)


@pytest.mark.scenario(1)
def test_withdrawal_of_somebody_who_is_not_matched_stops_nothing(world):
    """Withdrawal mid-round: whoever is no shared customer leaves without a trace in the job."""
    scene = world()
    scene.tables["shop"].loc[WHO, "phone"] = phones_of(200)[-1]
    scene.agree()
    scene.word("shop", "marketing", [phones_of(200)[-1]])
    scene.build()
    job = segments_job()
    scene.admit(job)
    phone = scene.phones[WHO]
    leaves = Once("bank", "kmeans.assignments/1", 1, lambda: scene.withdraw("bank", phone))
    outcome = scene.run(job, leaves)
    assert leaves.has_acted
    assert outcome.status == "done", outcome.texts
    assert stages_opened(scene, COORDINATOR) == ["match", "segments"]
    assert scene.events(COORDINATOR, EventType.ROUND_VOIDED) == []
    first, *_, last = snapshots(scene)
    assert first.size == last.size + 1
    commitment = commitment_of(scene, phone, job)
    verify_absence(last.root, commitment, last.absence(commitment))
    assert not any(isinstance(message, RowsWithdrawn) for message in sent(scene))
    equals_pooled(scene, job)
    assert scene.leaks() == []


def sent(scene):
    from federation import wire

    return [wire.decode(data) for *_, data in scene.federation.messages]


@pytest.mark.scenario(1)
def test_a_restriction_takes_a_subject_out_as_well(world):
    """Withdrawal mid-round: a restriction of processing (article 44) works like a withdrawal."""
    scene = world()
    scene.agree()
    scene.build()
    job = segments_job()
    scene.admit(job)
    phone = scene.phones[WHO]

    def restrict():
        changes = scene.changes("bank")
        changes.restrict(changes.identifiers([phone]), Restriction.REQUEST)

    leaves = Once("bank", "kmeans.assignments/1", 2, restrict)
    outcome = scene.run(job, leaves)
    assert leaves.has_acted
    has_left(scene, outcome, job, phone)
    voided(scene, reason="R-RESTRICTED-STATE")
    (event,) = scene.events("bank", EventType.DSR_RESTRICTED)
    assert event.artefact == "request"


# --- two withdraw


@pytest.mark.scenario(1)
def test_two_parties_lose_a_subject_at_once(world):
    """Withdrawal mid-round: at two parties in the same stage, with either's news first."""
    scene = world("bank", "shop", "telecom")
    scene.agree()
    scene.build()
    job = segments_job(parties=scene.parties)
    scene.admit(job)
    one, other = scene.phones[3], scene.phones[40]
    outcome = scene.run(
        job,
        together(
            Once("shop", "kmeans.partial_distances/1", 2, lambda: scene.withdraw("shop", one)),
            Once("telecom", "kmeans.partial_distances/1", 2, lambda: scene.withdraw("telecom", other)),
        ),
    )
    both_have_left(scene, outcome, job, one, other)


@pytest.mark.scenario(1)
@pytest.mark.parametrize("held", [StageVoided, RowsWithdrawn], ids=["to the coordinator", "to the others"])
def test_news_of_a_second_withdrawal_come_after_the_new_begin(world, held):
    """Withdrawal mid-round: what a party says about the old run of a stage arrives during the new one."""
    scene = world("bank", "shop", "telecom")
    scene.agree()
    scene.build()
    job = segments_job(parties=scene.parties)
    scene.admit(job)
    one, other = scene.phones[3], scene.phones[40]
    meeting, begun = threading.Barrier(2, timeout=SEEN_SECONDS), threading.Event()
    starts = []

    def at_once(party, phone):
        scene.withdraw(party, phone)
        meeting.wait()  # both have computed on the old consents, neither has told anybody

    def hold(own, recipient, message):
        if own == COORDINATOR and isinstance(message, StartStage):
            starts.append(recipient)
        if own == COORDINATOR and starts.count("telecom") == 4:  # match, witness, segments, segments again
            begun.set()
        if own == "telecom" and isinstance(message, held) and not begun.is_set():
            begun.wait(2.0)

    outcome = scene.run(
        job,
        together(
            Once("shop", "kmeans.partial_distances/1", 2, lambda: at_once("shop", one)),
            Once("telecom", "kmeans.partial_distances/1", 2, lambda: at_once("telecom", other)),
            hold,
        ),
    )
    both_have_left(scene, outcome, job, one, other)


def both_have_left(scene, outcome, job, *phones):
    assert outcome.status == "done", outcome.texts
    customers = set(scene.customers("bank", job)["identifier"])
    assert customers == set(scene.phones) - set(phones)
    for context in scene.contexts.values():
        assert len(context.kept.rows) == 90 - len(phones)
    equals_pooled(scene, job)
    assert scene.leaks() == []


# --- at the coordinator


def waits_for_the_watch(scene, party, phone):
    """Withdraw, and go on only when the node's watch has told the relay of it: a message is on its way meanwhile."""

    def act():
        before = len(scene.events(party, EventType.ROUND_VOIDED))
        scene.withdraw(party, phone)
        give_up = time.monotonic() + SEEN_SECONDS
        while len(scene.events(party, EventType.ROUND_VOIDED)) == before and time.monotonic() < give_up:
            time.sleep(0.02)
        time.sleep(0.1)  # the event comes right before the relay is told

    return act


@pytest.mark.scenario(1)
def test_an_update_on_older_consents_is_refused_at_the_coordinator(world):
    """Withdrawal mid-round: a message that was computed before is refused, discarded, and the stage begins again."""
    scene = world()
    scene.agree()
    scene.build()
    job = segments_job()
    scene.admit(job)
    phone = scene.phones[WHO]
    leaves = Once("bank", "kmeans.assignments/1", 2, waits_for_the_watch(scene, "bank", phone))
    outcome = scene.run(job, leaves, over_http=True)
    assert leaves.has_acted
    has_left(scene, outcome, job, phone)
    (event,) = scene.events(COORDINATOR, EventType.ROUND_UPDATE_REFUSED)
    assert (event.artefact, event.reasons) == ("bank", ("R-CONSENT-STALE-SNAPSHOT",))
    assert event.session == scene.session
    assert stages_opened(scene, COORDINATOR) == ["match", "segments", "segments"]


@pytest.mark.scenario(1)
@pytest.mark.parametrize(
    "kind", ["session.attestation/1", "session.rows_withdrawn/1", "session.stage_voided/1"]
)
def test_another_withdrawal_while_the_first_is_told(world, kind):
    """Withdrawal mid-round: one more leaves while the news of the first is on its way to the others."""
    scene = world()
    scene.agree()
    scene.build()
    job = segments_job()
    scene.admit(job)
    one, other = scene.phones[3], scene.phones[40]
    first = Once("bank", "kmeans.assignments/1", 2, lambda: scene.withdraw("bank", one))
    second = Once("bank", kind, 1, waits_for_the_watch(scene, "bank", other))

    def watch(own, recipient, message):
        if first.has_acted:
            second(own, recipient, message)
        first(own, recipient, message)

    outcome = scene.run(job, watch, over_http=True)
    assert second.has_acted
    both_have_left(scene, outcome, job, one, other)


@pytest.mark.scenario(1)
def test_a_party_that_does_not_look_gets_nothing_through(world, monkeypatch):
    """Withdrawal mid-round: a node whose own check before sending is switched off is stopped by the coordinator."""
    scene = world()
    scene.agree()
    scene.build()
    job = segments_job(deadlines=Deadlines(join=30, silence=30, step=2))
    scene.admit(job)
    phone = scene.phones[WHO]
    look = Gate.look

    def blind(gate):
        watching = threading.current_thread().name == "consent-watch"
        return look(gate) if watching else False

    monkeypatch.setattr(Gate, "look", blind)
    delivered = []
    leaves = Once("bank", "kmeans.assignments/1", 2, waits_for_the_watch(scene, "bank", phone))

    def watch(own, recipient, message):
        leaves(own, recipient, message)
        if leaves.has_acted and own == COORDINATOR:
            delivered.append(message)

    outcome = scene.run(job, watch, over_http=True)
    assert leaves.has_acted
    assert outcome.status == "failed"
    assert all("R-CONSENT-STALE-SNAPSHOT" in text for text in outcome.texts.values())
    refusals = scene.events(COORDINATOR, EventType.ROUND_UPDATE_REFUSED)
    assert {(event.artefact, event.reasons) for event in refusals} == {
        ("bank", ("R-CONSENT-STALE-SNAPSHOT",))
    }
    assert not scene.home("bank").results.exists() or phone not in set(
        scene.customers("bank", job)["identifier"]
    )
    assert not any("kmeans" in tag_of(message) for message in delivered)  # nothing followed from it
    assert scene.leaks() == []


@pytest.mark.scenario(1)
def test_leaves_of_a_snapshot_are_hashes_alone():
    """Withdrawal mid-round: what proves absence tells nobody who is there."""
    members = np.arange(64, dtype=np.uint8).reshape(2, 32)
    snapshot = Snapshot.of(members)
    assert leaf_hash(members[0].tobytes()) in snapshot.membership(members[1].tobytes()).path
