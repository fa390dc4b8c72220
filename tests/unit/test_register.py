"""The auditor's register: what it says, that it names nobody, and the command line around receipts."""

import json
import zipfile

import msgspec
import pytest
from rights_scene import Clock, MemoryPost, engine_of, erasers_in, filed, make_homes, phone_of
from typer.testing import CliRunner

from clients.cli import app
from clients.evidence import documents
from clients.rights import copies, receipts
from clients.rights.engine import Hooks
from clients.rights.register import as_csv, register
from clients.rights.running import _issue, _prepare
from federation.audit_bundle import export, read
from privacy.audit import EventType
from privacy.rights import Artefact, Outcome, RequestKind, Result


def run(*words, status=0):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == status, result.output
    return result.stdout


@pytest.fixture(scope="module")
def settled(tmp_path_factory):
    """A home with one deletion that is done, one request for a copy, and one that waits for a code."""
    folder = tmp_path_factory.mktemp("register")
    home = make_homes(folder)["bank"]
    clock = Clock()
    erasers = erasers_in(folder / "stores", [phone_of(3)])
    numbers = [
        filed(home, clock),
        filed(home, clock, RequestKind.COPY, who=4),
        filed(home, clock, who=5, verified_by=""),
    ]
    kept = Outcome(artefact=Artefact.COPY, result=Result.RESTRICTED_LAW, law="电子商务法 31")
    hooks = Hooks(makers={RequestKind.COPY: lambda _home, _case: kept}, before_erasing=_prepare, ended=_issue)
    engine = engine_of(home, MemoryPost(), erasers, clock, hooks=hooks)
    for _ in range(4):
        engine.step()
    home.audit.append(EventType.RESTORE_REPLAYED, actor="operator")
    return home, numbers


def test_the_register_says_what_became_of_each_request(settled):
    home, numbers = settled
    found = register(home)
    by_case = {row.case: row for row in found.cases}
    deleted, copied, waiting = (by_case[number] for number in numbers)
    assert (deleted.state, copied.state, waiting.state) == ("completed", "completed", "acknowledged")
    assert len(deleted.sref) == 64
    assert len(deleted.receipt) == 64
    assert deleted.restricted is not None
    assert found.disagreements == ()
    sums = found.sums()
    assert (sums["total"], sums["completed"], sums["rejected"], sums["open"], sums["residual"]) == (
        3,
        2,
        0,
        1,
        1,
    )
    assert sum(found.days.values()) == 2
    assert [(item.case, item.law) for item in found.residual] == [(copied.case, "电子商务法 31")]
    assert len(found.replays) == 1


def test_it_names_nobody(settled):
    home, _ = settled
    content = msgspec.json.encode(register(home)).decode() + as_csv(register(home))
    assert not any(phone_of(number) in content for number in range(10))


def test_an_end_that_was_not_logged_is_a_disagreement(settled, monkeypatch):
    home, numbers = settled
    events = [event for event in home.audit.events() if event.type is not EventType.DSR_COMPLETED]
    monkeypatch.setattr(type(home.audit), "events", lambda *_: iter(events))
    assert set(register(home).disagreements) == set(numbers[:2])


def test_the_commands_show_it(settled):
    home, numbers = settled
    assert len(json.loads(run("request", "register", "--home", home.folder, "--json"))["cases"]) == 3
    lines = run("request", "register", "--home", home.folder, "--csv").splitlines()
    assert lines[0].startswith("case,sref,kind,state")
    assert len(lines) == 4
    assert numbers[0] in run("request", "register", "--home", home.folder)


def test_a_receipt_is_verified_by_command(settled, tmp_path):
    home, numbers = settled
    file = tmp_path / "receipt.json"
    data = receipts.kept(home, numbers[0])
    file.write_bytes(data)
    pin = f"bank={home.identity.public.fingerprint}"
    found = json.loads(run("request", "verify-receipt", file, "--fingerprint", pin, "--json"))
    assert (found["case"], found["pinned"], found["findings"]) == (numbers[0], True, [])
    file.write_bytes(data.replace(b'"state":"completed"', b'"state":"partial"', 1))
    assert numbers[0] in run("request", "verify-receipt", file, status=1)
    run("request", "verify-receipt", tmp_path / "nothing", status=1)


def test_the_bundle_holds_the_register(settled, tmp_path):
    home, _ = settled
    from policy_scene import policy

    from clients.gate.policy import activate

    activate(home, policy())
    file = export(home.audit, tmp_path, documents(home.folder), {})
    assert read(file.read_bytes()).findings == []
    names = zipfile.ZipFile(file).namelist()
    assert {"documents/requests/register.json", "documents/requests/register.csv"} <= set(names)


def test_a_copy_is_handed_out_by_command_once(settled, tmp_path):
    home, numbers = settled
    folder = copies.folder_of(home, numbers[1])
    folder.mkdir(parents=True)
    (folder / copies.JSON_FILE).write_bytes(b"{}")
    home.vault.put(copies.COPIES + numbers[1], b"t" * 16, days=1)
    run("request", "copy", numbers[1], "--home", home.folder, "--to", tmp_path / "out")
    assert (tmp_path / "out" / copies.JSON_FILE).read_bytes() == b"{}"
    assert not folder.exists()
    run("request", "copy", numbers[1], "--home", home.folder, "--to", tmp_path / "out", status=1)
