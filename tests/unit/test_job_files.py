"""Job files: the job they describe, absolute table paths, and every mistake by file and key."""

import pytest

from federation.jobfile import read_job_file
from federation.jobs import Job, PartyPlan, PartyRole, RiskPlan, SegmentsPlan, encode_job
from privacy.errors import ConfigInvalid
from privacy.texts import LANGUAGES

FILE = """
name = "autumn"
purpose = "credit_risk"

[[party]]
name = "bank"
role = "label_holder"
segment_fields = ["income"]
risk_fields = ["income", "age"]
[party.table]
path = "tables/bank.csv"
id_column = "phone"
[party.table.consents]
path = "tables/consents.csv"
id_column = "phone"

[[party]]
name = "shop"
role = "feature_holder"
segment_fields = ["spend"]
risk_fields = ["spend"]

[segments]
[risk]
"""


JOB = Job(
    name="autumn",
    purpose="credit_risk",
    parties=(
        PartyPlan(
            name="bank",
            role=PartyRole.LABEL_HOLDER,
            segment_fields=("income",),
            risk_fields=("income", "age"),
        ),
        PartyPlan(
            name="shop", role=PartyRole.FEATURE_HOLDER, segment_fields=("spend",), risk_fields=("spend",)
        ),
    ),
    segments=SegmentsPlan(),
    risk=RiskPlan(),
)


def refuses(file, key):
    with pytest.raises(ConfigInvalid) as caught:
        read_job_file(file)
    assert caught.value.key == key
    assert all(caught.value.render(language) for language in LANGUAGES)
    return caught.value.render("en")


@pytest.fixture
def job_file(tmp_path):
    file = tmp_path / "jobs" / "job.toml"
    file.parent.mkdir()
    file.write_text(FILE)
    return file


def test_a_job_file_is_the_job_it_describes(job_file):
    assert read_job_file(job_file).job == JOB
    assert read_job_file(job_file).job.digest == JOB.digest


def test_table_paths_are_absolute_and_stay_out_of_the_job(job_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for file in (job_file, job_file.relative_to(tmp_path)):
        bank, shop = read_job_file(file).party
        assert bank.table == {
            "path": str(tmp_path / "jobs/tables/bank.csv"),
            "id_column": "phone",
            "consents": {"path": str(tmp_path / "jobs/tables/consents.csv"), "id_column": "phone"},
        }
        assert shop.table is None
    assert b"tables" not in encode_job(read_job_file(job_file).job)


def test_absolute_paths_stay_as_they_are(job_file):
    job_file.write_text(FILE.replace('"tables/bank.csv"', '"/data/bank.csv"'))
    assert read_job_file(job_file).party[0].table["path"] == "/data/bank.csv"


def test_a_table_is_the_nodes_to_check(job_file):
    job_file.write_text(FILE.replace('path = "tables/bank.csv"', "path = 7"))
    assert read_job_file(job_file).party[0].table["path"] == 7


@pytest.mark.parametrize("section", ["", "[segments]", "[risk]", "[deadlines]", "[[party]]"])
def test_a_job_file_with_an_unknown_key_is_refused_by_its_name(job_file, section):
    if not section:
        text = f"colour = 1\n{FILE}"
    elif section in FILE:
        text = FILE.replace(section, f"{section}\ncolour = 1", 1)
    else:
        text = f"{FILE}\n{section}\ncolour = 1\n"
    job_file.write_text(text)
    message = refuses(job_file, key="file_invalid")
    assert "job.toml" in message
    assert "colour" in message


@pytest.mark.parametrize(
    ("old", "new", "key", "named"),
    [
        ('name = "autumn"\n', "", "file_invalid", "name"),
        ('purpose = "credit_risk"\n', "", "file_invalid", "purpose"),
        ('"label_holder"', '"owner"', "file_invalid", "role"),
        ('"label_holder"', '"feature_holder"', "job_invalid", "label_holder"),
        ("[risk]", "[risk]\ntrees = 0", "file_invalid", "trees"),
        ("[risk]", "[risk]\nl2 = nan", "file_invalid", "l2"),
        ('name = "autumn"', 'name = "autumn"\nprofile = "weak"', "profile_unknown", "weak"),
        ("[segments]", "[segments", "file_invalid", "line"),
    ],
)
def test_a_wrong_job_file_is_refused_by_file_or_key(job_file, old, new, key, named):
    job_file.write_text(FILE.replace(old, new, 1))
    message = refuses(job_file, key=key)
    assert named in message
    assert key != "file_invalid" or "job.toml" in message


def test_files_that_cannot_be_read_are_named(tmp_path):
    assert "none.toml" in refuses(tmp_path / "none.toml", key="file_missing")
    (tmp_path / "bad.toml").write_bytes(b'name = "\xff\xfe"')
    assert "bad.toml" in refuses(tmp_path / "bad.toml", key="file_invalid")


def test_a_job_that_waits_for_ever_is_refused(job_file):
    for deadline in ("join", "silence", "step"):
        job_file.write_text(f"{FILE}\n[deadlines]\n{deadline} = inf")
        assert deadline in refuses(job_file, key="file_invalid")
