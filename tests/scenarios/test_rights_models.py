"""Scenarios 18 to 21: what a deletion does to models and to restored nodes, three deployed nodes on loopback."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pandas as pd
import pytest
from plain_segments import lloyd
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from three_nodes import ThreeNodes, eventually

from clients.backup.ledger import LEDGER_FILE
from clients.compare import PooledParty
from clients.consents.node import changes_of
from clients.consents.subjects import commitments, kind_label
from clients.consents.tables import Source
from clients.forgetting.cards import cards as all_cards
from clients.forgetting.digests import segments_part
from clients.forgetting.earlier import EarlierSegments, starts_among
from clients.forgetting.records import check_release
from clients.forgetting.releasing import view
from clients.rights import receipts
from clients.rights.absences import last_snapshots, proofs_of
from clients.rights.locating import locate
from clients.rights.needles import Needles, of_identifiers
from clients.rights.searching import needles_of, traces
from federation.children import program
from federation.jobs import SegmentsPlan
from federation.pace import today
from federation.recall import MINIMUM_CHANGES
from federation.standalone import verify
from federation.terminal import EXIT_REFUSED
from privacy.errors import Denied
from privacy.receipts import Opening, ProvedAbsence, read

pytestmark = pytest.mark.timeout(300)

CLUSTERS = 24
"""So many for some 150 shared customers that a centre is the mean of few (k_min is 5 in tests)."""
RESTORED = "telecom"
"""The party that comes back from a backup."""
FIRST, RESTRICTED, STAYING, LEAVERS = 0, 1, 2, range(3, 13)
"""Which people the tests take."""


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    made = ThreeNodes(tmp_path_factory.mktemp("models"))
    made.job = msgspec.structs.replace(made.job, segments=SegmentsPlan(n_clusters=CLUSTERS, n_init=1))
    try:
        made.start()
        yield made
    finally:
        made.stop()


def filed(nodes, people, kind="delete"):
    """The numbers of requests that the bank's officer files for people."""
    words = ("request", "new", "--kind", kind, "--verified-by", "branch")
    return [case["number"] for case in nodes.node_json("bank", *words, stdin="\n".join(people))]


def ended(nodes, numbers):
    """These numbers, when all have come to their end at every party that was told."""
    eventually(lambda: all(nodes.case("bank", number)["state"] == "completed" for number in numbers))
    return numbers


def forget(nodes, session):
    """`silhouette forget`, as an operator types it."""
    home, into = nodes.local.coordinator.folder, nodes.folder / "reports"
    words = (program("silhouette"), "forget", session, "--home", str(home), "--into", str(into))
    return subprocess.run(words, text=True, capture_output=True, check=False)


def cards(nodes, party, session):
    """A party's models of a session as `silhouette-node models list --json` prints them, by kind."""
    return {card["kind"]: card for card in listed(nodes, party) if card["session"] == session}


def listed(nodes, party):
    """All of a party's models, the oldest first."""
    home = nodes.home(party)
    return [msgspec.to_builtins(view(home, card, today())) for card in all_cards(home)]


def events(nodes, party, kind):
    return [event for event in nodes.home(party).audit.events() if event.type.value == kind]


@dataclass(frozen=True)
class Forgotten:
    """What came of one deletion, and of enough of them. tainted: the bank's cards after the one; receipts: by number;
    again: the session that trained without them."""

    tainted: dict[str, Any]
    refused: subprocess.CompletedProcess[str]
    sessions: list[str]
    replaced_then: dict[str, str]
    done: subprocess.CompletedProcess[str]
    receipts: list[bytes]
    again: str


