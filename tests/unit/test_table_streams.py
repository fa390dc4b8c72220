"""Tables larger than one batch: the same outcome however they are cut, and someone is told how far it is."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest
from dirty_tables import PHONE_PREFIX, clean_ids, dirty_party, expected
from hypothesis import given
from hypothesis import strategies as st
from spelled import texts_of

from clients.consents.importing import import_consents
from clients.consents.store import ConsentStore
from clients.consents.subjects import kind_label
from clients.tables import ConsentSpec, FieldSpec, TableSpec, validate
from clients.tables import files as files_module
from clients.tables.joins import latest_of, repeated
from clients.tables.loading import load
from clients.vault import Vault
from privacy.consent import Answer, Need
from privacy.identifiers import IdentifierKind

TODAY = date(2026, 1, 1)
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
IDS = st.lists(st.sampled_from([b"a", b"b", b"ab", b"abc", b"c"]), max_size=30)


@given(IDS)
def test_repetitions_are_those_of_pandas(ids):
    wanted = np.flatnonzero(pd.Series(ids, dtype=object).duplicated(keep="last"))
    assert sorted(repeated(np.array(ids, dtype="S3"))) == wanted.tolist()


@given(IDS, IDS)
def test_the_latest_statement_of_each_subject(subjects, statements):
    subjects = sorted(set(subjects))
    last = {subject: place for place, subject in enumerate(statements)}
    found = latest_of(np.array(subjects, dtype="S3"), np.array(statements, dtype="S5"))
    assert found.tolist() == [last.get(subject, -1) for subject in subjects]


@pytest.fixture(scope="module")
def party():
    rng = np.random.default_rng(5)
    frame = dirty_party(rng, clean_ids(rng, 400))
    frame["age"] = rng.integers(10, 60, len(frame))
    return frame


@pytest.fixture(scope="module")
def said(party):
    rng = np.random.default_rng(6)
    statements = party[["id"]].sample(500, replace=True, random_state=6).reset_index(drop=True)
    statements["purpose"] = rng.choice(["p", "q"], len(statements), p=[0.8, 0.2])
    statements["status"] = rng.choice(["granted", " Granted", "withdrawn"], len(statements))
    return statements


def write(folder, party, said, suffix):
    for name, frame in (("customers", party), ("consents", said)):
        file = folder / f"{name}.{suffix}"
        frame.to_csv(file, index=False) if suffix == "csv" else frame.to_parquet(file, row_group_size=90)
    return TableSpec(
        path=str(folder / f"customers.{suffix}"),
        id_column="id",
        id_kind=IdentifierKind.PHONE,
        extra_prefixes=(PHONE_PREFIX,),
        fields=(FieldSpec(name="x"),),
        age_column="age",
        consents=ConsentSpec(path=str(folder / f"consents.{suffix}"), id_column="id", notice="n1"),
    )


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("batch_rows", [7, 100, 10**6])
def test_batches_change_nothing(tmp_path, monkeypatch, party, said, suffix, batch_rows):
    spec = write(tmp_path, party[["id", "x", "age"]], said, suffix)
    whole, report = load(spec, "p", ["x"], today=TODAY), validate(spec, today=TODAY)
    monkeypatch.setattr(files_module, "BATCH_ROWS", batch_rows)
    seen = []
    cut = load(spec, "p", ["x"], today=TODAY, on_progress=lambda done, total: seen.append((done, total)))
    assert texts_of(cut.identifiers) == texts_of(whole.identifiers)
    assert cut.rows.tolist() == whole.rows.tolist()
    assert cut.funnel == whole.funnel
    np.testing.assert_array_equal(cut.values, whole.values)
    assert validate(spec, today=TODAY) == report
    assert [done for done, _ in seen] == [
        *range(batch_rows, len(party), batch_rows), len(party),
    ]  # fmt: skip
    assert {total for _, total in seen} == {len(party)}


@pytest.mark.parametrize("batch_rows", [1, 2, 100])
def test_a_fault_behind_the_first_batch_names_its_line(tmp_path, monkeypatch, batch_rows):
    monkeypatch.setattr(files_module, "BATCH_ROWS", batch_rows)
    file = tmp_path / "customers.csv"
    file.write_text('id,x\n1,2\n2,3\n3,4\n4,5\n5,"6\n7,8\n', "utf-8")
    (problem,) = validate(TableSpec(path=str(file), id_column="id", id_kind=IdentifierKind.OPAQUE)).problems
    assert (problem.key, problem.values["line"]) == ("errors.table_malformed", 6)


@pytest.mark.parametrize("batch_rows", [1, 2, 100])
def test_an_encoding_is_chosen_before_anything_is_kept(tmp_path, monkeypatch, batch_rows):
    monkeypatch.setattr(files_module, "BATCH_ROWS", batch_rows)
    file = tmp_path / "customers.csv"
    file.write_bytes("id,x\na,1\nb,2\nc,3\n客户,4\n".encode("gb18030"))
    loaded = load(TableSpec(path=str(file), id_column="id", id_kind=IdentifierKind.OPAQUE), "p", [])
    assert texts_of(loaded.identifiers) == ["a", "b", "c", "客户"]


def test_csv_and_parquet_agree_with_plain_pandas(tmp_path, party, said):
    truth = expected(party)
    log = said.assign(
        subject=party.drop_duplicates("id").set_index("id")["truth"].reindex(said["id"]).to_numpy(),
        status=said["status"].str.strip().str.lower(),
    ).dropna(subset="subject")
    last = log.groupby(["subject", "purpose"])["status"].last().unstack()
    kept = truth[truth["age"] >= 14]
    agreed = kept["truth"].map(last["p"]) == "granted"
    assert 20 < agreed.sum() < len(kept) < len(truth)
    for suffix in ("csv", "parquet"):
        spec = write(tmp_path, party[["id", "x", "age"]], said, suffix)
        loaded = load(spec, "p", ["x"], today=TODAY)
        assert texts_of(loaded.identifiers) == kept["truth"].tolist()
        assert loaded.values.ravel().tolist() == kept["x"].tolist()
        assert validate(spec, today=TODAY).eligible["p"] == agreed.sum()


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("batch_rows", [7, 10**6])
def test_what_people_said_is_the_same_in_any_batches(tmp_path, monkeypatch, party, said, suffix, batch_rows):
    monkeypatch.setattr(files_module, "BATCH_ROWS", batch_rows)
    spec = write(tmp_path, party[["id", "x", "age"]], said, suffix)
    store = ConsentStore(Vault.create(tmp_path))
    report = import_consents(store, spec, NOW)
    subject = dict(zip(party["id"], party["truth"], strict=True))
    words = {}
    for row in said.itertuples():
        if isinstance(subject[row.id], str):
            words[subject[row.id], row.purpose] = row.status.strip().lower() == "granted"
    assert (report.rows, report.words) == (len(said), len(words))
    people = sorted({*filter(lambda one: isinstance(one, str), party["truth"])})
    tokens = store.tokens(kind_label(spec), np.array([one.encode() for one in people]))
    for purpose in ("p", "q"):
        answers = store.answers(tokens, Need(purpose), {"n1"}, NOW)
        assert [answer == Answer.YES for answer in answers] == [
            words.get((one, purpose), False) for one in people
        ]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_job_that_only_matches_reads_no_field(tmp_path, party, said, suffix):
    spec = write(tmp_path, party[["id", "x", "age"]], said, suffix)
    spec = TableSpec(path=spec.path, id_column="id", id_kind=spec.id_kind, extra_prefixes=spec.extra_prefixes)
    loaded = load(spec, "p", [])
    assert texts_of(loaded.identifiers) == expected(party)["truth"].tolist()
    assert loaded.values.shape == (len(loaded), 0)
    assert loaded.identifiers.dtype == "S11"
    assert "S11" not in repr(loaded)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_report_counts_spellings(tmp_path, party, said, suffix):
    report = validate(write(tmp_path, party[["id", "x", "age"]], said, suffix), today=TODAY)
    good = party.dropna(subset="truth")
    assert report.respelled == (good["id"] != good["truth"]).sum() > 20
    assert report.collisions == (good.groupby("truth")["id"].nunique() > 1).sum() > 2
    assert report.duplicates == good["truth"].duplicated().sum() > report.collisions
    assert report.valid_identifiers == len(good)
    assert sum(report.bad_identifiers.values()) == len(party) - len(good)
    shown = repr(report)
    assert not any(str(cell) in shown for cell in good["id"])
