"""A job driven by a program: drafted, previewed, proposed, waited for, read."""

from __future__ import annotations

import io
import json

import pytest
import report_scene
from client_scene import jobs_whose_waits, opened
from console_scene import Scene
from rich.console import Console as Terminal

from federation.client import draft
from federation.client.watching import shown
from federation.jobfile import job_file_of
from privacy.errors import ConfigInvalid, DeadlinePassed, NotFound, StateConflict

FIELDS = {"bank": ["income", "debt"], "shop": ["spend"]}


def a_draft(name="notebook", **others):
    return draft(name, "credit_risk", label_holder="bank", fields=FIELDS, **({"segments": {}} | others))


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path)


@pytest.fixture
def console(scene):
    return opened(scene, "mo")


def test_a_draft_is_a_job_file():
    job = job_file_of(
        a_draft(risk={"trees": 5}, segments={"n_clusters": 3}, match={"mode": "keyed"}), "draft"
    ).job
    assert job.roles.label_holder == "bank"
    assert (job.segments.n_clusters, job.risk.trees, job.match.mode) == (3, 5, "keyed")
    assert job.parties[0].segment_fields == job.parties[0].risk_fields == ("income", "debt")
    job = job_file_of(a_draft(segments=None, scorecard={}), "draft").job
    assert (job.segments, job.parties[1].segment_fields, job.parties[1].risk_fields) == (None, (), ("spend",))


def test_a_preview_proposes_nothing(console):
    before = len([*console.jobs])
    found = console.jobs.preview(a_draft(), rows=1000)
    assert [party.party for party in found.parties] == ["bank", "shop"]
    assert found.parties[1].stages[1].fields == ("spend",)
    assert all(item.text for stage in found.parties[1].stages for item in stage.leaves)
    assert len([*console.jobs]) == before


def test_a_job_is_proposed_by_its_text_or_its_file_and_stopped(console, tmp_path):
    job = console.jobs.propose(a_draft(), days=3)
    assert (job.state, job.is_open, job.record.waiting_for) == ("proposed", True, ("bank", "shop"))
    assert (job.record.expires - job.record.proposed).days == 3
    assert console.jobs.get(job.number).record == job.record
    with pytest.raises(StateConflict):
        console.jobs.propose(a_draft())
    assert job.stop().state == "stopped"
    file = tmp_path / "again.toml"
    file.write_text(a_draft("again"), "utf-8")
    assert console.jobs.propose(file).record.name == "again"
    file.write_text(a_draft("thrice"), "utf-8")
    assert console.jobs.propose(str(file)).record.name == "thrice"
    assert "J-" in repr(job)


def test_what_is_no_job_is_refused(console, tmp_path):
    with pytest.raises(ConfigInvalid) as caught:
        console.jobs.propose("nothing = 1")
    assert caught.value.problem.status == 422
    with pytest.raises(ConfigInvalid, match=r"missing\.toml"):
        console.jobs.propose(tmp_path / "missing.toml")
    (tmp_path / "latin.toml").write_bytes(b"\xe9\xff")
    with pytest.raises(ConfigInvalid, match=r"latin\.toml"):
        console.jobs.propose(tmp_path / "latin.toml")


def test_lists_are_by_state_and_party(console, scene):
    assert [job.number for job in console.jobs.list(state="done")] == [scene.jobs["done"]]
    found = {job.number for job in console.jobs.list(state=["refused", "stopped"])}
    assert found == {scene.jobs["refused"], scene.jobs["stopped"]}
    assert not [*console.jobs.list(party="telecom")]


def test_waits_until_it_is_done_and_reads_what_was_released(console, scene, tmp_path):
    number = scene.jobs["running"]

    def end():
        scene.world.record(number).finish(report_scene.make_result())
        scene.runner.step()

    job = jobs_whose_waits(console, end).get(number)
    with pytest.raises(NotFound):
        job.report()
    assert job.wait() is job
    assert job.state == "done"
    numbers = [event.number for event in job.events()]
    assert numbers == [*range(1, job.record.events + 1)]
    report = job.report()
    assert report.matched == 1000
    assert report.auc["joint"] == pytest.approx(0.7897)
    assert [row["size"] for row in report.segments] == [600, 300, None]
    assert "segments" in repr(report)
    page = report.save(tmp_path / "report.html").read_text("utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "credit_risk" in page
    assert json.loads(report.save(tmp_path / "report.json").read_text("utf-8")) == report.figures


def test_each_event_is_given_once_though_pages_are_read_again(console, scene, monkeypatch):
    monkeypatch.setattr("federation.client.calls.PAGE_ITEMS", 3)
    number = scene.jobs["running"]

    def end():
        scene.world.record(number).fail(StateConflict("job_stopped", job=number))
        scene.runner.step()

    job = jobs_whose_waits(console, end).get(number)
    numbers = [event.number for event in job.watch()]
    assert numbers == [*range(1, job.record.events + 1)]
    assert job.state == "failed"


def test_a_job_that_is_not_done_is_an_error_that_says_why(console, scene):
    number = scene.jobs["proposed"]
    view = scene.world.jobs.get(number)
    job = jobs_whose_waits(console, lambda: scene.world.say(view, "shop", approved=False)).get(number)
    with pytest.raises(StateConflict, match=r"(?s)refused.*R-PURPOSE-MISMATCH"):
        job.wait()
    failed = console.jobs.get(scene.jobs["failed"])
    with pytest.raises(StateConflict, match=failed.record.message[:20]):
        failed.wait()


def test_waiting_has_an_end(console, scene):
    job = console.jobs.get(scene.jobs["proposed"])
    with pytest.raises(DeadlinePassed, match=job.number):
        job.wait(timeout=0)
    assert console.jobs.get(job.number).is_open


def test_progress_is_shown(console, scene, monkeypatch):
    monkeypatch.setenv("SILHOUETTE_LANG", "en")
    stream = io.StringIO()
    terminal = Terminal(file=stream, width=150, force_terminal=False)
    shown(console.jobs.get(scene.jobs["done"]), terminal=terminal)
    lines = stream.getvalue()
    assert "The job is proposed" in lines
    assert "shop has approved it" in lines
    assert "bank has joined" in lines
    assert "1/4 Match customers: blinding identifiers" in lines
    assert "The job is done" in lines
