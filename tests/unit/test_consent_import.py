"""A consent log in a file: which of its words hold, which are outweighed, and what stops an import."""

import time
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from clients.consents import importing as importing_module
from clients.consents.importing import import_consents
from clients.consents.store import ConsentStore
from clients.consents.tables import Source, imports
from clients.tables import ConsentSpec, TableSpec, validate
from clients.tables.times import as_moments, moment, time_of
from clients.vault import Vault
from privacy.consent import Answer, ConsentKind, Need, Statement
from privacy.errors import ConfigInvalid, SchemaMismatch
from privacy.identifiers import IdentifierKind
from privacy.texts import LANGUAGES

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
LABEL = "opaque/plain"
GENERAL = Need("p")
FULL = "id,purpose,kind,scope,recipient,status,notice,stated,until\n"
ALL_COLUMNS = {
    f"{part}_column": part for part in ("kind", "scope", "recipient", "notice", "stated", "until")
}  # fmt: skip


@pytest.fixture
def store(tmp_path):
    vault = Vault.create(tmp_path)
    yield ConsentStore(vault)
    vault.close()


def spec_of(tmp_path, text, name="consents.csv", **columns):
    file = tmp_path / name
    file.write_text(text, "utf-8")
    if not columns:
        columns = ALL_COLUMNS if "kind" in text.split("\n")[0] else {"notice": "n1"}
    consents = ConsentSpec(path=str(file), id_column="id", **columns)
    return TableSpec(path="-", id_column="id", id_kind=IdentifierKind.OPAQUE, consents=consents)


def tokens(store, *names):
    return store.tokens(LABEL, np.array([name.encode() for name in names], "S12"))


def answers(store, *names, need=GENERAL, notices=("n1",), at=NOW):
    return [Answer(answer) for answer in store.answers(tokens(store, *names), need, notices, at)]


def say(store, name, granted, at):
    said = Statement(purpose="p", granted=granted, notice="n1")
    store.record(LABEL, np.array([name.encode()], "S12"), said, Source.CLI, at)


# --- which word holds


def test_the_last_word_of_a_file_holds(store, tmp_path):
    text = "id,purpose,status\na,p,granted\nb,p,granted\nb,p,withdrawn\nc,p,withdrawn\nc,p, GRANTED \nd,q,granted\n"
    report = import_consents(store, spec_of(tmp_path, text), NOW)
    assert answers(store, "a", "b", "c", "d") == [Answer.YES, Answer.WITHDRAWN, Answer.YES, Answer.NEVER]
    assert (report.rows, report.words, report.granted, report.withdrawn) == (6, 4, 3, 1)
    assert store.people(NOW) == 3


def test_every_column_is_read(store, tmp_path):
    text = FULL + (
        "a,p,,,,granted,n1,2026-01-01,\n"
        "a,p,separate,provide,shop;telecom,granted,n1,2026-01-01,2026-05-01\n"
        "a,p,separate,crossborder,sgp,granted,n1,,\n"
        "a,p,separate,sensitive:health,,withdrawn,,2026-01-01T10:00:00Z,\n"
        "a,p,Written,sensitive:finance,,granted,n1,,\n"
        "a,p,guardian,,,granted,n2,,2026-04-30T10:00:00+08:00\n"
    )
    spec = spec_of(tmp_path, text)
    consents = msgspec.structs.replace(spec.consents, notice="n0")
    import_consents(store, msgspec.structs.replace(spec, consents=consents), NOW)
    separate = ConsentKind.SEPARATE
    for need, notices, expected in (
        (Need("p"), ("n1",), Answer.YES),
        (Need("p", separate, "provide", "shop"), ("n1",), Answer.YES),
        (Need("p", separate, "provide", "telecom"), ("n1",), Answer.YES),
        (Need("p", separate, "provide", "bank"), ("n1",), Answer.NEVER),
        (Need("p", separate, "crossborder", "sgp"), ("n1",), Answer.YES),
        (Need("p", separate, "sensitive:health"), ("n0",), Answer.WITHDRAWN),
        (Need("p", ConsentKind.WRITTEN, "sensitive:finance"), ("n1",), Answer.YES),
        (Need("p", ConsentKind.WRITTEN, "sensitive:finance"), ("n2",), Answer.STALE),
        (Need("p", ConsentKind.GUARDIAN), ("n2",), Answer.EXPIRED),
    ):
        assert answers(store, "a", need=need, notices=notices) == [expected], need
    # A last day is over at midnight, in this computer's zone.
    until = datetime(2026, 5, 2).astimezone()
    provide = Need("p", separate, "provide", "shop")
    assert answers(store, "a", need=provide, at=until - timedelta(seconds=1)) == [Answer.YES]
    assert answers(store, "a", need=provide, at=until) == [Answer.EXPIRED]


