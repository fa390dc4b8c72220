"""People are taken out of CSV and Parquet files, and everybody else's rows stay as they are."""

import csv
import io
import os

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clients.rights.erasers import rewriting
from clients.rights.erasers.csv_files import CsvPlan, Rule, erase_from_csv, find_in_csv
from clients.rights.erasers.files import erase_from, find_in
from clients.rights.erasers.rewriting import PART_SUFFIX, is_writable, rewrite
from clients.rights.erasers.wanted import Wanted
from clients.rights.located import Located
from clients.tables import validate
from clients.tables.loading import load
from clients.tables.specs import FieldSpec, TableSpec
from clients.tables.subjects import read_subjects
from privacy.digests import IdFormat, hash_identifiers
from privacy.errors import DeadlinePassed, SchemaMismatch
from privacy.identifiers import IdentifierKind

GONE, OTHER, STAYS = "13900000001", "13900000002", "13900000003"
SPELLINGS = (
    GONE,
    "+86 139-0000-0001",
    " 139 0000 0001",
    "１３９０００００００１",
    "13900000001.0",
    "0086139 00000001",
)


def spec_of(file="table.csv", kind=IdentifierKind.PHONE, **changes):
    return TableSpec(
        path=str(file), id_column="phone", id_kind=kind, fields=(FieldSpec(name="x"),), **changes
    )


def wanted_of(*identifiers, spec=None):
    found = [Located(identifier=one.encode(), token=bytes(16), row=-1) for one in identifiers]
    return Wanted(spec or spec_of(), found)


def written(tmp_path, content, name="table.csv"):
    file = tmp_path / name
    file.write_bytes(content)
    return file


def emptied(tmp_path, content, *identifiers):
    file = written(tmp_path, content)
    found = erase_from(file, "phone", Rule.EMPTY, wanted_of(*identifiers))
    return file.read_bytes(), found.tolist()


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_row_is_emptied_in_its_place(tmp_path, spelling):
    rows = ["phone,x,note", f"{OTHER},1,a", f"{spelling},2,b", f"{STAYS},3,c", ""]
    found, who = emptied(tmp_path, "\n".join(rows).encode(), OTHER, GONE)
    assert who == [True, True]
    assert found.decode().split("\n") == ["phone,x,note", ",,", ",,", f"{STAYS},3,c", ""]


def test_the_table_goes_on_being_read(tmp_path):
    """Emptied rows count as deleted, and everybody else keeps the place."""
    file = written(tmp_path, f"phone,x\n{GONE},1\n{STAYS},2\n,7\n{OTHER},3\n".encode())
    spec = spec_of(file)
    erase_from(file, "phone", Rule.EMPTY, wanted_of(GONE))
    reading, found = read_subjects(spec, ["x"])
    assert reading.problems == []
    assert reading.rows == 4
    assert reading.deleted.tolist() == [True, False, False, False]
    assert found.valid.tolist() == [False, True, False, True]


def test_emptied_rows_are_a_note_and_no_fault(tmp_path):
    file = written(tmp_path, f"phone,x\n{GONE},1\n{STAYS},2\n,7\n{OTHER},3\n".encode())
    spec = spec_of(file)
    erase_from(file, "phone", Rule.EMPTY, wanted_of(GONE))
    report = validate(spec)
    assert report.is_usable
    assert (report.deleted, report.bad_identifiers, report.valid_identifiers) == (1, {"missing": 1}, 2)
    assert [note.key for note in report.notes] == ["tables.notes.deleted"]
    loaded = load(spec, "marketing", ["x"])
    assert dict(loaded.funnel) == {
        "rows_in_file": 4, "deleted": 1, "identifier_missing": 1, "duplicate": 0, "eligible": 2,
    }  # fmt: skip
    assert loaded.rows.tolist() == [1, 3]
    erase_from(file, "phone", Rule.EMPTY, wanted_of(STAYS, OTHER))
    file.write_text(file.read_text().replace(",7", ","))
    report = validate(spec)
    assert report.problems[0].key == "errors.table_empty"


def test_a_file_of_identifiers_alone_keeps_its_places(tmp_path):
    file = written(tmp_path, f"phone\n{GONE}\n{STAYS}\n".encode())
    erase_from(file, "phone", Rule.EMPTY, wanted_of(GONE))
    reading, found = read_subjects(spec_of(file), [])
    assert found.valid.tolist() == [False, True]
    assert reading.deleted.tolist() == [True, False]


def test_other_cells_with_the_identifier_are_emptied(tmp_path):
    content = f'phone,x,contact,note\n{STAYS},1,{GONE},"call {GONE}, evenings"\n{OTHER},2,,{STAYS}\n'.encode()
    found, who = emptied(tmp_path, content, GONE)
    assert who == [True]
    assert found == f"phone,x,contact,note\n{STAYS},1,,\n{OTHER},2,,{STAYS}\n".encode()


