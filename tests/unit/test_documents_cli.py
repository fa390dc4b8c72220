"""`silhouette-node documents`: writes drafts, keeps what people have written, and says when published ones drift."""

import json
from types import SimpleNamespace

import pytest
from policy_scene import policy, purpose_with_necessity
from typer.testing import CliRunner

import clients.documents
from clients.documents import flows
from clients.documents_cli import documents_app
from clients.home import NodeHome
from federation.jobs import Method
from federation.terminal import run_app
from privacy.errors import Denied
from privacy.reasons import Finding, Reason
from privacy.texts import LANGUAGES, catalogue

NOTICE = "notice-marketing.en.md"


@pytest.fixture
def in_force(monkeypatch):
    """The policy in force, which a test may replace."""
    state = SimpleNamespace(policy=policy())
    table = SimpleNamespace(fields=())
    home = SimpleNamespace(settings=SimpleNamespace(name="bank", table=table))
    monkeypatch.setattr(NodeHome, "open", classmethod(lambda cls, folder: home))
    monkeypatch.setattr(clients.documents, "active_policy", lambda home: state.policy)
    return state


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a command: (exit status, output)."""
    monkeypatch.setenv("COLUMNS", "200")

    def invoke(*words):
        result = CliRunner().invoke(documents_app, [*words, "--home", str(tmp_path / "home")])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, result.output

    return invoke


def test_documents_are_written_and_agree(in_force, run, tmp_path):
    status, shown = run("write", "--into", str(tmp_path / "out"))
    assert status == 0
    assert len(list((tmp_path / "out").iterdir())) == 8
    assert "notice-marketing.en.md: written. 1 places to fill in." in shown
    status, shown = run("check", str(tmp_path / "out"))
    assert (status, "All published documents" in shown) == (0, True)


def test_one_language(in_force, run, tmp_path):
    assert run("write", "--into", str(tmp_path), "--language", "zh-CN")[0] == 0
    assert {file.name.split(".")[1] for file in tmp_path.glob("*.md")} == {"zh-CN"}
    assert run("check", str(tmp_path))[0] == 0


def test_drift_ends_with_status_1_and_is_named(in_force, run, tmp_path):
    run("write", "--into", str(tmp_path))
    in_force.policy = policy(purpose_with_necessity(retention_days=30))
    status, shown = run("check", str(tmp_path))
    assert status == 1
    assert "4. List of personal information" in shown
    status, shown = run("check", str(tmp_path), "--json")
    assert status == 1
    found = json.loads(shown)
    assert found["drift"][0]["name"] == NOTICE
    assert found["drift"][0]["kind"] == "outdated"
    assert found["open_places"][NOTICE] == 1
    assert found["notice_gaps"] == []


def test_untouched_files_are_replaced_and_written_ones_left(in_force, run, tmp_path):
    run("write", "--into", str(tmp_path))
    file = tmp_path / NOTICE
    mark = catalogue("en")["documents.draft"]
    file.write_text(file.read_text("utf-8").replace(f"**【1】** {mark}", "Reviewed."), "utf-8")
    assert run("check", str(tmp_path))[0] == 0
    in_force.policy = policy(purpose_with_necessity(retention_days=30))
    status, shown = run("write", "--into", str(tmp_path))
    assert status == 1
    assert f"{NOTICE}: left alone" in shown
    assert "pipia-marketing.en.md: replaced." in shown
    assert "agreement-shop-1.en.md: replaced." in shown, "its line of digests names another policy"
    assert "Reviewed." in file.read_text("utf-8")
    assert run("write", "--into", str(tmp_path), "--replace")[0] == 0
    assert "Reviewed." not in file.read_text("utf-8")
    assert run("check", str(tmp_path))[0] == 0


def test_writing_twice_changes_nothing(in_force, run, tmp_path):
    run("write", "--into", str(tmp_path))
    before = {file.name: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    status, shown = run("write", "--into", str(tmp_path))
    assert (status, shown.count("unchanged.")) == (0, 8)
    assert {file.name: file.stat().st_mtime_ns for file in tmp_path.iterdir()} == before


def test_gaps_of_notices_are_shown(in_force, run, tmp_path):
    in_force.policy = policy(purpose_with_necessity(automated_decision=True))
    run("write", "--into", str(tmp_path))
    status, shown = run("check", str(tmp_path))
    assert status == 0, "a gap is no drift"
    assert "R-NOTICE-MISSING" in shown
    assert "marketing.human_route" in shown


def test_without_a_policy_or_a_folder_there_is_a_clear_error(in_force, tmp_path, monkeypatch, capsys):
    def none(home):
        raise Denied.of([Finding(Reason.POLICY_UNAVAILABLE)])

    home = ["--home", str(tmp_path)]
    for words, status in ((["check", str(tmp_path / "absent")], 2), (["check", str(tmp_path)], 3)):
        monkeypatch.setattr("sys.argv", ["documents", *words, *home])
        with pytest.raises(SystemExit) as ended:
            run_app(documents_app)
        assert ended.value.code == status
        monkeypatch.setattr(clients.documents, "active_policy", none)
    assert "R-POLICY-UNAVAILABLE" in capsys.readouterr().err


def test_every_flow_has_a_text_and_a_role():
    found = list(flows())
    assert {flow.method for flow in found} == {method.value for method in Method}
    for language in LANGUAGES:
        for flow in found:
            assert f"disclosures.{flow.told}" in catalogue(language)
            assert f"documents.role.{flow.learner}" in catalogue(language)
