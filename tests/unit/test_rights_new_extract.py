"""A new extract of the table, in another order: whoever asks, nobody else's data is touched or shown."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest
from consent_desk import PHONES
from gate_scene import job_for
from held_scene import home_with_results, subject_of
from rights_scene import (
    SESSION,
    Clock,
    MemoryPost,
    engine_of,
    filed,
    make_homes,
    match,
    order_of,
    phone_of,
    ref_of,
)

from clients.consents.rows import as_tokens
from clients.finished import handle_of, read_handle, read_tokens, record_name
from clients.rights.erasers.eraser import UNCLEAR
from clients.rights.erasing import erasers_of
from clients.rights.held import gather
from clients.rights.locating import Meant, locate, locate_shared
from clients.rights.store import CaseStore
from federation.jobs import encode_job
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


@pytest.mark.parametrize("at", ["bank", "shop"])
def test_what_cannot_be_told_is_not_said_to_be_done(tmp_path, at):
    """A job of which neither tokens nor results are left, until its records are removed."""
    world = World(tmp_path, "bank", "shop")
    without_tokens(world.homes[at])
    other_order(world.homes[at])
    number = filed(world.homes["bank"], world.clock, who=WHO)
    world.step()
    case = world.case("bank", number)
    assert case.state is CaseState.PARTIAL
    outcomes = case.record.outcomes if at == "bank" else case.record.partners["shop"].answer.outcomes
    if at == "shop":
        assert missing(table(world.homes["shop"])) == []
    else:
        assert (
            world.homes["bank"]
            .consents.restricted(as_tokens([one.token for one in case.subjects]), world.clock())
            .all()
        )
    (match,) = [one for one in outcomes if one.artefact is Artefact.MATCH]
    assert (match.result, match.reason) == (Result.FAILED, UNCLEAR)


def test_a_copy_shows_the_persons_own_row(tmp_path):
    home = home_with_results(tmp_path)
    person = subject_of(home, WHO)
    before = gather(home, person).fields
    frame = pd.read_csv(home.settings.table.path, dtype=str)
    frame.iloc[::-1].to_csv(home.settings.table.path, index=False)
    assert gather(home, person).fields == before
    assert PHONES[WHO] in [one.value for one in before]
    frame[frame["phone"] != PHONES[WHO]].to_csv(home.settings.table.path, index=False)
    assert gather(home, person).fields == ()


def test_a_job_that_ends_after_scoping_loses_the_person_too_everywhere(tmp_path):
    world = World(tmp_path, "bank", "shop", "third")
    later, bank = "7a" * 16, world.homes["bank"]
    files = []
    for party in ("bank", "shop"):  # what both matched earlier is known to them alone
        bank_job = job_for(party, ("income",), others=("shop" if party == "bank" else "bank",))
        world.homes[party].vault.put(record_name(SESSION, "job"), encode_job(bank_job))
    world.homes["third"].vault.remove(f"job/{SESSION}/")

    def on_point(point):
        if point != "scoped/begun" or files:
            return
        for party, home in world.homes.items():
            match(home, party, tuple(world.homes), 10, later)
            home.vault.put(record_name(later, "points"), np.full(10, 600, np.int32).tobytes())
            files.append(results(home, later, order_of(party, 10)))

    number = filed(bank, world.clock, who=WHO)
    world.step(on_point=on_point)
    case = world.case("bank", number)
    assert (case.state, sorted(case.record.partners)) == (CaseState.COMPLETED, ["shop", "third"])
    assert [missing(file) for file in files] == [[WHO]] * 3
    for home in world.homes.values():
        assert missing(table(home)) == [WHO]
        assert len(read_handle(home.vault.get(record_name(later, "handle")))[0]) == 9


@pytest.mark.parametrize("party", ["bank", "shop"])
def test_a_matching_whose_time_is_over_is_looked_through(tmp_path, party):
    world = World(tmp_path, "bank", "shop")
    home = world.homes[party]
    file = results(home, people=order_of(party, 10))
    for name in ("handle", "job"):
        home.vault.put(record_name(SESSION, name), home.vault.get(record_name(SESSION, name)), days=-1)
    number = filed(world.homes["bank"], world.clock, who=WHO)
    world.step()
    assert world.case("bank", number).state is CaseState.COMPLETED
    assert missing(file) == [WHO]
    assert [missing(table(one)) for one in world.homes.values()] == [[WHO]] * 2
    assert len(read_handle(home.vault.held([HANDLE])[HANDLE])[0]) == 9


def test_only_a_narrowed_subject_is_kept_in_other_lists(tmp_path):
    home = World(tmp_path, "bank").homes["bank"]
    (one,) = locate(home, [phone_of(WHO).encode()])
    one = msgspec.structs.replace(one, shared=())
    file = results(home)
    narrowed = msgspec.structs.replace(one, is_narrowed=True)
    other = locate(home, [phone_of(WHO + 1).encode()])
    (eraser,) = [eraser for eraser in erasers_of(home) if eraser.artefact is Artefact.SCORE]
    assert eraser.remains(home, [narrowed]) == [False]
    assert eraser.remains(home, [one, narrowed]) == [True, True]
    eraser.erase(home, [narrowed, *other])
    assert missing(file) == [WHO + 1]
