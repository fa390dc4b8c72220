"""A whole federation on this machine: the coordinator and every node as processes of their own, on loopback.

What `silhouette demo` and a rehearsal with `silhouette run` start. The processes are the real ones; only the
network between them is short.
"""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any, Final

import tomli_w

from federation.children import Child, free_port, is_open, program, stop_all
from federation.jobfile import JobFile, PartyEntry
from federation.roster import Enrolment, from_json
from privacy.errors import ConfigInvalid
from privacy.parameters import MINIMUM_KEY_BITS
from server.home import CoordinatorHome

START_SECONDS: Final = 90.0
POLL_SECONDS: Final = 0.1


class LocalFederation:
    """Set up on creation, started by `start`, ended by `stop`.

    folder: must not exist yet; holds `coordinator/` and one home per party. with_desks: every node has a desk, at
    `desk_ports`; with_console: the coordinator has a console, at `console_url`. Raises `ConfigInvalid` when a party
    has no table or its table is refused.
    """

    def __init__(
        self,
        folder: Path,
        job_file: JobFile,
        source: Path,
        *,
        with_desks: bool = False,
        with_console: bool = False,
    ) -> None:
        for entry in job_file.party:
            if entry.table is None:
                raise ConfigInvalid("table_missing_in_job", file=source, party=entry.name)
        self.folder = folder
        self._source = source
        self._parties = job_file.party
        self._testing = job_file.job.security.key_bits < MINIMUM_KEY_BITS
        self._console_port = free_port() if with_console else 0
        self.coordinator = CoordinatorHome.create(
            folder / "coordinator", "127.0.0.1", 0, "127.0.0.1", self._console_port
        )
        self._children: dict[str, Child] = {}
        self.desk_ports = {entry.name: free_port() for entry in self._parties} if with_desks else {}
        """Where each party's desk listens on loopback."""

    def start(self) -> None:
        """Start all processes; none is left behind if one cannot be started."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def home_of(self, party: str) -> Path:
        """A party's node home."""
        return self.folder / party

    @property
    def console_url(self) -> str:
        """Where the console is, for people."""
        return f"http://127.0.0.1:{self._console_port}"

    def desk_url(self, party: str) -> str:
        """Where a party's desk has its pages."""
        return f"http://127.0.0.1:{self.desk_ports[party]}/desk/"

    def wait_until_open(self) -> None:
        """Until the console and all desks take connections. Raises `ConfigInvalid` when one does not."""
        ports = [*self.desk_ports.values(), *([self._console_port] if self._console_port else [])]
        give_up = time.monotonic() + START_SECONDS
        while not all(is_open(port) for port in ports):
            if time.monotonic() > give_up:
                raise ConfigInvalid("pages_closed", folder=self.folder)
            time.sleep(POLL_SECONDS)

    def desk_logins(self) -> dict[str, dict[str, str]]:
        """New accounts at every desk: codes that are good once, by party and name."""
        begun = {
            entry.name: self._node_command("sample", "logins", "--home", str(self.home_of(entry.name)))
            for entry in self._parties
        }
        return {
            party: json.loads(self._finish_node_command("sample logins", party, process))
            for party, process in begun.items()
        }

    @property
    def homes(self) -> list[Path]:
        return [self.home_of(entry.name) for entry in self._parties]

    def _start(self) -> None:
        logs = self.coordinator.folder / "logs"
        serve = Child(
            (program("silhouette"), "serve", "--home", str(self.coordinator.folder)), logs / "serve.log"
        )
        serve.start()
        self._children["coordinator"] = serve
        for entry, process in [(entry, self._begin_init(entry)) for entry in self._parties]:
            self._finish_node_command("init", entry.name, process)
            enrolment = self.home_of(entry.name) / "enrolment.json"
            self.coordinator.enrol(from_json(enrolment.read_bytes(), Enrolment, str(enrolment)))
        for entry in self._parties:
            self.start_node(entry.name)
        self._wait_until_serving()

    def _begin_init(self, entry: PartyEntry) -> subprocess.Popen[str]:
        folder = self.home_of(entry.name)
        registration = self.folder / f"{entry.name}.table.toml"
        registration.write_text(tomli_w.dumps(entry.table or {}), "utf-8")
        # One operator holds every table here, so no party has anything to hide from another.
        options = ["--accept-distance-disclosure", *(["--allow-testing-profile"] if self._testing else [])]
        coordinator = self.coordinator.identity.public.fingerprint
        options += ["--rehearse", str(self._source), "--coordinator", coordinator]
        if entry.policy is not None:
            options += ["--policy", entry.policy]
        return self._node_command(
            "init", "--home", str(folder), "--name", entry.name, "--table", str(registration), *options
        )

    def _node_command(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            (program("silhouette-node"), *arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _finish_node_command(self, command: str, party: str, process: subprocess.Popen[str]) -> str:
        output, problem = process.communicate()
        if process.returncode:
            raise ConfigInvalid("node_command_failed", command=command, party=party, problem=problem.strip())
        return output

    def start_node(self, party: str) -> None:
        """Start (or start again) one party's node."""
        home = self.home_of(party)
        command = (program("silhouette-node"), "start", "--home", str(home), "--federation")
        desk = ("--desk-port", str(self.desk_ports[party])) if party in self.desk_ports else ()
        node = Child((*command, str(self.coordinator.roster_file), *desk), home / "logs" / "start.log")
        node.start()
        self._children[party] = node

    def kill_node(self, party: str) -> None:
        """End one party's node at once, as a power cut would."""
        self._children[party].kill()

    def stop_node(self, party: str) -> None:
        """End one party's node as its owner does: started again, it is let in at once."""
        self._children[party].stop()

    def _wait_until_serving(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        wanted = {entry.name for entry in self._parties}
        while time.monotonic() < deadline:
            running = self.coordinator.running
            if running is not None and wanted <= running.node_ids.keys():
                return
            if self._children["coordinator"].exit_code is not None:
                break
            time.sleep(POLL_SECONDS)
        raise ConfigInvalid("superlink_failed")

    def log_of(self, party: str) -> str:
        """What a party's node logged: in a rehearsal its operator is the one who asks."""
        file = self.home_of(party) / "logs" / "node.log"
        return file.read_text("utf-8") if file.exists() else ""

    def compare(self, session: str) -> dict[str, Any]:
        """Pooled scikit-learn beside the federated result (possible only because all homes are here)."""
        homes = [argument for home in self.homes for argument in ("--home", str(home))]
        output = self._finish_node_command("compare", "*", self._node_command("compare", session, *homes))
        found: dict[str, Any] = json.loads(output)
        return found

    def stop(self) -> None:
        """End all processes: nodes first, so that their SuperNodes can say goodbye."""
        nodes = [child for name, child in self._children.items() if name != "coordinator"]
        stop_all(nodes)
        if "coordinator" in self._children:
            self._children["coordinator"].stop()
