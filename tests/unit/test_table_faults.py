"""Customer tables: every fault is found, counted and named in every language; no message holds a value."""

from __future__ import annotations

import string
from collections import Counter
from datetime import UTC, datetime

import pandas as pd
import pytest

from clients.consents.importing import import_consents
from clients.consents.store import ConsentStore
from clients.tables import ConsentSpec, FieldSpec, Problem, TableSpec, read_schema, validate
from clients.tables.loading import load
from clients.vault import Vault
from privacy.errors import ConfigInvalid, SchemaMismatch
from privacy.identifiers import IdentifierKind
from privacy.texts import LANGUAGES, catalogue


def write(folder, text, name="customers.csv", encoding="utf-8"):
    (folder / name).write_bytes(text.encode(encoding))
    return str(folder / name)


def spec_of(path, *fields, **options):
    chosen = tuple(field if isinstance(field, FieldSpec) else FieldSpec(name=field) for field in fields)
    return TableSpec(
        **{"path": path, "id_column": "id", "id_kind": IdentifierKind.OPAQUE, "fields": chosen} | options
    )


def consenting(tmp_path, log):
    path = write(tmp_path, "id,x\n" + "".join(f"{i},{i}\n" for i in range(1, 7)))
    consents = ConsentSpec(path=write(tmp_path, log, "consents.csv"), id_column="id", notice="n1")
    return spec_of(path, "x", consents=consents)


def problems_of(spec, fields=None, purpose="marketing", **options):
    """All problems that `load` finds; they must render in every language."""
    with pytest.raises(SchemaMismatch) as caught:
        load(spec, purpose, [field.name for field in spec.fields] if fields is None else fields, **options)
    return told(caught.value, spec.path)


def told(error, path):
    """The problems that an error tells, in every language and with the file's name."""
    assert error.key == "table_unusable"
    found = list(error.values["problems"])
    assert error.values["count"] == len(found)
    for language in LANGUAGES:
        message = error.render(language)
        assert all(problem.render(language) in message for problem in found)
        assert path in message
    return found


def keys(problems):
    return [problem.key.removeprefix("errors.table_") for problem in problems]


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 this is none PAR1")
    cases = {
        str(tmp_path / "absent.csv"): "not_found",
        str(tmp_path / "folder.csv"): "is_folder",
        write(tmp_path, "id,x\n1,2\n", "table.xlsx"): "suffix",
        write(tmp_path, "", "zero.csv"): "empty",
        write(tmp_path, "id,x\n", "header.csv"): "empty",
        str(tmp_path / "broken.parquet"): "parquet",
        write(tmp_path, "id,x\n甲,1\n", "sixteen.csv", "utf-16"): "encoding",
        write(tmp_path, "id;x\n1;2\n2;3\n", "semicolon.csv"): "delimiter",
        write(tmp_path, 'id,x\n1,2\n2,"3\n', "quote.csv"): "malformed",
        write(tmp_path, "id,x\n1,1,234.50\n2,3\n", "comma.csv"): "rows_too_long",
        write(tmp_path, "id,x,x\n1,2,3\n2,4,5\n", "twice.csv"): "column_repeated",
    }
    for path, expected in cases.items():
        found = problems_of(spec_of(path, "x"))
        assert keys(found) == [expected], path
        assert keys(validate(spec_of(path, "x")).problems) == [expected], path
        if expected not in {"delimiter"}:
            with pytest.raises(SchemaMismatch):
                read_schema(path)


def test_faults_of_form_name_the_line(tmp_path):
    quote = problems_of(spec_of(write(tmp_path, 'id,x\n1,2\n2,"3\n4,5\n', "quote.csv"), "x"))
    comma = problems_of(spec_of(write(tmp_path, "id,x\n1,2\n3,4\n5,6,7\n8,9,9\n", "comma.csv"), "x"))
    assert [problem.values["line"] for problem in (*quote, *comma)] == [3, 4]
    assert comma[0].values["rows"] == 2


