"""Three data holders as real processes: coordinator, nodes with their desks, one finished job. For scenarios.

People are synthetic; the tables are files of the test's own, which a deletion may change.
"""

from __future__ import annotations

import csv
import json
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec

from clients.consents.node import changes_of
from clients.consents.tables import Source
from clients.desk.serving import desk_token
from clients.home import NodeHome
from clients.rights.locating import locate
from clients.rights.store import CaseStore
from clients.rights.views import view
from clients.sample import make_world, write_world
from clients.sample.job import write_job
from federation.children import program
from federation.jobfile import read_job_file
from federation.jobs import RiskPlan, SegmentsPlan
from federation.terminal import EXIT_REFUSED
from server.jobs.submitting import SubmittedJob
from server.local import LocalFederation
from server.records import Outcome

PEOPLE = 1_200
PATIENCE = 60.0
"""Seconds that a busy machine may take for what is a matter of one or two."""
JOB = "lending"


class ThreeNodes:
    """A running federation. world: the folder of the parties' tables; outcome: of the job that trained the models."""

    PARTIES = ("bank", "ecommerce", "telecom")

    def __init__(self, folder: Path, *, with_console: bool = False) -> None:
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
        self.local = LocalFederation(
            folder / "federation", parsed, file, with_desks=True, with_console=with_console
        )
        self.session = ""
        self._people: list[str] = []

    def start(self) -> None:
        """Start the processes and train the models once."""
        self.local.start()
        outcome = self.run()
        assert outcome.status == "done", outcome.texts
        self.remember()

    def remember(self) -> None:
        """What the one finished job is called, and whom it found."""
        (self.session,) = self.sessions("bank")
        self._people = [row["identifier"] for row in self.customers()]

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
        """All that anybody has of this federation: the homes, the coordinator's first, and the parties' tables."""
        tables = (self.world / party for party in self.PARTIES)
        return (self.local.coordinator.folder, *self.local.homes, *tables)

    def node(self, party: str, *arguments: str, stdin: str = "", status: int = 0) -> str:
        """What `silhouette-node` prints at a party; identifiers go through standard input."""
        done = self._command(party, arguments, stdin)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    def _command(self, party: str, arguments: Sequence[str], stdin: str) -> subprocess.CompletedProcess[str]:
        group, command, *rest = arguments
        words = (program("silhouette-node"), group, command, "--home", str(self.local.home_of(party)), *rest)
        return subprocess.run(words, input=stdin, text=True, capture_output=True, check=False)

    def node_json(self, party: str, *arguments: str, stdin: str = "", status: int = 0) -> Any:
        """The same with `--json`, decoded."""
        return json.loads(self.node(party, *arguments, "--json", stdin=stdin, status=status))

    def refused(self, party: str, *arguments: str, stdin: str = "") -> str:
        """What a command says that ends with a refusal."""
        done = self._command(party, arguments, stdin)
        assert done.returncode == EXIT_REFUSED, done.stdout + done.stderr
        return done.stdout + done.stderr

    def receipt(self, party: str, number: str, to: Path) -> bytes:
        """The receipt of a case, handed over: the party's own copy is gone."""
        eventually(
            lambda: self._command(party, ("request", "receipt", number, "--to", str(to)), "").returncode == 0
        )
        return to.read_bytes()

    def references(self, person: str) -> list[bytes]:
        """What the parties' matchings call a person."""
        home = self.home("bank")
        subjects = locate(home, changes_of(home, Source.CLI).identifiers([person]))
        return [row.ref for subject in subjects for row in subject.shared]

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
        file = self.home(party).results / f"{JOB}-{self.session[:8]}" / "customers.csv"
        with file.open(newline="") as stream:
            return list(csv.DictReader(stream))

    def person(self, number: int) -> str:
        """The identifier of a person whom all three knew. Every test takes numbers of its own."""
        return self._people[number]

    def case(self, party: str, number: str) -> Any:
        """A case as `silhouette-node request show --json` prints it, None where the party does not know it."""
        found = CaseStore(self.home(party).vault).get(number)
        return None if found is None else msgspec.to_builtins(view(found))


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
