"""A process that works on requests is killed with SIGKILL in every state: the next one goes on to the right end."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rights_scene import Clock, Post, engine_of, erasers_in, filed, make_homes, phone_of

from clients.home import NodeHome
from clients.rights.store import CaseStore
from privacy.rights import Artefact, CaseState, Result

PARTIES = ("bank", "shop")
CHILD = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from rights_scene import Clock, Post, engine_of, erasers_in
from clients.home import NodeHome
folder, party = Path(sys.argv[2]), sys.argv[3]
for point in sys.argv[4:]:
    def die(now, point=point):
        if now == point:
            os.kill(os.getpid(), signal.SIGKILL)
    pid = os.fork()  # importing takes longer than everything else
    if not pid:
        engine_of(NodeHome(folder / party), Post(folder / "post"), erasers_in(folder / f"things-{party}"),
                  Clock(), on_point=die).step()
        os._exit(0)
    print(point, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""
STATES = ("received", "acknowledged", "identified", "scoped", "restricted", "executing", "checked", "partial")
"""In the order of the case: each state is left only by the process that is not killed in it."""


def killed_in(folder, party, points):
    """Which of the points a process was killed at, one process after the other."""
    command = [sys.executable, "-c", CHILD, str(Path(__file__).parents[1]), str(folder), party, *points]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=True)
    codes = dict(line.split() for line in done.stdout.splitlines())
    return [point for point, code in codes.items() if int(code) == -signal.SIGKILL]


@pytest.mark.parametrize("at", ["begun", "done", "stored"])
def test_killed_in_every_state(tmp_path, at):
    homes, clock = make_homes(tmp_path, PARTIES, people=6), Clock()
    who = phone_of(3)
    number = filed(homes["bank"], clock)
    for party, home in homes.items():
        erasers_in(tmp_path / f"things-{party}", [who])
        home.vault.close()
    states = [state for state in STATES if state != "partial"]
    points = [f"{state}/{at}" for state in states]
    assert killed_in(tmp_path, "bank", points) == points
    shop = [f"{point}/{at}" for point in ("identified", "scoped", "executing", "completed")]
    assert killed_in(tmp_path, "shop", ["letters/begun", "letters/stored", *shop])[:2] == [
        "letters/begun",
        "letters/stored",
    ]
    post = Post(tmp_path / "post")
    engines = {
        party: engine_of(NodeHome(tmp_path / party), post, erasers_in(tmp_path / f"things-{party}"), clock)
        for party in PARTIES
    }
    for _ in range(4):
        for engine in engines.values():
            engine.step()
    for party in PARTIES:
        case = CaseStore(NodeHome(tmp_path / party).vault).get(number)
        assert case.state is CaseState.COMPLETED
        assert case.locators is None
        assert {one.artefact for one in case.record.outcomes} == set(Artefact)
        assert {one.result for one in case.record.outcomes} <= {Result.ERASED, Result.NOT_FOUND}
        assert not list((tmp_path / f"things-{party}").iterdir())