def test_an_empty_parquet_file_and_one_with_a_repeated_column(tmp_path):
    pd.DataFrame({"id": [], "x": []}).to_parquet(tmp_path / "empty.parquet")
    assert keys(problems_of(spec_of(str(tmp_path / "empty.parquet"), "x"))) == ["empty"]
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table([[1], [2], [3]], names=["id", "x", "x"]), tmp_path / "twice.parquet")
    assert keys(problems_of(spec_of(str(tmp_path / "twice.parquet"), "x"))) == ["column_repeated"]


def test_a_missing_column_is_named_with_its_nearest_neighbour(tmp_path):
    path = write(tmp_path, "id,Monthly_Incme,zip\n1,2,3\n2,4,5\n")
    near, far = problems_of(spec_of(path, "monthly_income", "qqqqqq"))
    assert near.key == "errors.table_column_missing_near"
    assert near.values["nearest"] == "Monthly_Incme"
    assert far.key == "errors.table_column_missing"
    assert far.values["count"] == 3
    # The header may be a customer's row: names that are not registered are not printed.
    assert "zip" not in far.render("en") + far.render("zh-CN")


def test_a_file_without_a_header_row_prints_no_customer(tmp_path):
    path = write(tmp_path, "13800000000,13800000000,29\n13800000001,4,30\n")
    for spec in (spec_of(path, "income"), spec_of(path, "income", id_column="phone")):
        for language in ("en", "zh-CN"):
            shown = "\n".join(problem.render(language) for problem in problems_of(spec))
            assert "1380000" not in shown
            assert "29" not in shown.replace(str(path), "")


def test_all_problems_of_a_table_come_in_one_error(tmp_path):
    rows = "\n".join(f"{i},{i % 3},many,7,,{i % 2 + 2 * (i == 4)}" for i in range(6))
    path = write(tmp_path, f"id,good,words,same,void,label\n{rows}\n")
    spec = spec_of(path, "good", "words", "same", "void", "gone", label_column="label")
    found = problems_of(spec, ["good", "words", "same", "void", "gone", "unknown"])
    assert Counter(keys(found)) == Counter(
        ["not_numeric", "field_constant", "field_empty", "column_missing", "label", "field_unregistered"]
    )
    counts = {problem.key: problem.values.get("rows") for problem in found}
    assert counts["errors.table_not_numeric"] == 6
    assert counts["errors.table_label"] == 1
    assert counts["errors.table_field_constant"] == 6
    missing_from_validate = set(keys(found)) - set(keys(validate(spec).problems))
    assert missing_from_validate == {"field_unregistered"}
    assert keys(problems_of(spec, ["good"], with_label=True)) == ["label"]
    assert len(load(spec, "marketing", ["good"], with_label=False)) == 6


def test_validate_counts_each_kind_of_bad_cell_once(tmp_path):
    path = write(tmp_path, "id,x\n1,1\n2,\n3,words\n4,9\n5,NA\n6,inf\n7,2\n8,3\n")
    (field,) = validate(spec_of(path, FieldSpec(name="x", maximum=5))).fields
    assert (field.missing_share, field.not_numeric, field.out_of_range) == (2 / 8, 1, 2)


def test_identifiers_that_are_all_bad(tmp_path):
    path = write(tmp_path, "id,x\n138,1\n139,2\nabc,3\n")
    (problem,) = problems_of(spec_of(path, "x", id_kind=IdentifierKind.PHONE))
    assert problem.key == "errors.table_identifiers_all_bad"
    assert "wrong length" in problem.render("en")
    assert "长度" in problem.render("zh-CN")
    assert "手机" in problem.render("zh-CN")