@pytest.fixture(scope="module")
def forgotten(nodes):
    """One deletion and at once `silhouette forget`; then enough of them, and again."""
    restricted = filed(nodes, [nodes.person(RESTRICTED)], kind="restrict")
    numbers = ended(nodes, filed(nodes, [nodes.person(FIRST)]))
    ended(nodes, restricted)
    tainted = cards(nodes, "bank", nodes.session)
    refused = forget(nodes, nodes.session)
    sessions = [card["session"] for card in listed(nodes, "bank")]
    replaced = {kind: card["superseded_by"] for kind, card in cards(nodes, "bank", nodes.session).items()}
    numbers += ended(nodes, filed(nodes, [nodes.person(number) for number in LEAVERS]))
    done = forget(nodes, nodes.session)
    found = [
        eventually(lambda number=number: receipts.kept(nodes.home("bank"), number)) for number in numbers
    ]
    again = next(
        card["session"]
        for card in listed(nodes, "bank")
        if card["session"] != nodes.session and card["state"] == "active"
    )
    return Forgotten(tainted, refused, sessions, replaced, done, found, again)


@dataclass(frozen=True)
class Backups:
    """archive: a file; copy: of the home's folder; subjects: in the archive; needles: what the person is called."""

    archive: Path
    copy: Path
    subjects: int
    needles: Needles


@pytest.fixture(scope="module")
def backups(nodes, forgotten, tmp_path_factory):
    """Of a node, before the last of the people is deleted."""
    folder = tmp_path_factory.mktemp("backups")
    nodes.local.stop_node(RESTORED)
    made = nodes.node_json(RESTORED, "backup", "create", str(folder / "archive"))
    shutil.copytree(nodes.local.home_of(RESTORED), folder / "copy")
    nodes.local.start_node(RESTORED)
    home = nodes.home(RESTORED)
    identifiers = changes_of(home, Source.CLI).identifiers([nodes.person(RESTRICTED)]).tolist()
    needles = needles_of(home, locate(home, identifiers))
    return Backups(folder / "archive", folder / "copy", made["subjects"], needles)


@pytest.fixture(scope="module")
def deleted(nodes, forgotten, backups):
    """The request of the person who was restricted, and is deleted after the backups were made."""
    (number,) = ended(nodes, filed(nodes, [nodes.person(RESTRICTED)]))
    return number


# --- 21


@pytest.mark.scenario(21)
def test_after_one_deletion_no_model_is_trained_again(nodes, forgotten):
    """Differencing: the difference of the two models would speak of this person."""
    assert forgotten.tainted["secureboost"]["state"] == "tainted"
    assert forgotten.tainted["secureboost"]["tainted_by"] < MINIMUM_CHANGES
    said = forgotten.refused.stdout + forgotten.refused.stderr
    assert forgotten.refused.returncode == 1, said
    assert "R-DIFFERENCING-RISK" in said
    assert set(forgotten.sessions) == {nodes.session}
    assert set(forgotten.replaced_then.values()) == {""}
    told = [nodes.home("bank").audit, nodes.local.coordinator.audit]
    for log in told:  # by who refused, and by who heard of it
        refusals = [event for event in log.events() if event.type.value == "round.update_refused"]
        assert ("R-DIFFERENCING-RISK",) in [event.reasons for event in refusals]
    people = of_identifiers(nodes.person(number).encode() for number in (FIRST, RESTRICTED))
    assert not traces(nodes.local.coordinator.folder, people)


@contextlib.contextmanager
def least_changes(nodes, party, count):
    """The party asks for more changes between two versions of a model."""
    home = nodes.home(party)
    before = home.settings
    home.write_settings(msgspec.structs.replace(before, release_after_changes=count))
    try:
        yield
    finally:
        home.write_settings(before)


