"""`silhouette demo --serve` as somebody runs it first: the job, then console and desks with their logins, its end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from federation.children import program

pytestmark = pytest.mark.timeout(600)
START_SECONDS = 400.0
PEOPLE = "1500"
"""With fewer the parties share too few to hold fifty out: the job is refused then."""
ROLES = ("modeller", "operator", "analyst", "auditor", "officer", "admin")
PLACE = re.compile(r"^(?P<place>\S.*): (?P<url>http://127\.0\.0\.1:\d+\S*)$", re.MULTILINE)
CODE = re.compile(r"^  (?P<name>demo-\w+) +(?P<code>\S+)$", re.MULTILINE)


@dataclass
class Place:
    """The console or a desk: its address, and the codes of its accounts."""

    url: str
    codes: dict[str, str]

    @contextmanager
    def entered_as(self, name: str, path: str) -> Iterator[httpx.Client]:
        """A browser in which somebody has come in by a code."""
        origin = self.url.removesuffix("/desk/")
        with httpx.Client(base_url=origin, timeout=60.0, trust_env=False, follow_redirects=True) as client:
            answer = client.post(path, data={"code": self.codes[name]})
            assert answer.status_code == 200, answer.text
            yield client


@dataclass
class Demo:
    """A demo that stays."""

    process: subprocess.Popen[str]
    folder: Path
    text: str
    places: dict[str, Place]


def places_of(shown: str) -> dict[str, Place]:
    found = {}
    parts = PLACE.split(shown)
    for name, url, codes in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        found[name] = Place(url, {code["name"]: code["code"] for code in CODE.finditer(codes)})
    return found


def processes_naming(name: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                known = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except OSError:
                continue
            if name.encode() in known:
                found.append(int(entry.name))
    return found


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    shown = folder / "shown.txt"
    command = (program("silhouette"), "demo", "--size", PEOPLE, "--into", str(folder / "demo"), "--serve")
    environment = {**os.environ, "SILHOUETTE_LANG": "en", "COLUMNS": "200"}
    with shown.open("w") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, text=True, env=environment
        )
    try:
        give_up = time.monotonic() + START_SECONDS
        while "until Ctrl-C" not in (text := shown.read_text()):
            assert process.poll() is None, text
            assert time.monotonic() < give_up, text
            time.sleep(0.5)
        yield Demo(process, folder, text, places_of(text))
        # The last step of the story: Ctrl-C ends everything.
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        give_up = time.monotonic() + 30
        while processes_naming(str(folder)) and time.monotonic() < give_up:
            time.sleep(0.2)
        assert processes_naming(str(folder)) == []
    finally:
        process.kill()
        process.wait()


def test_the_report_is_there_and_every_role_gets_a_login(demo) -> None:
    assert (demo.folder / "demo" / "report.html").exists()
    console, *desks = demo.places.values()
    assert set(console.codes) == {f"demo-{role}" for role in ROLES}
    assert len(desks) == 3
    assert all(set(desk.codes) == {"demo-officer", "demo-operator"} for desk in desks)
    assert {party.split("'")[0] for party in list(demo.places)[1:]} == {"bank", "ecommerce", "telecom"}


def test_the_finished_job_is_listed_at_the_console(demo) -> None:
    console = next(iter(demo.places.values()))
    with console.entered_as("demo-modeller", "/login") as client:
        (job,) = client.get("/api/v1/jobs").json()["items"]
        assert (job["state"], job["name"]) == ("done", "three-party-profile")
        assert job["number"] in demo.text
        page = client.get("/jobs")
        assert page.status_code == 200
        assert job["number"] in page.text
        assert client.get(f"/jobs/{job['number']}").status_code == 200
    # The code was good once.
    with httpx.Client(base_url=console.url, trust_env=False, timeout=60.0) as stranger:
        assert stranger.post("/login", data={"code": console.codes["demo-modeller"]}).status_code == 401
        assert stranger.get("/api/v1/jobs").status_code == 401


def test_each_desk_shows_that_it_has_said_yes(demo) -> None:
    (number,) = set(re.findall(r"\bJ-[A-Z2-7]{8}\b", demo.text))
    for desk in list(demo.places.values())[1:]:
        with desk.entered_as("demo-officer", "/desk/login") as client:
            page = client.get("/desk/approvals")
            assert page.status_code == 200
            assert number in page.text
