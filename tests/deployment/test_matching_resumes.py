"""A node is killed in the middle of a matching over real Flower; the rerun of the job goes on where it ended."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from federation.jobfile import JobFile, PartyEntry, read_job_file
from federation.jobs import PartyRole
from federation.messages import COORDINATOR
from server.jobs.submitting import SubmittedJob
from server.local import LocalFederation

pytestmark = pytest.mark.timeout(300)
ROWS = 80_000
SHARED = 50_000
JOB = """
name = "resume"
purpose = "credit_risk"
profile = "TESTING_ONLY"
[match]
mode = "ecdh"
[deadlines]
join = 150
silence = 15
step = 120
"""
PARTY = """
[[party]]
name = "{name}"
role = "{role}"
[party.table]
path = "{name}.parquet"
id_column = "phone"
id_kind = "phone"
extra_prefixes = ["12"]
"""
ROLES = {"bank": PartyRole.LABEL_HOLDER, "shop": PartyRole.FEATURE_HOLDER}


@pytest.fixture
def federation(tmp_path):
    phones = np.char.add("12", np.char.zfill(np.arange(2 * ROWS - SHARED).astype(str), 9))
    for name, own in {"bank": phones[:ROWS], "shop": phones[-ROWS:]}.items():
        pd.DataFrame({"phone": own[::-1]}).to_parquet(tmp_path / f"{name}.parquet")
    source = tmp_path / "job.toml"
    source.write_text(JOB + "".join(PARTY.format(name=name, role=role) for name, role in ROLES.items()))
    parsed: JobFile = read_job_file(source)
    assert all(isinstance(entry, PartyEntry) for entry in parsed.party)
    local = LocalFederation(tmp_path / "federation", parsed, source)
    local.start()
    yield local, parsed.job
    local.stop()


def run(local, job, on_event):
    return SubmittedJob(local.coordinator, job).follow(on_event)


def test_a_killed_matching_resumes(federation) -> None:
    local, job = federation
    unfinished = local.coordinator.folder / "unfinished"
    killed = False

    def kill_when_a_third_is_done(event) -> None:
        nonlocal killed
        is_join = event["event"] == "progress" and event["party"] == COORDINATOR
        if is_join and not killed and event["done"] * 3 > event["total"]:
            local.kill_node("shop")
            killed = True

    outcome = run(local, job, kill_when_a_third_is_done)
    assert killed
    assert outcome.status == "failed"
    assert "shop" in outcome.texts["en"]
    held = [file for file in unfinished.rglob("*") if file.is_file()]
    assert held

    done = []

    def note(event) -> None:
        if event["event"] == "progress" and event["party"] == COORDINATOR:
            done.append((event["done"], event["total"]))

    local.start_node("shop")
    again = run(local, job, note)
    assert again.status == "done", again.texts
    releases = again.result["releases"]
    assert {releases[party]["session.match_release/1"]["matched"] for party in ROLES} == {SHARED}
    # It began with what was there, and only the rest went round.
    assert done[0][0] > 0
    sent = sum(sum(party["bytes_sent"].values()) for party in again.result["traffic"]["match"].values())
    whole = 2 * ROWS * (32 + 16)  # every identifier: a point to the other party, a token to the coordinator
    assert sent < whole * 0.8
    assert not unfinished.exists() or not any(unfinished.iterdir())