@pytest.mark.scenario(21)
def test_after_enough_changes_it_is_trained_again_and_may_be_released(nodes, forgotten, tmp_path):
    """Differencing: with enough changes both pass; a node that asks for more still releases nothing."""
    assert forgotten.done.returncode == 0, forgotten.done.stdout + forgotten.done.stderr
    model = cards(nodes, "bank", forgotten.again)["secureboost"]
    assert model["honoured"] == len(LEAVERS) + 2  # with the one who is restricted
    with least_changes(nodes, "bank", model["honoured"] + 1):
        said = nodes.refused("bank", "models", "release", model["number"], "--into", str(tmp_path / "no"))
    assert "R-DIFFERENCING-RISK" in said
    assert not (tmp_path / "no").exists()
    last = events(nodes, "bank", "access.denied")[-1]
    assert (last.artefact, last.reasons) == ("secureboost", ("R-DIFFERENCING-RISK",))
    assert last.digests == {"model": model["digest"]}
    nodes.node("bank", "models", "release", model["number"], "--into", str(tmp_path / "model.json"))
    assert events(nodes, "bank", "model.released")[-1].digests == {"model": model["digest"]}
    released = json.loads((tmp_path / "model.json").read_bytes())
    assert released["card"]["tainted_by"] == 0


# --- 19


@pytest.mark.scenario(19)
def test_the_old_models_are_superseded(nodes, forgotten):
    """Retrain proof: every party's cards say which model took whose place; the old one may not be used."""
    for party in nodes.PARTIES:
        old, new = cards(nodes, party, nodes.session), cards(nodes, party, forgotten.again)
        assert old.keys() == new.keys() == {"kmeans", "secureboost"}
        for kind, card in old.items():
            assert card["state"] == "superseded"
            assert (card["superseded_by"], new[kind]["supersedes"]) == (new[kind]["number"], card["number"])
            assert (new[kind]["state"], new[kind]["tainted_by"]) == ("active", 0)
            assert any(
                event.digests == {"model": card["digest"], "successor": new[kind]["digest"]}
                for event in events(nodes, party, "model.superseded")
            )
    old = cards(nodes, "bank", nodes.session)["secureboost"]
    assert "R-MODEL-TAINTED" in nodes.refused("bank", "models", "release", old["number"])


@pytest.mark.scenario(19)
def test_nobody_who_was_deleted_is_in_a_later_root(nodes, forgotten):
    """Retrain proof: each receipt opens the proof that its subject is in no root since, checked offline."""
    home = nodes.home("bank")
    snapshots = {item.session: item for item in last_snapshots(home)}
    before, after = snapshots[nodes.session], snapshots[forgotten.again]
    root = cards(nodes, "bank", forgotten.again)["secureboost"]["snapshot"]
    assert root == after.snapshot.root.hex()
    assert any(event.digests.get("snapshot") == root for event in home.audit.events())
    for receipt in forgotten.receipts:
        opening = read(receipt).opening
        assert commitment(opening, before.context) in before.snapshot
        (proved,) = proofs_of([after], opening)
        check_offline(proved, commitment(opening, after.context), root)
    stays = home.consents.openings(tokens_of(home, nodes.person(STAYING)))
    other = Opening(key=stays[0].tobytes().hex())
    assert proofs_of([after], other) == ()
    with pytest.raises(ValueError, match=r"neighbours|member"):
        check_offline(proved, commitment(other, after.context), before.snapshot.root.hex())


def commitment(opening, context):
    key = np.frombuffer(bytes.fromhex(opening.key), np.uint8)[None, :]
    return commitments(key, context.encode())[0].tobytes()


def tokens_of(home, person):
    identifiers = changes_of(home, Source.CLI).identifiers([person])
    return home.consents.tokens(kind_label(home.settings.table), identifiers)


def check_offline(proved: ProvedAbsence, own: bytes, root: str) -> None:
    """By the auditor's program, which knows nothing of ours. Raises `ValueError`."""
    verify.check_absence(own, bytes.fromhex(root), json.loads(msgspec.json.encode(proved.proof)))