def test_amounts_are_not_taken_for_short_identifiers(tmp_path):
    content = b"phone,x\nA7,1001\n1001,5\n"
    file = written(tmp_path, content)
    spec = spec_of(kind=IdentifierKind.OPAQUE)
    assert erase_from(file, "phone", Rule.EMPTY, wanted_of("1001", spec=spec)).tolist() == [True]
    assert file.read_bytes() == b"phone,x\nA7,1001\n,\n"


def test_digests_are_found(tmp_path):
    digest = hash_identifiers(np.array([GONE.encode()]), IdFormat.SM3)[0].decode()
    file = written(tmp_path, f"phone,x\n{digest.upper()},1\n{STAYS},2\n".encode())
    spec = spec_of(id_format=IdFormat.SM3)
    assert find_in(file, "phone", Rule.EMPTY, wanted_of(digest, spec=spec)).tolist() == [True]


def test_rows_are_removed_and_cells_emptied(tmp_path):
    content = f"identifier,row,segment\n{GONE},0,2\n{STAYS},1,0\n".encode()
    file = written(tmp_path, content)
    plan = CsvPlan("identifier", Rule.CELLS, ("segment", "persona"))
    assert erase_from_csv(file, plan, wanted_of(GONE)).tolist() == [True]
    assert file.read_text() == f"identifier,row,segment\n{GONE},0,\n{STAYS},1,0\n"
    assert find_in_csv(file, plan, wanted_of(GONE)).tolist() == [False]
    assert erase_from_csv(file, CsvPlan("identifier", Rule.REMOVE), wanted_of(GONE)).tolist() == [True]
    assert file.read_text() == f"identifier,row,segment\n{STAYS},1,0\n"


def test_nothing_is_written_for_nobody(tmp_path):
    file = written(tmp_path, f"phone,x\n{STAYS},1\n".encode())
    before = file.stat()
    assert erase_from(file, "phone", Rule.EMPTY, wanted_of(GONE)).tolist() == [False]
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"a,b\n1,2\n",
        b"phone,phone\n1,2\n",
        f'phone,x\n{STAYS},"1\n{GONE},2\n'.encode(),
        b"phone,\xff\xff\n1,2\n",
    ],
)
def test_a_file_that_cannot_be_read_is_refused(tmp_path, content):
    file = written(tmp_path, content)
    with pytest.raises(SchemaMismatch):
        erase_from(file, "phone", Rule.EMPTY, wanted_of(GONE))
    assert file.read_bytes() == content
    assert list(tmp_path.iterdir()) == [file]


