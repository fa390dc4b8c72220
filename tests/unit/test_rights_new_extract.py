"""A new extract of the table, in another order: whoever asks, nobody else's data is touched or shown."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest
from rights_scene import SESSION, Clock, MemoryPost, engine_of, filed, make_homes, phone_of, ref_of

from clients.finished import handle_of, read_handle, read_tokens, record_name
from clients.rights.erasing import erasers_of
from clients.rights.locating import Meant, locate, locate_shared
from clients.rights.store import CaseStore
from privacy.rights import Artefact, CaseState, Outcome, Result, SharedRow

WHO = 3
HANDLE = record_name(SESSION, "handle")


class Archives:
    """Stands for the eraser of backups, which needs another party."""

    artefact = Artefact.BACKUP

    def erase(self, home, subjects):
        return [Outcome(artefact=Artefact.BACKUP, result=Result.NOT_FOUND)] * len(subjects)

    def remains(self, home, subjects):
        return [False] * len(subjects)


class World:
    def __init__(self, folder, *parties):
        self.clock, self.post = Clock(datetime.now(UTC)), MemoryPost()
        self.homes = make_homes(folder, parties)

    def step(self, turns=4, **changes):
        for _ in range(turns):
            for home in self.homes.values():
                real = erasers_of(home)
                erasers = [Archives() if one.artefact is Artefact.BACKUP else one for one in real]
                engine_of(home, self.post, erasers, self.clock, **changes).step()
            self.clock.pass_by(minutes=1)

    def case(self, party, number):
        return CaseStore(self.homes[party].vault).get(number)


def table(home):
    return Path(home.settings.table.path)


def other_order(home):
    head, *rows = table(home).read_text().splitlines()
    table(home).write_text("\n".join([head, *rows[::-1]]) + "\n")


def results(home, session=SESSION, people=range(10), rows=range(10)):
    file = home.results / f"churn-{session[:8]}" / "customers.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    phones = [phone_of(number) for number in people]
    pd.DataFrame({"identifier": phones, "row": rows, "points": 600}).to_csv(file, index=False)
    return file


def without_tokens(home):
    handle = msgspec.msgpack.decode(home.vault.get(HANDLE))
    del handle["tokens"]
    home.vault.put(HANDLE, msgspec.msgpack.encode(handle))


def missing(file):
    return [number for number in range(10) if phone_of(number) not in file.read_text()]


@pytest.mark.parametrize("moved", [(), ("bank",), ("shop",), ("bank", "shop")])
def test_the_one_who_asked_is_deleted_and_nobody_else(tmp_path, moved):
    world = World(tmp_path, "bank", "shop")
    for party in moved:
        other_order(world.homes[party])
    number = filed(world.homes["bank"], world.clock, who=WHO)
    world.step()
    assert world.case("bank", number).state is CaseState.COMPLETED
    for home in world.homes.values():
        assert missing(table(home)) == [WHO]
        data = home.vault.get(HANDLE)
        rows, refs = read_handle(data)
        assert (len(rows), len(read_tokens(data))) == (9, 9)
        assert ref_of(WHO) not in {ref.tobytes() for ref in refs}


def test_a_customer_of_an_older_job_is_found_by_its_results(tmp_path):
    world = World(tmp_path, "bank")
    home = world.homes["bank"]
    without_tokens(home)
    file = results(home)
    other_order(home)
    number = filed(home, world.clock, who=WHO)
    world.step()
    assert world.case("bank", number).state is CaseState.COMPLETED
    assert missing(table(home)) == missing(file) == [WHO]
    assert len(read_handle(home.vault.get(HANDLE))[0]) == 9
    assert read_tokens(home.vault.get(HANDLE)).any(axis=1).all()


def test_whom_the_file_no_longer_has_is_still_found(tmp_path):
    world = World(tmp_path, "bank", "shop")
    home = world.homes["shop"]
    file = results(home, people=range(9, -1, -1))
    lines = table(home).read_text().splitlines()
    table(home).write_text("\n".join(line for line in lines if phone_of(WHO) not in line) + "\n")
    (meant,) = locate_shared(home, [("bank", [SharedRow(SESSION, ref_of(WHO))])])
    assert (meant.located.identifier, meant.located.row) == (phone_of(WHO).encode(), -1)
    number = filed(world.homes["bank"], world.clock, who=WHO)
    world.step()
    assert world.case("bank", number).state is CaseState.COMPLETED
    assert missing(file) == [WHO]


def test_names_of_several_people_and_of_nobody(tmp_path):
    home = World(tmp_path, "bank", "shop").homes["shop"]
    other_order(home)
    names = [SharedRow(SESSION, ref_of(number)) for number in (WHO, WHO + 1)]
    stranger = SharedRow(SESSION, b"x" * 16)
    meant = locate_shared(home, [("bank", names), ("bank", [stranger]), ("third", names[:1])])
    assert meant == [Meant(is_contradictory=True), Meant(), Meant()]


def test_a_handle_keeps_what_it_is_given():
    rows, refs = np.arange(3), np.arange(48, dtype=np.uint8).reshape(3, 16)
    tokens = np.arange(6, dtype=np.uint64).reshape(3, 2)
    data = handle_of(rows, refs, tokens)
    assert [one.tolist() for one in read_handle(data)] == [rows.tolist(), refs.tolist()]
    assert read_tokens(data).tolist() == tokens.tolist()


def test_nobody_else_is_located(tmp_path):
    home = World(tmp_path, "bank").homes["bank"]
    other_order(home)
    (one,) = locate(home, [phone_of(WHO).encode()])
    assert (one.row, one.shared) == (9 - WHO, (SharedRow(SESSION, ref_of(WHO)),))
