"""A subject withdraws at a deployed node, from another process, while the job trains: real processes on loopback."""

from __future__ import annotations

import csv
import subprocess
from pathlib import Path

import msgspec
import pytest

from clients.home import NodeHome
from clients.sample import make_world, write_world
from clients.sample.job import write_job
from federation.children import program
from federation.jobfile import read_job_file
from server.jobs.submitting import SubmittedJob
from server.local import LocalFederation

pytestmark = pytest.mark.timeout(300)


def withdraw(home: Path, phones: list[str]) -> None:
    """As an officer would type it; the identifiers go through standard input."""
    command = (program("silhouette-node"), "consent", "withdraw", "--home", str(home))
    subprocess.run(command, input="\n".join(phones), text=True, check=True, capture_output=True)


def test_a_withdrawal_by_command_takes_the_subject_out_of_the_running_job(tmp_path) -> None:
    write_world(make_world(800, seed=5), tmp_path / "world")
    file = write_job(tmp_path / "world", with_scorecard=False)
    file.write_text('profile = "TESTING_ONLY"\n' + file.read_text())
    parsed = read_job_file(file)
    local = LocalFederation(tmp_path / "federation", parsed, file)
    local.start()
    try:
        match_only = msgspec.structs.replace(parsed.job, name="look", segments=None, risk=None)
        assert SubmittedJob(local.coordinator, match_only).follow(lambda event: None).status == "done"
        shop = local.home_of("ecommerce")
        (customers,) = NodeHome.open(shop).results.rglob("customers.csv")
        with customers.open(newline="") as stream:
            person = next(csv.DictReader(stream))["identifier"]

        gone = False

        def watch(event) -> None:
            nonlocal gone
            trains = event["event"] == "progress" and event["step"] == "boosting.trees" and event["done"] >= 2
            if trains and not gone:
                gone = True
                withdraw(shop, [person])

        long = msgspec.structs.replace(
            parsed.job, segments=None, risk=msgspec.structs.replace(parsed.job.risk, trees=60)
        )
        outcome = SubmittedJob(local.coordinator, long).follow(watch)
        assert gone
        assert outcome.status == "done", outcome.texts
        log = [event.type.value for event in local.coordinator.audit.events()]
        assert "round.voided" in log
        bank = NodeHome.open(local.home_of("bank"))
        scored = next(file for file in bank.results.rglob("customers.csv") if long.name in str(file))
        assert person not in scored.read_text()
        events = list(NodeHome.open(shop).audit.events())
        assert any(event.type == "consent.withdrawn" and event.sref for event in events)
        assert any(event.type == "round.voided" for event in events)
        for folder in (local.coordinator.folder, *local.homes):
            for found in folder.rglob("*"):
                if found.is_file() and "results" not in found.parts:
                    assert person.encode() not in found.read_bytes(), found
    finally:
        local.stop()