def test_a_stale_export_does_not_bring_back_a_withdrawn_consent(store, tmp_path):
    text = "id,purpose,status\na,p,granted\nb,p,withdrawn\n"
    import_consents(store, spec_of(tmp_path, text), NOW)
    say(store, "a", False, NOW)
    say(store, "b", True, NOW)
    report = import_consents(store, spec_of(tmp_path, text + "c,p,granted\n"), NOW)
    assert answers(store, "a", "b", "c") == [Answer.WITHDRAWN, Answer.YES, Answer.YES]
    assert (report.granted, report.withdrawn, report.outweighed) == (1, 0, 2)


@pytest.mark.parametrize(("hours", "expected"), [(-1, Answer.WITHDRAWN), (1, Answer.YES)])
def test_of_two_words_with_a_time_the_later_holds(store, tmp_path, hours, expected):
    say(store, "a", False, NOW - timedelta(hours=2))
    stated = NOW - timedelta(hours=2) + timedelta(hours=hours)
    import_consents(store, spec_of(tmp_path, FULL + f"a,p,,,,granted,n1,{stated.isoformat()},\n"), NOW)
    assert answers(store, "a") == [expected]


def test_times_within_a_file_outweigh_the_order_of_its_rows(store, tmp_path):
    rows = (
        "a,p,,,,withdrawn,n1,2026-03-01,\n"
        "a,p,,,,granted,n1,2026-02-01,\n"
        "b,p,,,,granted,n1,2026-02-01,\n"
        "b,p,,,,withdrawn,n1,2026-02-01,\n"
        "c,p,,,,withdrawn,n1,2026-02-01,\n"
        "c,p,,,,granted,n1,,\n"
    )
    import_consents(store, spec_of(tmp_path, FULL + rows), NOW)
    assert answers(store, "a", "b", "c") == [Answer.WITHDRAWN] * 3


def test_a_subject_that_a_newer_file_leaves_out_keeps_its_word(store, tmp_path):
    import_consents(store, spec_of(tmp_path, "id,purpose,status\na,p,granted\nb,p,granted\n"), NOW)
    import_consents(store, spec_of(tmp_path, "id,purpose,status\nb,p,granted\n"), NOW)
    assert answers(store, "a", "b") == [Answer.YES] * 2


# --- again


def test_an_unchanged_file_is_not_read_again(store, tmp_path, monkeypatch):
    spec = spec_of(tmp_path, "id,purpose,status\na,p,granted\n")
    import_consents(store, spec, NOW)
    version = store.version
    with monkeypatch.context() as patched:
        patched.setattr(importing_module, "read_consents", None)
        assert import_consents(store, spec, NOW).is_unchanged
    # Another registration of the same file is another reading of it, and so are other notices.
    other = msgspec.structs.replace(spec, consents=msgspec.structs.replace(spec.consents, notice="n2"))
    assert import_consents(store, other, NOW).granted == 1
    assert not import_consents(store, other, NOW, {"n2"}).is_unchanged
    assert store.version == version + 1


def test_an_unchanged_word_writes_nothing(store, tmp_path):
    import_consents(store, spec_of(tmp_path, "id,purpose,status\na,p,granted\nb,p,withdrawn\n"), NOW)
    version = store.version
    text = "id,purpose,status\nb,p,granted\nb,p,withdrawn\na,p,granted\n"
    report = import_consents(store, spec_of(tmp_path, text), NOW)
    assert (report.words, report.granted, report.withdrawn, report.outweighed) == (2, 0, 0, 0)
    assert store.version == version
    with store.engine.connect() as connection:
        kept = connection.execute(imports.select()).all()
    assert [(row.words, row.version) for row in kept] == [(2, version), (2, version)]
    assert time_of(kept[0].read) == NOW


def test_an_import_that_was_cut_off_is_done_again(store, tmp_path, monkeypatch):
    spec = spec_of(tmp_path, "id,purpose,status\na,p,granted\nb,q,granted\n")
    whole = importing_module.write
    calls = []

    def dies(*args, **named):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return whole(*args, **named)

    monkeypatch.setattr(importing_module, "write", dies)
    with pytest.raises(KeyboardInterrupt):
        import_consents(store, spec, NOW)
    assert answers(store, "b", need=Need("q")) == [Answer.NEVER]
    report = import_consents(store, spec, NOW)
    assert (report.words, report.granted) == (2, 1)
    assert answers(store, "b", need=Need("q")) == [Answer.YES]


def test_a_table_without_a_consent_log_imports_nothing(store):
    spec = TableSpec(path="-", id_column="id", id_kind=IdentifierKind.OPAQUE)
    assert import_consents(store, spec, NOW) == importing_module.ImportReport()
    assert store.version == 0


