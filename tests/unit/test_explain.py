"""`silhouette run --explain` and `silhouette-node explain`: the plan of the group-by, before anything runs."""

import json

import numpy as np
import pandas as pd
import pytest
from gate_scene import admit, home_of
from typer.testing import CliRunner

from clients.cli import app as node_app
from clients.tables import FieldSpec, TableSpec
from federation import group_explain
from federation.group_explain import measure_product, plan_job, plan_tree
from federation.group_plan import plan_sums, subtraction_cost
from federation.jobfile import read_job_file
from privacy.errors import ConfigInvalid, Denied
from privacy.identifiers import IdentifierKind
from privacy.texts import LANGUAGES
from server.cli import app as server_app

FIELDS = ("stores", "grade", "flag")
JOB = """
name = "early-look"
purpose = "credit_risk"
[[party]]
name = "bank"
role = "label_holder"
risk_fields = ["income"]
[[party]]
name = "shop"
role = "feature_holder"
risk_fields = ["stores", "grade", "flag"]
[[party]]
name = "carrier"
role = "feature_holder"
risk_fields = []
"""
RISK = "[risk]\ndepth = 3\nbins = 16\n"
N_ROWS = 600


@pytest.fixture
def job_file(tmp_path):
    file = tmp_path / "job.toml"
    file.write_text(JOB + RISK, "utf-8")
    return file


@pytest.fixture
def node(tmp_path, job_file):
    made = node_named("shop", tmp_path)
    admit(made, read_job_file(job_file).job)
    return made


def node_named(name, folder):
    rng = np.random.default_rng(4)
    frame = pd.DataFrame(
        {
            "phone": [f"139{number:08d}" for number in range(N_ROWS)],
            "stores": rng.integers(0, 5, N_ROWS),
            "grade": rng.integers(0, 1000, N_ROWS) / 8,
            "flag": rng.integers(0, 2, N_ROWS),
        }
    )
    frame.to_csv(folder / "customers.csv", index=False)
    spec = TableSpec(
        path=str(folder / "customers.csv"),
        id_column="phone",
        id_kind=IdentifierKind.PHONE,
        fields=tuple(FieldSpec(name=field, kind="product_holdings") for field in FIELDS),  # used as they are
    )
    others = tuple(party for party in ("bank", "shop", "carrier") if party != name)
    return home_of(folder / name, spec, name, others)


def output(app, *arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_a_job_alone_tells_every_partners_plan(job_file):
    [tree] = plan_job(read_job_file(job_file).job, 100_000)
    assert (tree.party, tree.fields, tree.n_codes) == ("shop", FIELDS, (17, 17, 17))
    assert [(level.rows, level.summed, level.subtracted) for level in tree.levels] == [
        (100_000, 1, 0),
        (50_000, 1, 1),
        (25_000, 2, 2),
    ]
    root, *below = tree.levels
    assert root.products == plan_sums(100_000, (17,) * 3).products
    assert below[0].products == plan_sums(50_000, (17,) * 3).products + subtraction_cost((17,) * 3)
    assert tree.products == sum(level.products for level in tree.levels)
    assert tree.naive == 3 * root.plan.naive > 3 * tree.products
    assert tree.seconds is None


def test_small_nodes_are_all_summed(job_file):
    [tree] = plan_job(read_job_file(job_file).job, 100)
    assert [(level.summed, level.subtracted) for level in tree.levels] == [(1, 0), (2, 0), (4, 0)]


def test_seconds_are_products_times_what_one_takes(job_file):
    job = read_job_file(job_file).job
    tree = plan_tree(job, "shop", (3, 3, 3), 1000, seconds_per_product=0.5)
    assert tree.seconds == 0.5 * tree.products


def test_a_product_is_measured_and_longer_keys_take_longer():
    assert 0 < measure_product(1024) < measure_product(4096) < 1e-3


def test_the_coordinators_command_reads_no_table(job_file):
    [tree] = json.loads(output(server_app, "run", job_file, "--explain", "--rows", 5000, "--json"))
    assert tree["party"] == "shop"
    assert tree["fields"] == dict.fromkeys(FIELDS, 17)
    assert tree["levels"][0]["rows_per_node"] == 5000
    assert sorted(f for group in tree["levels"][0]["groups"] for f in group["fields"]) == sorted(FIELDS)
    assert tree["distinct_rows"] is tree["seconds_per_tree"] is None
    per_tree = tree["multiplications_per_tree"]
    assert per_tree["planned"] <= per_tree["one_field_at_a_time"] < per_tree["naive"]
    assert per_tree["planned"] == pytest.approx(
        sum(level["multiplications"] for level in tree["levels"]), abs=3
    )


def test_the_nodes_command_bins_its_own_table(job_file, node):
    [tree] = json.loads(output(node_app, "explain", job_file, "--home", node.folder, "--json"))
    assert tree["fields"] == {"stores": 6, "grade": 17, "flag": 3}, "values and the code for missing ones"
    assert tree["rows"] == N_ROWS
    assert 100 < tree["distinct_rows"] <= 5 * 16 * 2, "so many combinations of bins there are"
    assert tree["levels"][0]["merge_equal_rows"]
    assert tree["seconds_per_tree"] > 0
    [more] = json.loads(
        output(node_app, "explain", job_file, "--home", node.folder, "--json", "--rows", 10 * N_ROWS)
    )
    assert (more["rows"], more["distinct_rows"]) == (10 * N_ROWS, 10 * tree["distinct_rows"])


def test_a_look_at_the_table_goes_through_the_gate(job_file, tmp_path):
    node = node_named("shop", tmp_path)
    command = ["explain", str(job_file), "--home", str(node.folder)]
    with pytest.raises(Denied) as refused:
        CliRunner().invoke(node_app, command, catch_exceptions=False)
    assert refused.value.findings.codes == ("R-POLICY-UNAVAILABLE",)
    job = read_job_file(job_file).job
    admit(node, job, fields=("stores", "grade"))
    with pytest.raises(Denied) as refused:
        CliRunner().invoke(node_app, command, catch_exceptions=False)
    assert [(item.reason.value, item.about) for item in refused.value.findings] == [
        ("R-PURPOSE-MISMATCH", "flag")
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_people_get_a_table_in_their_language(job_file, node, language, monkeypatch, capsys):
    monkeypatch.setenv("SILHOUETTE_LANG", language)
    monkeypatch.setattr(group_explain.out, "_width", 100)
    shown = output(node_app, "explain", job_file, "--home", node.folder)
    shown = shown or capsys.readouterr().out
    assert all(field in shown for field in FIELDS)
    assert {"en": "Joint cells", "zh-CN": "联合格数"}[language] in shown
    assert {"en": "s per tree", "zh-CN": "秒"}[language] in shown
    assert "600" in shown


def test_a_job_without_a_group_by_says_so(job_file, tmp_path):
    bank = node_named("bank", tmp_path)
    with pytest.raises(ConfigInvalid) as refused:
        CliRunner().invoke(
            node_app, ["explain", str(job_file), "--home", str(bank.folder)], catch_exceptions=False
        )
    assert refused.value.key == "no_group_by", "the label holder sums in the clear"
    job_file.write_text(JOB, "utf-8")
    with pytest.raises(ConfigInvalid) as refused:
        plan_job(read_job_file(job_file).job, 100)
    assert refused.value.key == "no_group_by"
    job_file.write_text(JOB.replace('["stores", "grade", "flag"]', "[]") + RISK, "utf-8")
    with pytest.raises(ConfigInvalid) as refused:
        plan_job(read_job_file(job_file).job, 100)
    assert refused.value.key == "no_group_by"
