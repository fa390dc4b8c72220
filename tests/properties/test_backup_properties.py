"""Archive, shred anybody, restore: equal for everybody else, whatever the files look like."""

import csv
import io
import tempfile
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
from backup_scene import CASE, LABEL, NOW, Shelf, ids, located, make_home, phone
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.backup.archive import create
from clients.backup.restoring import restore
from clients.backup.sections import Form, Plan, Section, blank_of, lines_of, restored_lines
from clients.backup.shredding import shred
from clients.consents.holding import held
from clients.home import NodeHome
from clients.tables.files import read_columns

PEOPLE = 7
CELLS = st.text(st.sampled_from('ab,"\n 中文\t'), max_size=6)
ROWS = st.lists(st.tuples(st.sampled_from(["", "13900000001", "x"]), CELLS, CELLS), min_size=1, max_size=8)


@given(
    rows=ROWS,
    end=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "gb18030"]),
    gone=st.sets(st.integers(0, 7)),
    is_ended=st.booleans(),
)
@settings(max_examples=60)
def test_lines_are_those_that_are_read_and_keep_their_places(
    tmp_path_factory, rows, end, encoding, gone, is_ended
):
    rows = [
        ("1", *row[1:]) if not any(cell.strip() for cell in row) else row for row in rows
    ]  # no blank lines
    text = io.StringIO()
    csv.writer(text, lineterminator=end).writerows([("id", "a", "b"), *rows])
    content = text.getvalue().encode(encoding)
    content = content if is_ended else content.removesuffix(end.encode())
    head, starts = lines_of(content)
    assert len(starts) - 1 == len(rows)
    file = tmp_path_factory.mktemp("lines") / "t.csv"
    file.write_bytes(content)
    assert read_columns(str(file), ["id"]).rows == len(rows)
    blank = blank_of(head, 3)
    plan = Plan(form=Form.LINES, name="t.csv", count=len(rows), head=head, blank=blank)
    section = Section(plan, np.empty((0, 2), np.uint64), np.ones(len(rows), np.bool_), content, starts)
    items = {place: section.item(place) for place in range(len(rows))}
    assert restored_lines(plan, items) == content
    kept = {place: item for place, item in items.items() if place not in gone}
    file.write_bytes(restored_lines(plan, kept))
    found = read_columns(str(file), None).frame.fillna("").to_numpy().tolist()
    read = pd_rows(content, encoding)
    assert found == [["", "", ""] if place in gone else row for place, row in enumerate(read)]
    file.write_bytes(restored_lines(msgspec.structs.replace(plan, blank=b""), kept))
    if kept:
        assert read_columns(str(file), ["id"]).rows == len(kept)


def pd_rows(content, encoding):
    frame = pd.read_csv(io.BytesIO(content), dtype=str, encoding=encoding)
    return frame.fillna("").to_numpy().tolist()


@given(gone=st.sets(st.integers(0, PEOPLE - 1)))
@settings(max_examples=8)
def test_restoring_equals_the_node_without_whom_was_shredded(gone):
    with tempfile.TemporaryDirectory() as folder:
        home = make_home(Path(folder), PEOPLE)
        create(home, Path(folder) / "a", now=lambda: NOW)
        if gone:
            shred(
                home,
                [located(home, number) for number in sorted(gone)],
                CASE,
                escrow=Shelf(),
                now=lambda: NOW,
            )
        done = restore(Path(folder) / "a", Path(folder) / "new", home.folder)
        new = NodeHome.open(Path(done.home))
        assert (done.subjects, done.left_out) == (PEOPLE - len(gone), len(gone))
        stay = sorted(set(range(PEOPLE)) - gone)
        tokens = home.consents.tokens(LABEL, ids(range(PEOPLE)))
        before, after = held(home.consents, tokens, NOW), held(new.consents, tokens, NOW)
        assert [after[number] for number in stay] == [before[number] for number in stay]
        assert all(not after[number].words and not after[number].restrictions for number in gone)
        assert new.consents.known(tokens).tolist() == [number in stay for number in range(PEOPLE)]
        if stay:
            openings = home.consents.openings(tokens[stay])
            assert (new.consents.openings(tokens[stay]) == openings).all()
        lines = Path(new.settings.table.path).read_text().splitlines()[1:]
        expected = [f"{phone(number)},{1000 + number},name {number}" for number in range(PEOPLE)]
        assert lines == [",," if number in gone else expected[number] for number in range(PEOPLE)]
        home.vault.close()
        new.vault.close()