def test_blocks_change_nothing(tmp_path, monkeypatch):
    rng = np.random.default_rng(2)
    lines = [
        f"c{rng.integers(40)},{rng.choice(['p', 'q'])},,,,{rng.choice(['granted', 'withdrawn'])},n1,"
        f"{rng.choice(['', '2026-01-01', '2026-02-01'])},"
        for _ in range(300)
    ]
    names = [f"c{number}" for number in range(40)]
    found = []
    for rows in (10**6, 7):
        monkeypatch.setattr("clients.consents.importing.BLOCK_ROWS", rows)
        monkeypatch.setattr("clients.tables.files.BATCH_ROWS", rows)
        home = tmp_path / str(rows)
        home.mkdir()
        store = ConsentStore(Vault.create(home))
        report = import_consents(store, spec_of(home, FULL + "\n".join(lines)), NOW)
        found.append((report, answers(store, *names), answers(store, *names, need=Need("q"))))
    assert found[0] == found[1]


# --- what stops an import


@pytest.mark.parametrize(
    ("row", "problem", "column"),
    [
        ("a,p,,,,maybe,n1,,", "table_consent_status", "status"),
        ("a,p,,,,,n1,,", "table_consent_status", "status"),
        ("a,,,,,granted,n1,,", "consent_purpose", "purpose"),
        ("a,The Purpose,,,,granted,n1,,", "consent_purpose", "purpose"),
        ("a,p,special,,,granted,n1,,", "consent_kind", "kind"),
        ("a,p,separate,,,granted,n1,,", "consent_scope_cells", "scope"),
        ("a,p,separate,provide,,granted,n1,,", "consent_scope_cells", "scope"),
        ("a,p,separate,publish,,granted,n1,,", "consent_scope_cells", "scope"),
        ("a,p,separate,sensitive:health,shop,granted,n1,,", "consent_scope_cells", "scope"),
        ("a,p,,provide,shop,granted,n1,,", "consent_scope_cells", "scope"),
        ("a,p,separate,Provide!,shop,granted,n1,,", "consent_scope_cells", "scope"),
        ("a,p,separate,provide,shop;The Shop,granted,n1,,", "consent_recipient", "recipient"),
        ("a,p,,,,granted,,,", "consent_notice", "notice"),
        ("a,p,,,,granted,notice one,,", "consent_notice", "notice"),
        ("a,p,,,,granted,n7,,", "consent_notice_unknown", "notice"),
        ("a,p,,,,granted,n1,yesterday,", "consent_time", "stated"),
        ("a,p,,,,granted,n1,2026-02-30,", "consent_time", "stated"),
        ("a,p,,,,granted,n1,,31/12/2026", "consent_time", "until"),
        ("a,p,,,,granted,n1,2026-05-02,", "consent_future", "stated"),
    ],
)
def test_a_cell_that_is_not_understood_stops_the_import(store, tmp_path, row, problem, column):
    spec = spec_of(tmp_path, FULL + f"b,p,,,,granted,n1,,\n{row}\n")
    with pytest.raises(SchemaMismatch) as caught:
        import_consents(store, spec, NOW, {"n1", "n2"})
    (found,) = caught.value.values["problems"]
    assert found.key == f"errors.{problem}"
    assert found.values == {"file": spec.consents.path, "column": column, "rows": 1}
    cells = set(row.split(",")[1:]) - {
        "",
        "p",
        "granted",
        "n1",
        "separate",
        "provide",
        "sensitive:health",
        "shop",
    }
    for language in LANGUAGES:
        assert not any(cell in caught.value.render(language) for cell in cells)
    assert store.version == 0
    assert store.people(NOW) == 0


def test_all_problems_are_told_at_once(store, tmp_path):
    spec = spec_of(tmp_path, FULL + "a,p,special,,,maybe,,x,y\nb,p,special,,,granted,n1,,\n")
    with pytest.raises(SchemaMismatch) as caught:
        import_consents(store, spec, NOW)
    found = {
        problem.key.removeprefix("errors."): problem.values["rows"]
        for problem in caught.value.values["problems"]
    }
    assert found == {"table_consent_status": 1, "consent_kind": 2, "consent_notice": 1, "consent_time": 1}
    assert len(caught.value.values["problems"]) == 5, "both columns of times"


def test_a_missing_column_or_file_stops_the_import(store, tmp_path):
    spec = spec_of(tmp_path, "id,purpose,status\na,p,granted\n", kind_column="kind", notice="n1")
    with pytest.raises(SchemaMismatch):
        import_consents(store, spec, NOW)
    (tmp_path / "consents.csv").unlink()
    with pytest.raises(SchemaMismatch) as caught:
        import_consents(store, spec, NOW)
    assert caught.value.values["problems"][0].key == "errors.table_not_found"