def test_nobody_left_names_the_main_reason(tmp_path):
    path = write(tmp_path, "id,x,age\n1,1,9\n2,2,10\n3,3,\n")
    (problem,) = problems_of(spec_of(path, "x", age_column="age"), purpose="research")
    assert problem.key == "errors.table_no_rows"
    assert "under the minimum age (2 of 3 rows)" in problem.render("en")
    assert "未达到最低年龄" in problem.render("zh-CN")
    assert problem.values["purpose"] == "research"


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ("id,purpose,status\n1,marketing,granted\n2,marketing,maybe\n3,marketing,\n", ["consent_status"]),
        ("id,purpose,state\n1,marketing,granted\n", ["column_missing_near"]),
        ("id,purpose,status\n", ["empty"]),
        (
            "id,purpose,status\n,marketing,granted\n,marketing,maybe\n",
            ["consent_status", "identifiers_all_bad"],
        ),
    ],
)
def test_a_consent_log_that_cannot_be_used_stops_the_import(tmp_path, log, expected):
    """And with it the load: the gate brings the store up to date first."""
    spec, store = consenting(tmp_path, log), ConsentStore(Vault.create(tmp_path))
    with pytest.raises(SchemaMismatch) as caught:
        import_consents(store, spec, datetime.now(UTC))
    found = told(caught.value, spec.consents.path)
    assert keys(found) == expected
    assert found[0].values["file"] == spec.consents.path
    assert store.version == 0
    assert not store.needs()
    assert keys(validate(spec).problems) == expected


def test_no_message_holds_a_value(tmp_path):
    secret = "13899991234"
    words = "qwertysecret"
    text = f"id,x,same,bad\n{secret},{words},771.25,9{secret}\n{secret}1,{words},771.25,{words}\n"
    path = write(tmp_path, text)
    log = write(tmp_path, f"id,purpose,status\n{secret},p,{words}\n", "consents.csv")
    for kind in (IdentifierKind.OPAQUE, IdentifierKind.CARD):
        spec = spec_of(
            path,
            "x",
            "same",
            label_column="bad",
            id_kind=kind,
            consents=ConsentSpec(path=log, id_column="id", notice="n1"),
        )
        (tmp_path / kind.value).mkdir()
        store = ConsentStore(Vault.create(tmp_path / kind.value))
        shown = [repr(validate(spec))]
        for act in (
            lambda spec=spec: load(spec, "p", ["x", "same"]),
            lambda spec=spec, store=store: import_consents(store, spec, datetime.now(UTC)),
        ):
            with pytest.raises(SchemaMismatch) as caught:
                act()
            shown += [repr(caught.value), str(caught.value)]
            shown += [caught.value.render(language) for language in LANGUAGES]
        for message in shown:
            assert not any(value in message for value in (secret, words, "771.25"))


@pytest.mark.parametrize(
    "options",
    [
        {"fields": (FieldSpec(name="x"), FieldSpec(name="x"))},
        {"fields": (FieldSpec(name="id"),)},
        {"fields": (FieldSpec(name="x"),), "label_column": "x"},
        {"label_column": "id"},
        {"age_column": "age", "birth_date_column": "born"},
        {"fields": (FieldSpec(name="x", minimum=2, maximum=1),)},
    ],
)
def test_a_registration_that_contradicts_itself(options):
    with pytest.raises(ConfigInvalid) as caught:
        spec_of("customers.csv", **options)
    assert all(caught.value.render(language) for language in LANGUAGES)


def test_every_text_fills_in_the_same_values_in_every_language():
    formatter = string.Formatter()
    fields = {
        language: {
            key: {name for _, name, _, _ in formatter.parse(message) if name}
            for key, message in catalogue(language).items()
            if key.startswith(("errors.table_", "errors.identifier_", "errors.sample_", "tables."))
        }
        for language in LANGUAGES
    }
    assert fields["en"] == fields["zh-CN"]
    kinds = {f"tables.kinds.{kind.value}" for kind in IdentifierKind}
    assert kinds <= set(fields["en"])
    assert Problem("tables.kinds.phone").render("zh-CN") == "手机号码"