@pytest.mark.scenario(19)
def test_a_receipt_proves_by_itself_that_later_rounds_were_without_its_subject(
    nodes, forgotten, deleted, tmp_path
):
    """Retrain proof: restricted first and deleted after the training, somebody holds the whole proof in hand."""
    file = tmp_path / "receipt.json"
    data = nodes.receipt("bank", deleted, file)
    (proved,) = [item for item in read(data).absences if item.session == forgotten.again]
    assert proved.root == cards(nodes, "bank", forgotten.again)["secureboost"]["snapshot"]
    assert checked(file) == 0
    forged = json.loads(data)
    forged["sections"]["absences"][0]["root"] = "0" * 64
    file.write_text(json.dumps(forged))
    assert checked(file) != 0


def checked(file):
    """The status of a check that needs no home and no network."""
    words = (program("silhouette-node"), "request", "verify-receipt", str(file))
    return subprocess.run(words, capture_output=True, check=False).returncode


# --- 20


@pytest.mark.scenario(20)
def test_segments_of_few_people_are_not_released(nodes, tmp_path):
    """Model containing records: a centre is the mean of fewer than k_min rows; the trees may leave."""
    newest = {card["kind"]: card for card in listed(nodes, "bank")}
    model = newest["kmeans"]
    said = nodes.refused("bank", "models", "release", model["number"], "--into", str(tmp_path / "no"))
    assert "R-MODEL-CONTAINS-RECORDS" in said
    assert not (tmp_path / "no").exists()
    last = events(nodes, "bank", "access.denied")[-1]
    assert last.artefact == "kmeans"
    assert "R-MODEL-CONTAINS-RECORDS" in last.reasons
    known = [row["identifier"].encode() for row in nodes.customers()]
    assert not any(one in said.encode() for one in known)


@pytest.mark.scenario(20)
def test_an_estimator_that_keeps_rows_is_not_released(nodes):
    """Model containing records: nearest neighbours are refused, extremes of a scaler are told."""
    table = pd.read_csv(nodes.world / "bank" / "customers.csv").dropna()
    columns = table.select_dtypes("number").drop(columns=["phone"], errors="ignore")
    x, y = columns.iloc[:, :-1].to_numpy(), (columns.iloc[:, -1] > columns.iloc[:, -1].median()).to_numpy()
    with pytest.raises(Denied) as caught:
        check_release(KNeighborsClassifier().fit(x, y))
    assert set(caught.value.findings.codes) == {"R-MODEL-CONTAINS-RECORDS"}
    told = str(caught.value)
    assert "_fit_X" in told
    assert not any(str(phone) in told for phone in table["phone"])
    notes = check_release(make_pipeline(MinMaxScaler(), LogisticRegression()).fit(x, y))
    assert {"extremes"} == {note.kind.value for note in notes}
    assert any(note.part.endswith("data_max_") for note in notes)


# --- 18


@pytest.mark.scenario(18)
def test_a_restored_node_takes_part_only_after_it_has_deleted_again(nodes, backups, deleted, tmp_path):
    """Backup restore: neither an archive nor a copy of the folder brings anybody back who was deleted since."""
    home, newest, needles = nodes.local.home_of(RESTORED), tmp_path / "newest", backups.needles
    assert traces(backups.copy, needles)
    nodes.local.stop_node(RESTORED)
    outcomes = {one["artefact"]: one["result"] for one in nodes.case(RESTORED, deleted)["outcomes"]}
    assert outcomes["backup"] == "crypto_shredded"
    assert {"subject"} < {event.artefact for event in events(nodes, RESTORED, "key.shredded")}
    home.rename(newest)

    # The copy: an old ledger of deletions, and everything of the person.
    shutil.copytree(backups.copy, home)
    size = nodes.home(RESTORED).audit.size
    assert "R-RESTORE-NOT-REPLAYED" in refused_at_start(nodes)
    assert nodes.home(RESTORED).audit.size == size  # an old log gives no new event a number
    replay_with_newest_log(nodes, newest)
    assert not traces(home, needles)

    # The archive: nothing of the person can be opened in it, with the newest keys.
    shutil.rmtree(home)
    log = ("--audit-log", str(newest / "audit"))
    done = nodes.node_json(RESTORED, "backup", "restore", str(backups.archive), "--keys", str(newest), *log)
    assert (done["subjects"], done["left_out"]) == (backups.subjects - 1, 1)
    assert not traces(home, needles)
    assert "R-RESTORE-NOT-REPLAYED" in refused_at_start(nodes)
    done = nodes.node_json(RESTORED, "backup", "replay")
    assert (done["entries"] > 0, done["subjects"]) == (True, 0)
    assert events(nodes, RESTORED, "restore.replayed")

    # A running node whose disk was put back is asked before every session.
    nodes.local.start_node(RESTORED)
    eventually(lambda: is_up(nodes))
    (home / LEDGER_FILE).rename(tmp_path / LEDGER_FILE)
    job = msgspec.structs.replace(nodes.job, segments=None, risk=None)
    outcome = nodes.run(job)
    assert outcome.status == "failed"
    assert "R-RESTORE-NOT-REPLAYED" in outcome.texts["en"]
    nodes.node(RESTORED, "backup", "replay")
    assert not traces(home, needles)
    assert not any(traces(folder, needles) for folder in nodes.folders)


