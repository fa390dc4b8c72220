"""One case that is broken, or that something goes wrong for, is no other's harm."""

from __future__ import annotations

import pytest
from rights_scene import Clock, MemoryPost, engine_of, filed, make_homes

from clients.rights import engine as engine_module
from clients.rights.engine import Hooks
from clients.rights.store import CaseStore
from clients.rights.tables import cases
from privacy.rights import CaseState, RequestKind


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def home(tmp_path):
    return make_homes(tmp_path, ("bank",))["bank"]


def broken(home, number):
    with home.vault.engine.begin() as connection:
        connection.execute(cases.update().where(cases.c.number == number).values(record=b"x" * 40))


def test_a_case_that_does_not_open_stops_no_other(home, clock):
    bad = filed(home, clock, RequestKind.RESTRICT, 3)
    good = filed(home, clock, RequestKind.RESTRICT, 4)
    broken(home, bad)
    engine = engine_of(home, MemoryPost(), clock=clock)
    engine.step()
    store = CaseStore(home.vault)
    assert store.get(good).state is CaseState.COMPLETED
    clock.pass_by(days=30)
    assert engine.step().alarms == 1  # it is late, and somebody hears of it


class Broken:
    """Hooks that fail for one case."""

    def __init__(self, number=""):
        self.number, self.calls = number, 0

    def __call__(self, home, batch):
        self.calls += 1
        if not self.number or any(case.number == self.number for case in batch):
            raise RuntimeError("a value of a row")


def test_what_goes_wrong_for_one_case_stops_no_other(home, clock, caplog):
    bad = filed(home, clock, RequestKind.RESTRICT, 3)
    good = filed(home, clock, RequestKind.RESTRICT, 4)
    hook = Broken(bad)
    engine_of(home, MemoryPost(), clock=clock, hooks=Hooks(before_erasing=hook)).step()
    store = CaseStore(home.vault)
    assert store.get(good).state is CaseState.COMPLETED
    stuck = store.get(bad)
    assert (stuck.state, stuck.record.problem) == (CaseState.RESTRICTED, "RuntimeError")
    assert stuck.wake > clock()
    assert "a value" not in caplog.text


def test_a_batch_that_fails_as_a_whole_does_not_take_for_ever(home, clock, monkeypatch):
    monkeypatch.setattr(engine_module, "SINGLE_SECONDS", -1.0)
    numbers = [filed(home, clock, RequestKind.RESTRICT, who) for who in range(3)]
    hook = Broken()
    engine_of(home, MemoryPost(), clock=clock, hooks=Hooks(before_erasing=hook)).step()
    assert hook.calls == 1
    assert all(CaseStore(home.vault).get(number).wake > clock() for number in numbers)
