"""A whole job over sealed sessions: the right result, and nothing on the wire or on disk that should not be there."""

import csv
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from enumeration import found_in
from gate_scene import loaded
from in_process import InProcessFederation, sample_plans
from matching_parties import as_identifiers
from needles import found_in_bytes
from spelled import texts_of

from clients.compare import compare
from clients.sample import make_world, risk_fields, sample_table, write_world
from clients.tables.loading import load
from clients.validation.record import ModelKind, ValidationReport
from clients.validation.render import JSON_FILE
from federation import align, audit_messages, boosting, insight, kmeans, scoring, session, wire
from federation.files import FolderStore
from federation.jobs import Deadlines, Job, MatchPlan, RiskPlan, SegmentsPlan
from federation.messages import COORDINATOR

PARTIES = ("bank", "ecommerce", "telecom")
SESSION = "5e5510" * 5


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One job over a small world: everything it sent, and every file it left."""
    folder = tmp_path_factory.mktemp("federation")
    world = make_world(2000, seed=11)
    write_world(world, folder / "world")
    job = Job(
        name="whole",
        purpose="credit_risk",
        profile="TESTING_ONLY",
        parties=sample_plans(PARTIES),
        segments=SegmentsPlan(n_clusters=3, n_init=1),
        risk=RiskPlan(trees=4, depth=3, bins=16),
        deadlines=Deadlines(join=30, silence=30, step=120),
    )
    tables = {party: sample_table(folder / "world", party) for party in PARTIES}
    patch = pytest.MonkeyPatch()
    stored = []
    put = FolderStore.put

    def noting(store, name, data):
        stored.append(data)
        put(store, name, data)

    patch.setattr(FolderStore, "put", noting)
    logs = []
    handler = logging.Handler()
    handler.emit = lambda record: logs.append(handler.format(record))
    logging.getLogger().addHandler(handler)
    try:
        federation = InProcessFederation(folder / "homes", tables)
        outcome = federation.run(job, SESSION, patch)
        federation.job = job
    finally:
        logging.getLogger().removeHandler(handler)
        patch.undo()
    return federation, outcome, world, folder / "world", logs, stored


def test_the_job_is_done_and_equals_pooled_models(finished) -> None:
    federation, outcome, *_ = finished
    assert outcome.status == "done", outcome.texts
    found = compare([home.folder for home in federation.nodes.values()], SESSION)
    assert found["segments"]["ari_pooled"] == 1.0
    assert found["segments"]["largest_centroid_difference"] < 1e-6
    assert found["risk"]["largest_score_difference"] < 1e-12
    released = outcome.result["releases"]["bank"]["session.risk_release/1"]
    assert released["auc_joint"] == found["risk"]["auc_pooled"]
    assert released["ks_joint"] == found["risk"]["ks_pooled"]


def test_the_label_holder_has_a_report_on_the_trees(finished) -> None:
    federation, outcome, *_ = finished
    results = federation.nodes["bank"].results / f"whole-{SESSION[:8]}"
    report = ValidationReport.from_json((results / JSON_FILE).read_bytes())
    released = outcome.result["releases"]["bank"]["session.risk_release/1"]
    assert report.identification.kind is ModelKind.BOOSTING
    assert report.performance.joint.held_out.auc == released["auc_joint"]
    assert report.disclosed.undeclared == 0
    assert len(list(federation.folder.rglob(JSON_FILE))) == 1


def test_matched_rows_are_the_pandas_join(finished) -> None:
    federation, outcome, *_ = finished
    sets = []
    for party, home in federation.nodes.items():
        table = loaded(home, federation.job, with_label=party == "bank")
        sets.append(set(texts_of(table.identifiers)))
    matched = outcome.result["releases"]["bank"]["session.match_release/1"]["matched"]
    assert matched == len(set.intersection(*sets)) > 50
    customers = pd.read_csv(
        federation.nodes["bank"].results / f"whole-{SESSION[:8]}" / "customers.csv", dtype={0: str}
    )
    assert set(customers["identifier"]) == set.intersection(*sets)


def needles(world_folder: Path, world) -> list[bytes]:
    """Every identifier, canary and sensitive cell of the world, as text."""
    found: list[bytes] = []
    for party in PARTIES:
        with (world_folder / party / "customers.csv").open(newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                for column in ("phone", "resident_id", "remark"):
                    if len(row.get(column) or "") >= 8:
                        found.append(row[column].encode())
    found += canaries(world)
    assert len(found) > 1000
    return found


def canaries(world) -> list[bytes]:
    """The strings and odd numbers planted at each party, as text and as the floats that a leak would send."""
    found: list[bytes] = []
    for party in world.summary["parties"].values():
        planted = party["canaries"]
        number = planted["number"]
        found += [planted["text"].encode(), str(number).encode()]
        found += [np.float64(value).tobytes() for value in (number, np.log1p(number))]
    assert len(found) == 4 * len(PARTIES)
    return found


def test_no_identifier_or_canary_is_on_the_wire_on_disk_or_in_logs(finished) -> None:
    federation, _, world, world_folder, logs, _ = finished
    wanted = needles(world_folder, world)
    plain = b"\n".join(message for _, _, message in federation.messages)
    assert found_in_bytes(plain, wanted) == []
    assert found_in_bytes(b"\n".join(frame for *_, frame in federation.frames), wanted) == []
    assert found_in_bytes("\n".join(logs).encode(), wanted) == []
    for file in federation.folder.rglob("*"):
        # A party's own results are its own customers'; everything else must hold none.
        if file.is_file() and "results" not in file.parts:
            assert found_in_bytes(file.read_bytes(), wanted) == [], file


def test_walking_through_the_phones_finds_none_in_what_the_coordinator_stored(finished) -> None:
    """Every byte that the coordinator kept or was sent, against every phone of the sample world."""
    federation, _, world, *_, stored = finished
    phones = sorted({phone for party in PARTIES for phone in world.truth[f"phone_{party}"] if phone})
    received = [data for _, recipient, data in federation.messages if recipient == COORDINATOR]
    files = [file.read_bytes() for file in federation.coordinator.folder.rglob("*") if file.is_file()]
    tokens = sum(map(len, stored)) // 16
    assert tokens > 1000  # the lists of all parties
    assert found_in([*stored, *received, *files], as_identifiers(phones)) == 0
    assert not (federation.coordinator.folder / "unfinished").exists() or not any(
        (federation.coordinator.folder / "unfinished").iterdir()
    )


def test_no_feature_value_crosses_in_binary(finished) -> None:
    federation, *_ = finished
    # Means of segments are released, rounded, and may happen to equal somebody's value.
    messages = [data for *_, data in federation.messages if b"insight.segment_profile" not in data[:40]]
    assert 0 < len(federation.messages) - len(messages) == len(PARTIES)
    plain = b"\n".join(messages)

    for party, home in federation.nodes.items():
        # As the file has them: what the gate makes of them for the job is coarser.
        table = load(home.settings.table, "credit_risk", risk_fields(party), with_label=False)
        distinct = np.unique(table.values[np.isfinite(table.values)])
        odd = distinct[distinct != np.round(distinct, 1)][:2000]
        assert len(odd) > 100
        assert found_in_bytes(plain, [np.float64(value).tobytes() for value in odd]) == []


def test_every_message_is_declared_for_its_recipient(finished) -> None:
    federation, *_ = finished
    declared = {"label_holder": set(), "feature_holder": set(), "coordinator": set()}
    releases = (session.MATCH_RELEASES, session.SEGMENT_RELEASES, session.RISK_RELEASES)
    protocols = [module.DISCLOSES for module in (kmeans, insight, boosting, scoring, audit_messages)]
    protocols.append(session.GATE_DISCLOSES)
    protocols.append(align.disclosures_of(MatchPlan()))
    for protocol in (*protocols, *releases):
        for role, allowed in declared.items():
            for disclosure in getattr(protocol, role):
                allowed |= set(disclosure.messages)
    control = {message.__struct_config__.tag for message in session.MESSAGES}
    control -= {tag for tag in control if "release" in tag}
    seen = set()
    for _, recipient, data in federation.messages:
        role = {COORDINATOR: "coordinator", "bank": "label_holder"}.get(recipient, "feature_holder")
        tag = wire.tag_of(wire.decode(data))
        seen.add(tag)
        assert tag in declared[role] | control, (recipient, tag)
    assert {
        "align.circle_part/1",
        "kmeans.partial_distances/1",
        "boosting.gradients/1",
        "scoring.ask/1",
    } <= seen


def test_the_secret_key_stays_in_the_label_holders_process(finished) -> None:
    federation, *_ = finished
    names = [name for home in federation.nodes.values() for name in home.vault.names()]
    assert any(name.endswith("/scores") for name in names)
    assert not any("paillier" in name for name in names)


def test_the_coordinator_never_imports_decryption() -> None:
    import subprocess
    import sys

    code = (
        "import server.app, server.cli, server.rounds, server.service, server.web, server.running, sys;"
        "sys.exit('privacy.paillier_secret' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_session_name_is_used_once(finished) -> None:
    federation, *_ = finished
    from privacy.errors import UnexpectedMessage

    with pytest.raises(UnexpectedMessage):
        federation.nodes["bank"].vault.use_session(SESSION)