@pytest.mark.scenario(18)
@pytest.mark.scenario(19)
def test_a_training_without_the_people_gives_the_same_trees(nodes, forgotten):
    """Retrain proof: a job that never had the people, with the node that was restored, has the same digests."""
    before = set(nodes.sessions("bank"))
    outcome = nodes.run()
    assert outcome.status == "done", outcome.texts
    (fresh,) = set(nodes.sessions("bank")) - before
    for party in nodes.PARTIES:
        first, again, never = (
            cards(nodes, party, session)["secureboost"]["digest"]
            for session in (nodes.session, forgotten.again, fresh)
        )
        assert never == again
        assert party != "bank" or again != first


@pytest.mark.scenario(19)
def test_a_plain_run_from_the_recorded_rows_gives_the_same_segments(nodes, forgotten):
    """Retrain proof: rebuilt from the pooled tables, every party's part has the digest that its card names."""
    pooled = [PooledParty(nodes.local.home_of(party), forgotten.again) for party in nodes.PARTIES]
    recorded = EarlierSegments.read(nodes.home("bank"), forgotten.again)
    starts = starts_among(recorded.starts, pooled[0].context.file_places)
    _, centroids = lloyd([one.standardized() for one in pooled], starts, recorded.n_clusters)
    for party, one, found in zip(nodes.PARTIES, pooled, centroids, strict=True):
        fields = one.context.admitted(one.context.plan.segment_fields)
        part = segments_part(recorded.n_clusters, fields, found)
        assert hashlib.sha256(part).hexdigest() == cards(nodes, party, forgotten.again)["kmeans"]["digest"]


def is_up(nodes):
    """Whether the node has started: its desk answers."""
    with nodes.desk(RESTORED) as desk, contextlib.suppress(httpx.TransportError):
        return desk.get("/").status_code > 0
    return False


def refused_at_start(nodes):
    """What `silhouette-node start` says of a node that may not start."""
    words = (program("silhouette-node"), "start", "--home", str(nodes.local.home_of(RESTORED)))
    done = subprocess.run(words, text=True, capture_output=True, check=False, timeout=60)
    assert done.returncode == EXIT_REFUSED, done.stdout + done.stderr
    return done.stdout + done.stderr


def replay_with_newest_log(nodes, newest):
    """Deleting again needs the newest log; an old one is refused."""
    home = nodes.local.home_of(RESTORED)
    nodes.node(RESTORED, "backup", "replay", status=1)
    shutil.rmtree(home / "audit")
    shutil.copytree(newest / "audit", home / "audit")
    assert nodes.node_json(RESTORED, "backup", "replay")["subjects"] == 1
    assert events(nodes, RESTORED, "restore.replayed")
