"""The audit commands: what people see, what programs read, and the exit status."""

import json

import pytest
from audit_scene import KEYS, fill, open_log
from bundle_scene import DOCUMENTS, make_logs
from typer.testing import CliRunner

from federation.audit_cli import make_audit_app
from privacy.audit import EventType
from privacy.errors import AuditBroken, ConfigInvalid

RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def _english(monkeypatch):
    monkeypatch.setenv("SILHOUETTE_LANG", "en")
    monkeypatch.setattr("federation.terminal.out._width", 200)


@pytest.fixture
def home(tmp_path):
    make_logs(tmp_path)
    return tmp_path


def run(*arguments, status=0):
    """The command's output; our own errors are raised as they are."""
    app = make_audit_app(lambda home: open_log(home / "bank"), lambda _: DOCUMENTS, lambda _: KEYS)
    result = RUNNER.invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == status, result.output
    return result.output


def test_show_for_people(home):
    output = run("show", "--home", home)
    log = open_log(home / "bank")
    assert all(event.type in output for event in log.events())
    assert log.root.hex() in output
    assert "cosigned by: coordinator, shop" in output
    assert "R-CONSENT-WITHDRAWN" in output


def test_show_for_programs(home):
    events = json.loads(run("show", "--home", home, "--json"))
    log = open_log(home / "bank")
    assert [event["seq"] for event in events] == list(range(log.size))
    assert events == [json.loads(line) for line in log.lines()]


def test_show_some(home):
    def shown(*arguments):
        return [event["seq"] for event in json.loads(run("show", "--home", home, "--json", *arguments))]

    everything = [event.type for event in open_log(home / "bank").events()]
    withdrawn = [seq for seq, kind in enumerate(everything) if kind is EventType.CONSENT_WITHDRAWN]
    assert shown("--type", "consent.withdrawn") == shown("--type", "consent") == withdrawn
    assert shown("--type", "consent", "--type", "log") == [*withdrawn, len(everything) - 1]
    assert shown("--since", "5") == list(range(5, len(everything)))
    assert shown("--since", "99") == []
    with pytest.raises(ConfigInvalid) as caught:
        run("show", "--home", home, "--type", "consent.no")
    assert caught.value.key == "audit_type_unknown"
    assert "consent" in str(caught.value)


def test_an_empty_log_is_shown(tmp_path):
    assert "0 events" in run("show", "--home", tmp_path)


def test_a_broken_log_is_not_shown(home):
    file = home / "bank" / "events.jsonl"
    file.write_bytes(file.read_bytes().replace(b'"rows":100', b'"rows":999', 1))
    with pytest.raises(AuditBroken, match="event 0"):
        run("show", "--home", home)


def test_export_and_verify(home, tmp_path):
    file = tmp_path / "bank.zip"
    output = run("export", "--home", home, file)
    assert str(file) in output
    assert f"8 events, signed with fingerprint {KEYS['bank'].fingerprint}" in output
    output = run("verify", file)
    assert "Everything holds." in output
    assert "compare the fingerprint" in output
    pin = f"bank={KEYS['bank'].fingerprint}"
    assert "compare the fingerprint" not in run("verify", file, "--fingerprint", pin)
    told = json.loads(run("verify", file, file, "--json", "--fingerprint", pin))
    assert told["findings"] == []
    assert [(one["log"], one["events"], one["pinned"]) for one in told["bundles"]] == [("bank", 8, True)] * 2


def test_what_does_not_hold_is_told_and_fails(home, tmp_path):
    file = tmp_path / "bank.zip"
    run("export", "--home", home, file)
    pin = f"bank={KEYS['shop'].fingerprint}"
    output = run("verify", file, "--fingerprint", pin, status=1)
    assert "Everything holds." not in output
    (finding,) = json.loads(run("verify", file, "--json", "--fingerprint", pin, status=1))["findings"]
    assert (finding["code"], finding["log"]) == ("key_not_pinned", "bank")
    assert finding["text"].startswith("bank: ")
    file.write_bytes(b"no bundle")
    told = json.loads(run("verify", file, "--json", status=1))
    assert (told["bundles"], told["findings"][0]["code"]) == ([], "bundle_unreadable")


def test_an_older_bundle_against_a_witness_is_compared(home, tmp_path):
    log, shop = open_log(home / "bank"), open_log(home / "shop", "shop")
    fill(log, 3)
    made = log.checkpoint()
    shop.witness(made, KEYS["bank"], log.consistency(shop.seen("bank").size))
    run("export", "--home", home, tmp_path / "bank.zip")
    shop_app = make_audit_app(lambda _: shop, lambda _: {}, lambda _: KEYS)
    assert RUNNER.invoke(shop_app, ["export", "--home", str(home), str(tmp_path / "shop.zip")]).exit_code == 0
    run("verify", tmp_path / "bank.zip", tmp_path / "shop.zip")


@pytest.mark.parametrize("pin", ["bank", "=0123456789abcdef", "bank=0123", "bank=0123456789ABCDEF"])
def test_a_wrong_fingerprint_is_refused(tmp_path, pin):
    with pytest.raises(ConfigInvalid) as caught:
        run("verify", tmp_path / "x.zip", "--fingerprint", pin)
    assert caught.value.key == "audit_fingerprint_invalid"


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigInvalid, match="does not exist"):
        run("verify", tmp_path / "x.zip")
    with pytest.raises(ConfigInvalid, match="directory"):
        run("verify", tmp_path)
