"""What a node refuses before any data moves: an unaccepted disclosure, and a bad table at registration."""

import pytest
from in_process import InProcessFederation, sample_plans
from typer.testing import CliRunner

from clients.cli import app
from clients.sample import make_world, sample_table, write_world
from federation.jobs import Job, SegmentsPlan
from privacy.errors import SchemaMismatch

PARTIES = ("bank", "ecommerce")


def segments_job() -> Job:
    return Job(
        name="segments",
        purpose="credit_risk",
        profile="TESTING_ONLY",
        parties=sample_plans(PARTIES),
        segments=SegmentsPlan(n_clusters=2, n_init=1),
    )


@pytest.mark.parametrize("accepting", [True, False])
def test_a_partner_takes_part_in_segmentation_only_if_its_owner_accepted(
    tmp_path, monkeypatch, accepting
) -> None:
    write_world(make_world(1000, seed=4), tmp_path / "world")
    tables = {party: sample_table(tmp_path / "world", party) for party in PARTIES}
    federation = InProcessFederation(tmp_path / "homes", tables, accepting=accepting)
    outcome = federation.run(segments_job(), "ab" * 16, monkeypatch)
    assert outcome.status == ("done" if accepting else "failed")
    if not accepting:
        assert outcome.texts["en"].startswith("ecommerce: ")
        assert "accept_distance_disclosure" in outcome.texts["en"]
        assert not any(b"kmeans" in message for _, _, message in federation.messages)


def test_registration_refuses_a_bad_table_and_leaves_nothing(tmp_path) -> None:
    (tmp_path / "customers.csv").write_text("id,income\n1,12\n2,much\n2,13\n")
    table = tmp_path / "table.toml"
    table.write_text(
        'path = "customers.csv"\nid_column = "id"\nid_kind = "opaque"\nfields = [{name = "income"}]\n'
    )
    home = tmp_path / "home"
    result = CliRunner().invoke(app, ["init", "--home", str(home), "--name", "bank", "--table", str(table)])
    assert isinstance(result.exception, SchemaMismatch)
    told = result.exception.render("en")
    assert str(tmp_path / "customers.csv") in told
    assert '1 rows of column "income"' in told
    assert "much" not in told
    assert not home.exists()
