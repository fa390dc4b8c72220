"""`silhouette-node sample enterprises`: three parties' files, their policies, and a job that fits them."""

from __future__ import annotations

from typer.testing import CliRunner

from clients.cli import app
from federation.jobfile import read_job_file
from federation.jobs import PartyRole


def test_the_command_writes_tables_policies_and_a_job(tmp_path):
    done = CliRunner().invoke(app, ["sample", "enterprises", str(tmp_path), "--firms", "300", "--seed", "5"])
    assert done.exit_code == 0, done.output
    file = read_job_file(tmp_path / "job.toml")
    assert file.job.purpose == "enterprise_credit"
    assert file.job.roles.all == ("bank", "platform", "utility")
    for entry in file.party:
        assert (tmp_path / entry.name / "firms.csv").is_file()
        assert (tmp_path / entry.name / "policy.toml").is_file()
        assert entry.table["id_kind"] == "uscc"
        is_bank = entry.role is PartyRole.LABEL_HOLDER
        assert (
            is_bank
            == (entry.name == "bank")
            == ("label_column" in entry.table)
            == ("consents" in entry.table)
        )


def test_too_few_firms_are_refused(tmp_path):
    assert CliRunner().invoke(app, ["sample", "enterprises", str(tmp_path), "--firms", "20"]).exit_code == 2
