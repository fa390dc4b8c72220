"""Real processes on loopback: SuperLink, SuperExec, the public port, and one SuperNode and worker per party."""

from __future__ import annotations

import contextlib
import os
import signal
import ssl
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from clients.sample import make_world, write_world
from clients.sample.job import write_job
from federation.children import program
from federation.jobfile import JobFile, read_job_file
from server.flower import FlowerControl, build_bundle
from server.jobs.submitting import SubmittedJob
from server.local import LocalFederation
from server.records import JobRecord

pytestmark = pytest.mark.timeout(400)
JOB_SETTINGS = """
profile = "TESTING_ONLY"
[deadlines]
join = 150
silence = 15
step = 120
"""


def job_file(folder: Path) -> tuple[JobFile, Path]:
    """A small world, and its job with test keys and short deadlines; too few people for a scorecard's batches."""
    write_world(make_world(1500, seed=5), folder)
    file = write_job(folder, with_scorecard=False)
    file.write_text(
        JOB_SETTINGS.split("[", maxsplit=1)[0] + file.read_text() + "[" + JOB_SETTINGS.split("[")[1]
    )
    return read_job_file(file), file


@pytest.fixture(scope="module")
def federation(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deployment")
    parsed, source = job_file(folder / "world")
    local = LocalFederation(folder / "federation", parsed, source)
    local.start()
    yield local, parsed.job
    local.stop()


def replaced(job, **changes):
    import msgspec

    return msgspec.structs.replace(job, **changes)


def with_trees(job, trees):
    return replaced(job, risk=replaced(job.risk, trees=trees), segments=None)


def run(local: LocalFederation, job, on_event=lambda event: None):
    return SubmittedJob(local.coordinator, job).follow(on_event)


def processes_below(pid: int) -> list[int]:
    """`pid` and all its descendants."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry.name)] = int(fields[1])
    found = [pid]
    for parent in found:
        found += [child for child, its_parent in parents.items() if its_parent == parent]
    return found


def read_region(memory, start: int, end: int) -> bytes:
    """A region as far as it can be read: one read may return less than it was asked for."""
    parts = []
    try:
        memory.seek(start)
        while start < end and (part := memory.read(end - start)):
            parts.append(part)
            start += len(part)
    except (OSError, ValueError, OverflowError):
        pass
    return b"".join(parts)


@contextlib.contextmanager
def frozen(home: Path):
    """The processes of one node do not run: the job stays in the stage it is in."""
    pids = processes_naming(str(home))
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def memory_of(pid: int):
    """The readable memory of a process, region by region."""
    try:
        regions = [line.split() for line in Path(f"/proc/{pid}/maps").read_text().splitlines()]
        with Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
            for addresses, permissions, *_ in regions:
                start, end = (int(part, 16) for part in addresses.split("-"))
                if permissions.startswith("rw"):
                    yield read_region(memory, start, end)
    except (PermissionError, ProcessLookupError, FileNotFoundError):
        return


def test_a_job_runs_and_the_coordinator_never_holds_the_secret_key(federation) -> None:
    local, job = federation
    from clients.home import NodeHome
    from privacy.paillier_secret import SecretKey

    hits: list[int] = []
    scanned, found_public = 0, False

    def look_for_key(event) -> None:
        nonlocal scanned, found_public
        if found_public or event["event"] != "progress" or not event["step"].startswith("kmeans"):
            return
        vault = NodeHome.open(local.home_of("bank")).vault
        keys = [name for name in vault.names("job/") if name.endswith("/paillier")]
        data = vault.get(keys[0]) if keys else None
        if data is None:
            return  # a partner's note came before the bank has made the key
        secret = SecretKey.from_bytes(data).to_phe()
        primes, n = [secret.p, secret.q], secret.public_key.n
        assert primes[0] * primes[1] == n
        size = (primes[0].bit_length() + 7) // 8
        wanted = [prime.to_bytes(size, order) for prime in primes for order in ("little", "big")]
        public = [n.to_bytes(2 * size, order) for order in ("little", "big")]
        running = local.coordinator.running
        assert running is not None
        with frozen(local.home_of("bank")):
            for pid in processes_below(running.pid):
                for region in memory_of(pid):
                    scanned += len(region)
                    hits.extend(pid for needle in wanted if needle in region)
                    found_public = found_public or any(needle in region for needle in public)

    many_runs = replaced(job.segments, n_clusters=8, n_init=20)
    patient = replaced(job.deadlines, silence=90)
    many = replaced(job, risk=None, segments=many_runs, deadlines=patient)
    outcome = run(local, many, look_for_key)
    assert outcome.status == "done", outcome.texts
    assert scanned > 10_000_000
    assert found_public  # the same search finds the public key, so it would find the secret one
    assert hits == []


PROBES = [
    f"/v1/{api}/{route}"
    for api, routes in {
        "control": ("list-runs", "list-nodes", "start-run", "register-node", "stop-run", "stream-logs"),
        "runtime": ("acquire-task", "pull-task-input", "push-messages", "responses", "get-run"),
        "fleet": ("register-node", "unregister-node", "..%2fcontrol%2flist-runs", "../control/list-runs"),
    }.items()
    for route in routes
] + ["/docs", "/openapi.json", "/health", "/flwr.proto.Control/ListRuns", "/", "/relay/x/status"]


@pytest.mark.parametrize("path", PROBES)
def test_the_public_port_hides_everything_but_fleet_and_relay(federation, path) -> None:
    local, _ = federation
    roster = local.coordinator.roster
    trust = ssl.create_default_context(cadata=roster.certificate)
    with httpx.Client(verify=trust, trust_env=False) as client:
        for method in ("GET", "POST"):
            answer = client.request(method, httpx.URL(roster.url + path), content=b"")
            assert answer.status_code in (404, 405), (method, path, answer.status_code)


def test_flowers_own_clients_are_refused_at_the_public_port(federation) -> None:
    local, _ = federation
    from flwr.proto.control_pb2 import ListRunsRequest
    from flwr.proto.runtime_pb2 import AcquireTaskRequest
    from flwr.supercore.control.control_http_client import ControlHttpClient
    from flwr.supercore.interceptors import RuntimeVersionHttpInterceptor
    from flwr.supercore.runtime import RuntimeHttpClient

    roster = local.coordinator.roster
    address, certificate = roster.url.removeprefix("https://"), roster.certificate.encode()
    version = [RuntimeVersionHttpInterceptor(component_name="flwr CLI")]
    control = ControlHttpClient.from_server_address(address, False, certificate, version)
    with pytest.raises(httpx.HTTPStatusError, match="404"):
        control.ListRuns(ListRunsRequest())
    runtime = RuntimeHttpClient.from_server_address(address, False, certificate, version)
    with pytest.raises(httpx.HTTPStatusError, match="404"):
        runtime.AcquireTask(AcquireTaskRequest(supported_task_types=["flwr-serverapp"]))
    # The same calls succeed on loopback, where the coordinator itself makes them.
    assert FlowerControl(local.coordinator).node_status()


def test_a_run_with_unknown_code_is_refused_by_the_node(federation, monkeypatch) -> None:
    local, job = federation
    from server import flower

    files = {**flower.installed_files()}
    files["clients/app.py"] += b"\n# one comment more\n"
    monkeypatch.setattr(flower, "installed_files", lambda: files)
    bundle = build_bundle()
    record = JobRecord.create(local.coordinator, job)
    FlowerControl(local.coordinator).start(bundle, record.job_id)
    deadline = time.monotonic() + 60
    while record.outcome is None and time.monotonic() < deadline:
        time.sleep(0.2)
    outcome = record.outcome
    assert outcome is not None
    assert outcome.status == "failed"
    assert "has not installed" in outcome.texts["en"]
    assert any(party in outcome.texts["en"] for party in job.roles.all)


@pytest.fixture(scope="module")
def after_a_kill(federation):
    """A node was killed while trees grew, and starts again: the outcome, and how long it took.

    SuperLink lets it in when the heartbeats of the killed one have expired, a minute later: tests of other things are
    between the two that look at it.
    """
    local, job = federation
    killed_at = 0.0

    def kill_when_training(event) -> None:
        nonlocal killed_at
        if event["event"] == "progress" and event["step"] == "boosting.trees" and not killed_at:
            local.kill_node("telecom")
            killed_at = time.monotonic()

    outcome = run(local, with_trees(job, 1000), kill_when_training)
    seconds = time.monotonic() - killed_at
    assert killed_at
    local.start_node("telecom")
    return outcome, seconds


def test_a_killed_node_fails_the_job_by_name(federation, after_a_kill) -> None:
    _, job = federation
    outcome, seconds = after_a_kill
    assert outcome.status == "failed"
    assert "telecom" in outcome.texts["en"]
    assert "telecom" in outcome.texts["zh-CN"]
    assert "bank" not in outcome.texts["en"]
    assert seconds < job.deadlines.silence + 15


def processes_naming(text: str) -> list[int]:
    """Processes whose command line or environment names `text`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                known = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except OSError:
                continue
            if text.encode() in known:
                found.append(int(entry.name))
    return found


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_run_leaves_no_process_behind(tmp_path, end) -> None:
    _, source = job_file(tmp_path / "world")
    source.write_text(source.read_text().replace("trees = 20", "trees = 1000"))
    command = [program("silhouette"), "run", str(source), "--into", str(tmp_path / "report")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wanted = 1 + 3 + 2 + 3  # the command, coordinator, SuperLink, SuperExec, and node and SuperNode per party
    try:
        deadline = time.monotonic() + 120
        while (running := len(processes_naming(str(tmp_path)))) < wanted and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.2)
        assert running >= wanted
        process.send_signal(end)
        code = process.wait(60)
    finally:
        process.kill()  # a federation that a failed test left would train on beside all later tests
    assert code == (-signal.SIGKILL if end is signal.SIGKILL else 130)
    deadline = time.monotonic() + 30
    while processes_naming(str(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert processes_naming(str(tmp_path)) == []


@pytest.mark.usefixtures("after_a_kill")
def test_a_job_succeeds_after_the_restart_of_a_killed_node(federation) -> None:
    local, job = federation
    again = run(local, with_trees(job, 3))
    assert again.status == "done", again.texts
