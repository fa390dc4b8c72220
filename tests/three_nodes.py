"""Three data holders as real processes: coordinator, nodes with their desks, one finished job. For scenarios.

People are synthetic; the tables are files of the test's own, which a deletion may change.
"""

from __future__ import annotations

import csv
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec

from clients.desk.serving import desk_token
from clients.home import NodeHome
from clients.sample import make_world, write_world
from clients.sample.job import write_job
from federation.children import program
from federation.jobfile import read_job_file
from federation.jobs import RiskPlan, SegmentsPlan
from server.local import LocalFederation
from server.records import Outcome
from server.running import SubmittedJob

PEOPLE = 1_200
PATIENCE = 60.0
"""Seconds that a busy machine may take for what is a matter of one or two."""
JOB = "lending"


class ThreeNodes:
    """A running federation. world: the folder of the parties' tables; outcome: of the job that trained the models."""

    PARTIES = ("bank", "ecommerce", "telecom")

    def __init__(self, folder: Path) -> None:
        self.folder, self.world = folder, folder / "world"
        write_world(make_world(PEOPLE, seed=5), self.world)
        file = write_job(self.world, with_scorecard=False)
        file.write_text('profile = "TESTING_ONLY"\n' + file.read_text())
        parsed = read_job_file(file)
        self.job = msgspec.structs.replace(
            parsed.job,
            name=JOB,
            segments=SegmentsPlan(n_clusters=3, n_init=2),
            risk=RiskPlan(trees=4, depth=2, bins=8),
        )
        self.local = LocalFederation(folder / "federation", parsed, file, with_desks=True)
        self.session = ""

    def start(self) -> None:
        """Start the processes and train the models once."""
        self.local.start()
        outcome = self.run()
        assert outcome.status == "done", outcome.texts
        self.session = self.sessions("bank")[-1]

    def run(self, job: Any = None) -> Outcome:
        """Run a job to its end."""
        return SubmittedJob(self.local.coordinator, job or self.job).follow(lambda event: None)

    def stop(self) -> None:
        self.local.stop()

    def home(self, party: str) -> NodeHome:
        """A party's home as another process of its owner opens it."""
        return NodeHome.open(self.local.home_of(party))

    def sessions(self, party: str) -> list[str]:
        """The sessions of which a party keeps a job record, by name."""
        names = self.home(party).vault.names("job/")
        return sorted({name.split("/")[1] for name in names if name.endswith("/job")})

    @property
    def folders(self) -> tuple[Path, ...]:
        """Everybody's homes, the coordinator's first."""
        return (self.local.coordinator.folder, *self.local.homes)

    def node(self, party: str, *arguments: str, stdin: str = "", status: int = 0) -> str:
        """What `silhouette-node` prints at a party; identifiers go through standard input."""
        group, command = arguments[:2]
        done = subprocess.run(
            (
                program("silhouette-node"),
                group,
                command,
                "--home",
                str(self.local.home_of(party)),
                *arguments[2:],
            ),
            input=stdin,
            text=True,
            capture_output=True,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    def node_json(self, party: str, *arguments: str, stdin: str = "", status: int = 0) -> Any:
        """The same with `--json`, decoded."""
        return json.loads(self.node(party, *arguments, "--json", stdin=stdin, status=status))

    def desk(self, party: str) -> httpx.Client:
        """A client of the party's own systems at its desk."""
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.local.desk_ports[party]}",
            headers={"authorization": f"Bearer {desk_token(self.home(party))}"},
            timeout=30.0,
            trust_env=False,
        )

    def customers(self, party: str = "bank") -> list[dict[str, str]]:
        """The rows of a party's results of the job: people whom all three know."""
        (file,) = self.home(party).results.glob(f"{JOB}-*/customers.csv")
        with file.open(newline="") as stream:
            return list(csv.DictReader(stream))

    def person(self, number: int) -> str:
        """The identifier of a person whom all three know. Every test takes numbers of its own."""
        return self.customers()[number]["identifier"]


def eventually(found: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """What `found` returns as soon as it is true; asked again and again."""
    give_up = time.monotonic() + seconds
    while not (result := found()):
        assert time.monotonic() < give_up, "it did not come about"
        time.sleep(0.2)
    return result


@contextmanager
def three_nodes(folder: Path) -> Iterator[ThreeNodes]:
    """A started federation with a finished job, stopped at the end."""
    made = ThreeNodes(folder)
    try:
        made.start()
        yield made
    finally:
        made.stop()
