"""Child processes: none outlives its parent, none refuses to end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from federation import children
from federation.children import Child, program, stop_all

WAIT_SECONDS = 10.0
SLEEP = (sys.executable, "-c", "import time; time.sleep(60)")
READY = "import pathlib, sys; pathlib.Path(sys.argv[1]).touch();"
STUBBORN = f"import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); {READY} time.sleep(60)"
PATIENT = f"import time; {READY} time.sleep(60)"


@pytest.fixture
def started(tmp_path):
    """Starts children and ends whatever is left of them."""
    made = []

    def start(code, *arguments, environment=None):
        child = Child((sys.executable, "-c", code, *map(str, arguments)), tmp_path / "log", environment)
        child.start()
        made.append(child)
        return child

    yield start
    for child in made:
        child.kill()


def eventually(condition):
    """Wait, at most `WAIT_SECONDS`, until the condition holds."""
    give_up = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.01)


def running(pid):
    """Whether the process is there and no zombie."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def pid_of(child):
    return child._process.pid


# --- the end of a child


def test_a_child_ends_when_it_is_asked(started, tmp_path):
    child = started(PATIENT, tmp_path / "ready")
    eventually((tmp_path / "ready").exists)
    assert child.exit_code is None
    child.stop()
    assert child.exit_code == -signal.SIGTERM


def test_a_child_that_ignores_the_signal_is_ended_in_time(started, tmp_path, monkeypatch):
    monkeypatch.setattr(children, "STOP_SECONDS", 0.2)
    child = started(STUBBORN, tmp_path / "ready")
    eventually((tmp_path / "ready").exists)
    before = time.monotonic()
    child.stop()
    assert child.exit_code == -signal.SIGKILL
    assert 0.2 <= time.monotonic() - before < 3


def test_stopping_all_takes_as_long_as_the_slowest(started, tmp_path, monkeypatch):
    monkeypatch.setattr(children, "STOP_SECONDS", 1.0)
    family = [started(STUBBORN, tmp_path / f"ready{number}") for number in range(3)]
    family.append(started(PATIENT, tmp_path / "ready3"))
    eventually(lambda: len(list(tmp_path.glob("ready*"))) == 4)
    before = time.monotonic()
    stop_all([*family, Child(SLEEP, tmp_path / "log")])
    assert 1.0 <= time.monotonic() - before < 2.9, "the waits do not add up"
    assert [child.exit_code for child in family] == [-signal.SIGKILL] * 3 + [-signal.SIGTERM]


def test_a_child_is_asked_once(started, tmp_path):
    """A second signal would interrupt a program that is cleaning up."""
    code = (
        f"import signal, time; hits = []; signal.signal(signal.SIGTERM, lambda *_: hits.append(1)); {READY}"
    )
    child = started(
        f"{code}\nwhile not hits: time.sleep(0.01)\ntime.sleep(0.2); print(len(hits))", tmp_path / "ready"
    )
    eventually((tmp_path / "ready").exists)
    stop_all([child])
    assert child.exit_code == 0
    assert (tmp_path / "log").read_text() == "1\n"


def test_a_child_is_ended_at_once_by_kill(started, tmp_path):
    child = started(STUBBORN, tmp_path / "ready")
    child.kill()
    assert child.exit_code == -signal.SIGKILL


def test_what_has_ended_or_never_started_can_be_stopped(started, tmp_path):
    child = started("")
    eventually(lambda: child.exit_code is not None)
    child.stop()
    child.kill()
    stop_all([child])
    assert child.exit_code == 0
    never = Child(SLEEP, tmp_path / "log")
    never.stop()
    never.kill()
    assert never.exit_code is None


def test_a_child_starts_again(started):
    child = started("import sys; sys.exit(3)")
    eventually(lambda: child.exit_code == 3)
    first = pid_of(child)
    child.start()
    assert pid_of(child) != first
    eventually(lambda: child.exit_code == 3)


# --- the end of a parent

PARENT = """
import sys, time
from pathlib import Path
from federation.children import Child
child = Child((sys.executable, "-c", sys.argv[1], sys.argv[2]), Path(sys.argv[3]))
child.start()
Path(sys.argv[4]).write_text(str(child._process.pid))
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
@pytest.mark.parametrize("code", [PATIENT, STUBBORN], ids=["patient", "stubborn"])
def test_a_child_ends_with_its_killed_parent(tmp_path, code):
    ready, pid_file = tmp_path / "ready", tmp_path / "pid"
    parent = subprocess.Popen([sys.executable, "-c", PARENT, code, ready, tmp_path / "log", pid_file])
    try:
        eventually(ready.exists)
        eventually(lambda: pid_file.exists() and pid_file.read_text())
        pid = int(pid_file.read_text())
        assert running(pid)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        eventually(lambda: not running(pid))
    finally:
        parent.kill()
        parent.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_a_child_whose_parent_has_already_gone_does_not_start(tmp_path):
    command = (sys.executable, "-c", READY, str(tmp_path / "started"))
    guard = [sys.executable, "-m", "federation.children", str(os.getpid() + 1), *command]
    assert subprocess.run(guard, check=False).returncode == 1
    assert not (tmp_path / "started").exists()


# --- what a child sees


def test_output_is_appended_to_the_log(started, tmp_path):
    (tmp_path / "log").write_text("before\n")
    child = started("import sys; print('out', flush=True); print('err', file=sys.stderr)")
    eventually(lambda: child.exit_code == 0)
    assert (tmp_path / "log").read_text() == "before\nout\nerr\n"


def test_input_is_empty_and_the_session_its_own(started, tmp_path):
    code = "import os, sys; print(repr(sys.stdin.read()), os.getsid(0) == os.getpid())"
    child = started(code)
    eventually(lambda: child.exit_code == 0)
    assert (tmp_path / "log").read_text() == "'' True\n"


def test_the_environment_is_ours_with_changes(started, tmp_path, monkeypatch):
    monkeypatch.setenv("SILHOUETTE_TEST", "kept")
    code = "import os, shutil; print(os.environ['SILHOUETTE_TEST'], os.environ['MORE'], shutil.which('flwr'))"
    child = started(code, environment={"MORE": "added"})
    eventually(lambda: child.exit_code == 0)
    assert (tmp_path / "log").read_text() == f"kept added {program('flwr')}\n"


def test_a_program_lies_beside_this_python():
    assert Path(program("flower-superlink")).parent == Path(sys.executable).parent
    assert Path(program("flower-superlink")).exists()