CELLS = st.text(
    st.sampled_from('a1 ,"\n\r;|\\中文é') | st.characters(codec="gb18030", exclude_categories=["C"]),
    max_size=8,
)
ROWS = st.lists(
    st.tuples(st.sampled_from([*SPELLINGS[:4], STAYS, OTHER, ""]), CELLS, CELLS), min_size=1, max_size=8
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    ROWS,
    st.sampled_from(["utf-8", "utf-8-sig", "gb18030"]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.booleans(),
)
def test_everybody_elses_bytes_stay(tmp_path, rows, encoding, end, quoting, ends_with_newline):
    """Whatever is quoted, broken over lines or encoded how."""
    lines = []
    for row in [("phone", "备注", "x"), *rows]:
        text = io.StringIO()
        csv.writer(text, lineterminator="\r\n", quoting=quoting).writerow(row)
        lines.append(text.getvalue().removesuffix("\r\n") + end)
    if not ends_with_newline:
        lines[-1] = lines[-1].removesuffix(end)
    file = written(tmp_path, "".join(lines).encode(encoding))
    names = [row[0] in SPELLINGS for row in rows]
    found = erase_from(file, "phone", Rule.EMPTY, wanted_of(GONE))
    assert found.tolist() == [any(names)]
    expected = [lines[0]]
    for line, is_gone in zip(lines[1:], names, strict=True):
        kept_end = end if ends_with_newline or line is not lines[-1] else ""
        expected.append(f",,{kept_end}" if is_gone else line)
    assert file.read_bytes() == "".join(expected).encode(encoding)
    assert not find_in(file, "phone", Rule.EMPTY, wanted_of(GONE)).any()


def frame_of(names):
    return pd.DataFrame(
        {
            "phone": names,
            "x": np.arange(len(names), dtype=np.int32),
            "contact": [int(GONE) if place % 4 == 1 else 0 for place in range(len(names))],
            "city": pd.Categorical([f"c{place % 3}" for place in range(len(names))]),
            "when": pd.date_range("2026-01-01", periods=len(names)),
            "list": [[place] for place in range(len(names))],
        }
    )


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.sampled_from([*SPELLINGS[:4], STAYS, OTHER]), min_size=1, max_size=9))
def test_parquet_rows_are_emptied(tmp_path, names):
    frame, file = frame_of(names), tmp_path / "table.parquet"
    table = pa.Table.from_pandas(frame).cast(
        pa.schema([field.with_nullable(field.name != "x") for field in pa.Table.from_pandas(frame).schema])
    )
    pq.write_table(table, file, row_group_size=4, compression={"phone": "ZSTD", "x": "NONE"})
    erase_from(file, "phone", Rule.EMPTY, wanted_of(GONE))
    found = pq.read_table(file)
    for place, name in enumerate(names):
        row = {column: found[column][place].as_py() for column in found.column_names}
        if name in SPELLINGS:
            assert set(row.values()) == {None}
            continue
        before = {column: table[column][place].as_py() for column in table.column_names}
        assert row == before | ({"contact": None} if before["contact"] else {})
    assert GONE.encode() not in file.read_bytes()
    assert not find_in(file, "phone", Rule.EMPTY, wanted_of(GONE)).any()
    with pq.ParquetFile(file) as parquet:
        assert parquet.num_row_groups == -(-len(names) // 4)
        if parquet.metadata.row_group(0).column(1).path_in_schema == "x":
            assert parquet.metadata.row_group(0).column(1).compression == "UNCOMPRESSED"
    reading, subjects = read_subjects(spec_of(file), ["x"])
    is_gone = [name in SPELLINGS for name in names]
    assert reading.deleted.tolist() == is_gone
    assert subjects.valid.tolist() == [not gone for gone in is_gone]


def test_parquet_rows_are_removed(tmp_path):
    file = tmp_path / "consents.parquet"
    frame_of([GONE, STAYS, GONE]).to_parquet(file)
    assert erase_from(file, "phone", Rule.REMOVE, wanted_of(GONE, OTHER)).tolist() == [True, False]
    assert pd.read_parquet(file)["phone"].tolist() == [STAYS]


def test_a_file_that_is_no_parquet_is_refused(tmp_path):
    file = written(tmp_path, b"PAR1 no", "table.parquet")
    with pytest.raises(SchemaMismatch):
        erase_from(file, "phone", Rule.EMPTY, wanted_of(GONE))


def test_mode_and_links_stay(tmp_path):
    file = written(tmp_path, f"phone,x\n{GONE},1\n".encode())
    file.chmod(0o640)
    link = tmp_path / "link.csv"
    link.symlink_to(file)
    erase_from(link, "phone", Rule.EMPTY, wanted_of(GONE))
    assert link.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o640
    assert GONE.encode() not in file.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.csv", "table.csv"]


def test_read_only_and_twice_named_files_are_left_alone(tmp_path):
    file = written(tmp_path, b"phone\n")
    assert is_writable(file)
    os.link(file, tmp_path / "again.csv")
    assert not is_writable(file)
    (tmp_path / "again.csv").unlink()
    file.chmod(0o440)
    assert not is_writable(file)


def test_a_cut_off_attempt_is_made_up_for(tmp_path, monkeypatch):
    """Killed before the new file has taken the old one's place: the old one is whole, and what lay beside it goes."""
    file = written(tmp_path, f"phone,x\n{GONE},1\n".encode())

    def killed(path):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(rewriting, "_sync", killed)
        with pytest.raises(KeyboardInterrupt):
            erase_from(file, "phone", Rule.EMPTY, wanted_of(GONE))
    assert file.read_bytes() == f"phone,x\n{GONE},1\n".encode()
    written(tmp_path, b"left behind", f"table.csv{PART_SUFFIX}")
    erase_from(file, "phone", Rule.EMPTY, wanted_of(GONE))
    assert file.read_bytes() == b"phone,x\n,\n"
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_is_written_meanwhile_is_read_again(tmp_path):
    file = written(tmp_path, b"1")
    seen = []

    def write(part):
        seen.append(file.read_bytes())
        part.write_bytes(b"new " + seen[-1])
        if len(seen) == 1:
            file.write_bytes(b"two")
        return True

    assert rewrite(file, write)
    assert seen == [b"1", b"two"]
    assert file.read_bytes() == b"new two"

    def never(part):
        file.write_bytes(file.read_bytes() + b"!")
        return True

    with pytest.raises(DeadlinePassed):
        rewrite(file, never)
    assert list(tmp_path.iterdir()) == [file]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(ROWS, st.sampled_from(["utf-8", "gb18030"]))
def test_other_cells_of_a_row_keep_their_content(tmp_path, rows, encoding):
    """A row of somebody else is written anew around the cell that was emptied."""
    rows = [(STAYS, note, GONE, other) for _, note, other in rows]
    text = io.StringIO()
    csv.writer(text).writerows([("phone", "note", "contact", "x"), *rows])
    file = written(tmp_path, text.getvalue().encode(encoding))
    assert erase_from(file, "phone", Rule.EMPTY, wanted_of(GONE)).tolist() == [True]
    with file.open(encoding=encoding, newline="") as stream:
        found = list(csv.reader(stream))[1:]
    assert found == [[phone, note, "", other] for phone, note, _, other in rows]
