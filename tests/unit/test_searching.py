"""Whatever a program makes of an identifier, the search for deleted people finds it, and says no more than where."""

import base64
import bz2
import gzip
import hashlib
import io
import json
import lzma
import struct
import zipfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from clients.cli import app
from clients.home import NodeHome, NodeSettings
from clients.rights import searching
from clients.rights.located import Located
from clients.rights.needles import Kind, Search, of_identifiers, of_names
from clients.rights.searching import Trace, needles_of, subjects_of, traces, traces_at
from clients.tables.specs import TableSpec
from privacy.digests import IdFormat, hash_identifiers
from privacy.identifiers import IdentifierKind
from privacy.texts import LANGUAGES

PHONE, OTHER = "13900000001", "13900000002"
RESIDENT = "11010519491231002X"


def kinds_of(data, *identifiers):
    return Search(of_identifiers(one.encode() for one in identifiers or (PHONE,))).kinds_in(data)


def packed(data, name="member.csv"):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return content.getvalue()


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (PHONE.encode(), Kind.IDENTIFIER),
        (b"+86 139-0000-0001", Kind.SEPARATED),
        ("(139) 0000\u00a00001".encode(), Kind.SEPARATED),
        (f"x{PHONE}".encode("utf-16"), Kind.ENCODED),
        ("１３９０００００００１".encode(), Kind.ENCODED),
        ("１３９０００００００１".encode("gb18030"), Kind.ENCODED),
        (PHONE.encode().hex().upper().encode(), Kind.ENCODED),
        (struct.pack("<q", int(PHONE)), Kind.NUMBER),
        (np.array([float(PHONE)]).tobytes(), Kind.NUMBER),
        (hashlib.md5(PHONE.encode(), usedforsecurity=False).digest(), Kind.DIGEST),
        (hashlib.sha256(PHONE.encode()).hexdigest().upper().encode(), Kind.DIGEST),
        (hash_identifiers(np.array([PHONE.encode()]), IdFormat.SM3)[0], Kind.DIGEST),
        (base64.b64encode(hashlib.sha256(PHONE.encode()).digest()), Kind.DIGEST),
    ],
)
def test_a_spelling_is_found(data, kind):
    assert kind in kinds_of(b"before " + data + b" after")
    assert kinds_of(b"before " + data[:-2] + b" after") == set()


@given(st.binary(max_size=9), st.binary(max_size=9))
def test_base64_is_found_wherever_it_stands(before, after):
    """Three bytes become four characters: what an identifier looks like depends on what is before it."""
    assert Kind.ENCODED in kinds_of(base64.b64encode(before + PHONE.encode() + after))
    assert Kind.ENCODED in kinds_of(base64.urlsafe_b64encode(before + PHONE.encode() + after))


def test_letters_are_found_in_both_cases():
    assert Kind.IDENTIFIER in kinds_of(RESIDENT.lower().encode(), RESIDENT)
    assert Kind.DIGEST in kinds_of(hashlib.sha256(RESIDENT.lower().encode()).hexdigest().encode(), RESIDENT)


def test_random_names_are_found():
    search = Search(of_names([bytes(range(16))], Kind.TOKEN))
    for data in (bytes(range(16)), bytes(range(16)).hex().encode(), bytes(range(16)).hex().upper().encode()):
        assert search.kinds_in(b"\0\0" + data) == {Kind.TOKEN}
    assert search.kinds_in(bytes(16)) == set()
    assert "000102" not in repr(search)


def test_what_is_too_short_is_not_looked_for():
    assert of_identifiers([b"A7"]).keys() & {b"A7", b"a7"} == set()


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.integers(0, 200), st.integers(20, 90))
def test_a_place_on_the_border_of_two_parts_is_found(tmp_path, before, part_bytes):
    (tmp_path / "file").write_bytes(b"x" * before + b"139 0000-0001" + b"x" * 50)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(searching, "PART_BYTES", part_bytes)
        found = traces(tmp_path, of_identifiers([PHONE.encode()]))
    assert [(one.kind, one.within) for one in found] == [("separated", "")]


