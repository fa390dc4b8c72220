"""A first policy for a job: for a rehearsal it is enough, for a deployment people have to complete and approve it."""

from __future__ import annotations

import tomllib

import tomli_w
from gate_scene import home_of, job_for
from typer.testing import CliRunner

from clients.cli import app
from clients.gate.gate import preview
from clients.gate.policy import activate, read_policy
from clients.home import for_toml
from clients.sample.job import write_job
from clients.sample.people import PARTIES
from clients.tables import FieldSpec, TableSpec
from federation.jobfile import read_job_file
from privacy.identifiers import IdentifierKind
from privacy.reasons import Reason

JOB = """
name = "look"
purpose = "credit_risk"
[segments]
[[party]]
name = "bank"
role = "label_holder"
segment_fields = ["orders"]
[[party]]
name = "shop"
role = "feature_holder"
"""


def test_a_draft_is_not_in_force_by_taking_its_mark_away(tmp_path):
    fields = (FieldSpec(name="orders"),)
    spec = TableSpec(path="x.csv", id_column="phone", id_kind=IdentifierKind.PHONE, fields=fields)
    home = home_of(tmp_path / "bank", spec)
    (tmp_path / "job.toml").write_text(JOB, "utf-8")
    drafted = CliRunner().invoke(
        app,
        [
            "policy",
            "draft",
            "--home",
            str(home.folder),
            "--into",
            str(tmp_path / "p.toml"),
            str(tmp_path / "job.toml"),
        ],
    )
    assert drafted.exit_code == 0, drafted.output
    plain = tomllib.loads((tmp_path / "p.toml").read_text("utf-8"))
    plain["is_draft"] = False
    (tmp_path / "p.toml").write_text(tomli_w.dumps(plain), "utf-8")
    policy = activate(home, read_policy(tmp_path / "p.toml"))
    reasons = {finding.reason for finding in preview(home, job_for("bank", ("orders",)))}
    assert reasons == {Reason.BASIS_MISSING, Reason.PIPIA_UNAPPROVED, Reason.CREDIT_LICENCE}
    assert all(item.legal_opinion is None for item in policy.purposes[0].recipients)
    assert for_toml(policy)["pipia"][0]["approved_by"] == ""


def test_the_sample_policies_do_not_end_with_a_year(tmp_path):
    for party in PARTIES:
        (tmp_path / party).mkdir()
    write_job(tmp_path)
    for entry in read_job_file(tmp_path / "job.toml").party:
        policy = read_policy(tmp_path / entry.name / "policy.toml")
        ends = [item.valid_until for item in (*policy.assessments, *policy.agreements)]
        assert min(ends).year > 2090