def test_rows_without_an_identifier_are_left_out_and_counted(store, tmp_path):
    report = import_consents(store, spec_of(tmp_path, "id,purpose,status\n,p,granted\na,p,granted\n"), NOW)
    assert (report.rows, report.unusable, report.words) == (2, 1, 1)


def test_a_registration_names_a_notice():
    with pytest.raises(ConfigInvalid) as caught:
        ConsentSpec(path="c.csv", id_column="id")
    assert caught.value.key == "consent_notice_missing"


# --- the health check of a table goes by the file alone


def test_validate_counts_general_consents(tmp_path):
    (tmp_path / "t.csv").write_text("id\na\nb\nc\nd\ne\n", "utf-8")
    rows = (
        "a,p,,,,granted,n1,,\n"
        "b,p,,,,granted,n1,2026-01-01,\n"
        "b,p,,,,withdrawn,n1,2025-01-01,\n"
        "c,p,,,,granted,n1,,2020-01-01\n"
        "d,p,separate,provide,shop,granted,n1,,\n"
        "d,r,separate,provide,shop,granted,n1,,\n"
        "e,q,,,,withdrawn,n1,,\n"
    )
    spec = msgspec.structs.replace(spec_of(tmp_path, FULL + rows), path=str(tmp_path / "t.csv"))
    report = validate(spec)
    assert report.problems == ()
    assert report.eligible == {"p": 2, "q": 0}
    assert report.excluded_no_consent == {"p": 3, "q": 5}


# --- times


@pytest.fixture(params=["Asia/Shanghai", "America/New_York", "UTC"])
def zone(request, monkeypatch):
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


local = datetime.fromisoformat
CELLS = {
    "2026-03-08": local("2026-03-08"),
    "20260308": local("2026-03-08"),
    " 2026-11-01 00:30 ": local("2026-11-01T00:30"),
    "2026-07-01T08:30:15.25": local("2026-07-01T08:30:15.250"),
    "2026-07-01T08:30:00Z": datetime(2026, 7, 1, 8, 30, tzinfo=UTC),
    "2026-07-01 08:30:00+05:30": datetime(2026, 7, 1, 3, tzinfo=UTC),
    "20260701T08:30:00+0530": datetime(2026, 7, 1, 3, tzinfo=UTC),
}


def test_times_are_local_unless_they_say_otherwise(zone):
    moments, bad = as_moments(pa.array([*CELLS, "", None]))
    assert moments.tolist() == [*(moment(at) for at in CELLS.values()), 0, 0]
    assert not bad.any()


def test_a_day_ends_at_the_next_midnight(zone):
    moments, bad = as_moments(pa.array(["2026-03-08", "2026-03-08T10:00:00"]), is_end=True)
    assert moments[1] == moment(local("2026-03-08T10:00"))
    assert not bad.any()
    # New York's clocks went forward on that day: midnight is still midnight.
    assert moments[0] == moment(local("2026-03-09"))


@pytest.mark.parametrize(
    "cell",
    [
        "2026",
        "2026-05",
        "2026-13-01",
        "2026-02-30",
        "2026-01-01T25:00",
        "01.02.2026",
        "soon",
        "1969-12-31",
        "0",
    ],
)
def test_what_is_no_time(cell):
    moments, bad = as_moments(pa.array(["2026-01-01", cell, "2026-01-02"]))
    assert bad.tolist() == [False, True, False]
    assert moments[1] == 0


def test_the_end_of_the_calendar_is_open_ended_enough(zone):
    moments, bad = as_moments(pa.array(["9999-12-31", "9999-12-31T23:59:59"]), is_end=True)
    assert not bad.any()
    assert all(time_of(int(when)).year == 9999 for when in moments)


def test_typed_columns_are_read_alike(zone):
    texts = pa.array(["2026-03-08", None, "2026-07-01"])
    expected, _ = as_moments(texts, is_end=True)
    dates = pa.array(pd.to_datetime(["2026-03-08", None, "2026-07-01"]).date, pa.date32())
    assert as_moments(dates, is_end=True)[0].tolist() == expected.tolist()
    naive = pa.array([local("2026-03-08T01:00"), None], pa.timestamp("ns"))
    assert as_moments(naive)[0].tolist() == [moment(local("2026-03-08T01:00")), 0]
    aware = pa.array([datetime(2026, 3, 8, 1, tzinfo=UTC), None], pa.timestamp("ms", "UTC"))
    assert as_moments(aware)[0].tolist() == [moment(datetime(2026, 3, 8, 1, tzinfo=UTC)), 0]
    assert as_moments(texts.dictionary_encode(), is_end=True)[0].tolist() == expected.tolist()