def test_packed_and_columnar_files_are_opened(tmp_path):
    frame = pd.DataFrame({"a": [int(PHONE), 2], "b": ["x", f"call {OTHER}"]})
    frame.to_parquet(tmp_path / "t.parquet")
    text = f"phone\n{PHONE}\n".encode() * 50
    contents = {
        "a.gz": gzip.compress(text),
        "b.bz2": bz2.compress(text),
        "c.xz": lzma.compress(text),
        "d.zip": packed(text),
        "e.zip": packed(gzip.compress((tmp_path / "t.parquet").read_bytes()), "inner.gz"),
        "f.txt": b"nothing",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    found = {
        (one.file.rpartition("/")[2], one.within)
        for one in traces(tmp_path, of_identifiers([PHONE.encode()]))
    }
    expected = {("a.gz", "unpacked"), ("b.bz2", "unpacked"), ("c.xz", "unpacked"), ("d.zip", "member.csv")}
    assert expected <= found
    assert {("t.parquet", "a"), ("e.zip", "inner.gz/unpacked/a")} <= found
    assert "f.txt" not in {name for name, _ in found}


def test_what_cannot_be_opened_is_said(tmp_path):
    (tmp_path / "broken.gz").write_bytes(b"\x1f\x8bnothing")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1nothing")
    found = traces(tmp_path, of_identifiers([PHONE.encode()]))
    assert [(one.file.rpartition("/")[2], one.kind) for one in found] == [
        ("broken.gz", "unread"),
        ("broken.parquet", "unread"),
    ]


def test_a_packed_file_that_is_too_large_is_said_not_to_be_read(tmp_path, monkeypatch):
    monkeypatch.setattr(searching, "LARGEST_UNPACKED", 1000)
    (tmp_path / "large.gz").write_bytes(gzip.compress(bytes(5000)))
    assert [one.kind for one in traces(tmp_path, of_identifiers([PHONE.encode()]))] == ["unread"]


@pytest.fixture
def home(tmp_path):
    table = tmp_path / "table.csv"
    table.write_text(f"phone,x\n{PHONE},1\n{OTHER},2\n")
    spec = TableSpec(path=str(table), id_column="phone", id_kind=IdentifierKind.PHONE)
    made = NodeHome.create(tmp_path / "home", NodeSettings(name="bank", table=spec))
    yield made
    made.vault.close()


def test_a_node_is_searched_with_its_table_and_its_sealed_records(home, tmp_path):
    (one,) = subjects_of(home, [PHONE.encode()])
    home.vault.put("job/1/points", b"\0" + one.token)
    (home.folder / "logs" / "node.log").write_text("called 139 0000 0001")
    found = traces_at(home, [one])
    assert found == sorted(found)
    assert {(trace.file.rpartition("/")[2], trace.within, trace.kind) for trace in found} == {
        ("table.csv", "", "identifier"),
        ("node.log", "", "separated"),
        ("vault", "job/1/points", "token"),
    }
    assert traces_at(home, [Located(identifier=b"13800000000", token=b"\7" * 16, row=-1)]) == []


def test_subjects_are_looked_for_even_where_the_table_cannot_be_read(home, tmp_path):
    (tmp_path / "table.csv").write_text("nothing\n")
    (one,) = subjects_of(home, [PHONE.encode()])
    assert (one.row, len(one.token)) == (-1, 16)
    assert {Kind.IDENTIFIER, Kind.TOKEN, Kind.DIGEST} <= set(needles_of(home, [one]).values())


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_command_says_where_and_never_what(home, monkeypatch, language):
    monkeypatch.setenv("SILHOUETTE_LANG", language)
    run = CliRunner().invoke(
        app, ["request", "search", "--home", str(home.folder)], input=f"139-0000-0001\n{OTHER}\n"
    )
    assert run.exit_code == 1
    assert "table.csv" in run.output
    assert PHONE not in run.output
    run = CliRunner().invoke(app, ["request", "search", "--home", str(home.folder), "--json"], input=PHONE)
    assert run.exit_code == 1
    answer = json.loads(run.output)
    assert answer["subjects"] == 1
    assert answer["found"][0]["kind"] == "identifier"
    assert PHONE not in run.output
    run = CliRunner().invoke(app, ["request", "search", "--home", str(home.folder)], input="13800000009")
    assert (run.exit_code, "1" in run.output) == (0, True)


def test_a_trace_is_a_place():
    assert Trace("a", "", "token") < Trace("b", "", "digest")
