"""Customer tables: loading equals plain pandas, reads only what it may, and the funnel adds up.

Whose consents hold and how values are minimised is the gate's to say: see test_gate_table.py.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from datetime import date

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain_tables import last_words, plain_pandas, plain_transformed, plain_values
from spelled import texts_of

from clients.sample import PARTIES, make_world, risk_fields, sample_table, segment_fields, write_world
from clients.tables import ConsentSpec, FieldSpec, TableSpec, read_schema, validate
from clients.tables import subjects as subjects_module
from clients.tables.loading import load
from privacy.errors import SchemaMismatch
from privacy.identifiers import IdentifierKind
from privacy.texts import catalogue

TODAY = date(2026, 1, 1)
SEED = 7


@pytest.fixture(scope="module")
def world():
    return make_world(3_000, SEED)


@pytest.fixture(scope="module")
def folder(world, tmp_path_factory):
    home = tmp_path_factory.mktemp("world")
    write_world(world, home)
    return home


@pytest.mark.parametrize("party", PARTIES)
def test_load_equals_plain_pandas(folder, party):
    spec = sample_table(folder, party)
    fields = risk_fields(party)
    loaded = load(spec, "credit_risk", fields, today=TODAY)
    table, reason = plain_pandas(folder, party, TODAY)
    kept = table[reason == "eligible"]

    assert loaded.rows.tolist() == kept.index.tolist()
    assert texts_of(loaded.identifiers) == kept["subject"].tolist()
    assert len(set(texts_of(loaded.identifiers))) == len(loaded) == len(kept)
    view = loaded.view(fields)
    assert view.fields == fields
    assert view.values.dtype == np.float64
    np.testing.assert_array_equal(
        view.values, plain_transformed(spec, plain_values(spec, kept))[list(fields)]
    )
    if party == "bank":
        assert loaded.label.dtype == np.int8
        assert loaded.label.tolist() == kept["default_12m"].tolist()
    else:
        assert loaded.label is None


@pytest.mark.parametrize("party", PARTIES)
def test_the_funnel_adds_up_reason_by_reason(folder, party):
    loaded = load(sample_table(folder, party), "credit_risk", segment_fields(party), today=TODAY)
    _, reason = plain_pandas(folder, party, TODAY)
    first, *excluded, last = loaded.funnel
    assert first == ("rows_in_file", len(reason))
    assert last == ("eligible", len(loaded))
    assert first.rows - sum(step.rows for step in excluded) == last.rows
    counted = Counter()
    for step in loaded.funnel[1:]:
        counted["identifier" if step.reason.startswith("identifier_") else step.reason] += step.rows
    assert +counted == Counter(reason)
    assert {f"tables.funnel.{step.reason}" for step in loaded.funnel} <= set(catalogue("en"))


@pytest.mark.parametrize("party", PARTIES)
def test_validate_agrees_with_plain_pandas_and_with_what_was_planted(world, folder, party):
    report = validate(sample_table(folder, party), today=TODAY)
    planted = world.summary["parties"][party]
    assert report.is_usable
    assert report.rows == planted["rows"]
    assert sum(report.bad_identifiers.values()) == planted["dirt"]["broken_phones"]
    assert report.valid_identifiers == report.rows - planted["dirt"]["broken_phones"]
    cells = sum(round(field.missing_share * report.rows) for field in report.fields)
    assert cells == planted["dirt"]["missing_cells"]
    table, reason = plain_pandas(folder, party, TODAY)
    usable = table[reason == "eligible"]
    assert report.usable_rows == len(usable)
    assert set(report.eligible) == {"credit_risk", "marketing"}
    for purpose, eligible in report.eligible.items():
        assert eligible == usable["subject"].map(last_words(folder, party, purpose)).eq("granted").sum()
        assert eligible + report.excluded_no_consent[purpose] == report.usable_rows
    if party == "bank":
        ages = next(field for field in report.fields if field.name == "age")
        assert ages.out_of_range == planted["dirt"]["impossible_ages"]
        assert report.label_missing == 0
    assert msgspec.json.decode(msgspec.json.encode(report), type=type(report)) == report


def test_nobody_below_the_registered_age_is_loaded(world, folder):
    minors = world.truth[world.truth["minor"] == 1]
    assert len(minors)
    for party in PARTIES:
        loaded = load(sample_table(folder, party), "marketing", segment_fields(party), today=TODAY)
        assert not set(texts_of(loaded.identifiers)) & set(minors[f"phone_{party}"])


@pytest.fixture
def columns_read(monkeypatch):
    """The columns that `load` has the files read, per file."""
    seen = {}

    def spy(path, wanted, limit=None, stream=None):
        streamed = set()
        watched = dataclasses.replace(stream, each=lambda batch: (streamed.update(batch), stream.each(batch)))
        reading = real(path, wanted, limit, watched)
        seen[path] = streamed | set(reading.frame.columns)
        return reading

    real = subjects_module.read_columns
    monkeypatch.setattr(subjects_module, "read_columns", spy)
    return seen


def test_only_the_needed_columns_are_read(folder, columns_read):
    spec = sample_table(folder, "bank")
    load(spec, "marketing", ["tenure_months"], with_label=False, today=TODAY)
    assert columns_read[spec.path] == {"phone", "age", "tenure_months"}
    load(spec, "credit_risk", ["tenure_months"], today=TODAY)
    assert columns_read[spec.path] == {"phone", "age", "tenure_months", "default_12m"}


def test_parquet_gives_the_same_as_csv(folder, tmp_path):
    spec = sample_table(folder, "bank")
    frame = pd.read_csv(spec.path, dtype={"phone": str})
    frame.set_index("city_tier").to_parquet(tmp_path / "customers.parquet")
    parquet = msgspec.structs.replace(spec, path=str(tmp_path / "customers.parquet"))
    one = load(spec, "credit_risk", risk_fields("bank"), today=TODAY)
    other = load(parquet, "credit_risk", risk_fields("bank"), today=TODAY)
    assert one.funnel == other.funnel
    assert texts_of(one.identifiers) == texts_of(other.identifiers)
    np.testing.assert_array_equal(one.values, other.values)
    np.testing.assert_array_equal(one.label, other.label)
    assert read_schema(parquet.path).columns[0].name in frame.columns


def test_neither_repr_nor_report_shows_data(world, folder):
    spec = sample_table(folder, "bank")
    loaded = load(spec, "credit_risk", risk_fields("bank"), today=TODAY)
    shown = repr(loaded) + repr(validate(spec, today=TODAY)) + repr(read_schema(spec.path, ("12",)))
    canary = world.summary["parties"]["bank"]["canaries"]
    assert canary["text"] not in shown
    assert str(canary["number"]) not in shown
    assert not any(identifier in shown for identifier in texts_of(loaded.identifiers))


def write(folder, text, name="customers.csv", encoding="utf-8"):
    (folder / name).write_bytes(text.encode(encoding))
    return str(folder / name)


def spec_of(path, *fields, **options):
    chosen = tuple(field if isinstance(field, FieldSpec) else FieldSpec(name=field) for field in fields)
    return TableSpec(
        **{"path": path, "id_column": "id", "id_kind": IdentifierKind.OPAQUE, "fields": chosen} | options
    )


def test_harmless_irregularities_of_form(tmp_path):
    path = write(tmp_path, 'id,note,x\n1,"a, b",2,,\n\n2,,3\n3\n')
    loaded = load(spec_of(path, "x"), "p", ["x"])
    assert texts_of(loaded.identifiers) == ["1", "2", "3"]
    np.testing.assert_array_equal(loaded.values.ravel(), [2, 3, np.nan])


@pytest.mark.parametrize(("encoding", "noted"), [("utf-8", False), ("utf-8-sig", False), ("gb18030", True)])
def test_encodings_of_spreadsheets(tmp_path, encoding, noted):
    path = write(tmp_path, "id,月收入\n客户甲,100\n客户乙,200\n", encoding=encoding)
    loaded = load(spec_of(path, "月收入"), "marketing", ["月收入"])
    assert texts_of(loaded.identifiers) == ["客户甲", "客户乙"]
    assert loaded.values.tolist() == [[100.0], [200.0]]
    assert bool(loaded.notes) == noted == bool(validate(spec_of(path, "月收入")).notes)
    assert all("gb18030" in note.render("zh-CN") for note in loaded.notes)


def test_the_last_row_of_a_subject_stays(tmp_path):
    path = write(tmp_path, "id,x\n13800000000,1\n13900000000,2\n+86 138-0000-0000,3\n,4\n13700000000,5\n")
    loaded = load(spec_of(path, "x", id_kind=IdentifierKind.PHONE), "marketing", ["x"])
    assert texts_of(loaded.identifiers) == ["13900000000", "13800000000", "13700000000"]
    assert loaded.rows.tolist() == [1, 2, 4]
    assert loaded.values.ravel().tolist() == [2, 3, 5]
    assert dict(loaded.funnel) == {"rows_in_file": 5, "identifier_missing": 1, "duplicate": 1, "eligible": 3}


def test_whole_number_identifiers_survive_gaps_in_parquet(tmp_path):
    frame = pd.DataFrame({"id": [17, 4, None, 9_007_199_254_740_993], "x": [1.0, 2, 3, 4]})
    assert frame["id"].dtype == np.float64
    frame.iloc[:3].to_parquet(tmp_path / "float.parquet")
    assert texts_of(load(spec_of(str(tmp_path / "float.parquet"), "x"), "p", ["x"]).identifiers) == [
        "17",
        "4",
    ]
    whole = pd.DataFrame({"id": [2**62 + 1, 2**62 + 3], "x": [1.0, 2]})
    whole.to_parquet(tmp_path / "int.parquet")
    assert (
        texts_of(load(spec_of(str(tmp_path / "int.parquet"), "x"), "p", ["x"]).identifiers)
        == whole["id"].astype(str).tolist()
    )


def test_ranges_transforms_and_gaps(tmp_path):
    path = write(tmp_path, "id,x,y\n1,-1,0\n2,0,-1\n3,5,1e3\n4,6,inf\n5,,NA\n6, 3 ,3\n")
    spec = spec_of(path, FieldSpec(name="x", minimum=0, maximum=5), FieldSpec(name="y", transform="log1p"))
    loaded = load(spec, "p", ["y", "x"])
    expected = [
        [0, np.nan],
        [np.nan, 0],
        [np.log1p(1000), 5],
        [np.nan, np.nan],
        [np.nan, np.nan],
        [np.log1p(3), 3],
    ]
    np.testing.assert_array_equal(loaded.view().values, expected)
    np.testing.assert_array_equal(loaded.view(["x"]).values.ravel(), [np.nan, 0, 5, np.nan, np.nan, 3])
    assert loaded.out_of_range == {"y": 2, "x": 2}
    with pytest.raises(SchemaMismatch):
        loaded.view(["z"])


@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=3, max_size=12))
def test_any_column_of_numbers_reads_back_exactly(tmp_path_factory, numbers):
    numbers = [*numbers, 1.25, -2.5]
    frame = pd.DataFrame({"id": range(len(numbers)), "x": pd.Series(numbers, dtype=float)})
    path = tmp_path_factory.mktemp("numbers") / "customers.csv"
    frame.to_csv(path, index=False)
    loaded = load(spec_of(str(path), "x"), "p", ["x"])
    np.testing.assert_array_equal(loaded.values.ravel(), frame["x"].to_numpy())


def test_rows_without_a_label_are_left_out_only_when_it_is_asked_for(tmp_path):
    path = write(tmp_path, "id,x,bad\n1,1,0\n2,2,\n3,3,1.0\n")
    spec = spec_of(path, "x", label_column="bad")
    loaded = load(spec, "p", ["x"])
    assert loaded.label.tolist() == [0, 1]
    assert ("label_missing", 1) in loaded.funnel
    assert len(load(spec, "p", ["x"], with_label=False)) == 3
    assert validate(spec).label_missing == 1


def test_ages_from_birth_dates_turn_on_the_birthday(tmp_path):
    path = write(
        tmp_path, "id,x,born\n1,1,2012-01-01\n2,2,2012-01-02\n3,3,19900630\n4,4,2031-01-01\n5,5,soon\n6,6,\n"
    )
    spec = spec_of(path, "x", birth_date_column="born")
    loaded = load(spec, "p", ["x"], today=TODAY)
    assert texts_of(loaded.identifiers) == ["1", "3"]
    assert dict(loaded.funnel)["under_age"] == 1
    assert dict(loaded.funnel)["age_unknown"] == 3
    kept = msgspec.structs.replace(spec, keep_unknown_age=True)
    assert texts_of(load(kept, "p", ["x"], today=TODAY).identifiers) == ["1", "3", "4", "5", "6"]
    assert texts_of(load(spec, "p", ["x"], today=date(2026, 1, 2)).identifiers) == ["1", "2", "3"]


CONSENTS = """id,purpose,status
1,marketing,granted
2,marketing,granted
2,marketing,withdrawn
3,marketing,withdrawn
3,marketing, GRANTED
4,credit_risk,granted
5.0,marketing,granted
,marketing,granted
"""


def consenting(tmp_path, log):
    path = write(tmp_path, "id,x\n" + "".join(f"{i},{i}\n" for i in range(1, 7)))
    consents = ConsentSpec(path=write(tmp_path, log, "consents.csv"), id_column="id", notice="n1")
    return spec_of(path, "x", consents=consents)


def test_validate_goes_by_the_last_word_on_each_purpose(tmp_path):
    report = validate(consenting(tmp_path, CONSENTS))
    assert report.eligible == {"credit_risk": 1, "marketing": 3}
    assert report.excluded_no_consent == {"credit_risk": 5, "marketing": 3}


@given(
    statements=st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from(["a", "b"]), st.booleans()), min_size=1, max_size=30
    )
)
def test_validate_equals_a_replay_of_the_log(tmp_path_factory, statements):
    state = {}
    for subject, purpose, yes in statements:
        state[subject, purpose] = yes
    log = "id,purpose,status\n" + "".join(
        f"{subject},{purpose},{'granted' if yes else 'withdrawn'}\n" for subject, purpose, yes in statements
    )
    home = tmp_path_factory.mktemp("log")
    path = write(home, "id,x\n" + "".join(f"{i},{i}\n" for i in range(6)))
    consents = ConsentSpec(path=write(home, log, "consents.csv"), id_column="id", notice="n1")
    assert validate(spec_of(path, "x", consents=consents)).eligible == {
        purpose: sum(state.get((subject, purpose), False) for subject in range(6))
        for purpose in {purpose for _, purpose, _ in statements}
    }


def test_a_registration_refuses_unknown_keys_and_survives_json(folder):
    spec = sample_table(folder, "bank")
    assert msgspec.json.decode(msgspec.json.encode(spec), type=TableSpec) == spec
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(
            b'{"path":"a.csv","id_column":"id","id_kind":"phone","feilds":[]}', type=TableSpec
        )


def test_read_schema_guesses_types_and_identifiers(tmp_path, folder):
    schema = {
        column.name: column for column in read_schema(sample_table(folder, "bank").path, ("12",)).columns
    }
    assert schema["phone"].looks_like is IdentifierKind.PHONE
    assert schema["resident_id"].looks_like is IdentifierKind.RESIDENT_ID
    assert schema["monthly_income"].type == "number"
    assert schema["monthly_income"].looks_like is None
    path = write(tmp_path, "day,word,void,n\n2026-01-31,a,,1\n2026-02-01,2,,\n")
    columns = read_schema(path).columns
    assert [column.type for column in columns] == ["date", "text", "empty", "number"]
    assert columns[3].missing_share == 0.5
