"""A step is cut off at every named point, and before every single thing that it does: it goes on to the same end."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from rights_scene import (
    Clock,
    FileCourier,
    FileEraser,
    Post,
    engine_of,
    erasers_in,
    filed,
    make_homes,
    phone_of,
)

from clients.consents.store import ConsentStore
from clients.rights.engine import POINTS
from clients.rights.store import CaseStore
from federation.audit_log import AuditLog
from privacy.consent import Answer, Need
from privacy.rights import NEXT_STATES, Artefact, CaseState, RequestKind, Result

PARTIES = ("bank", "shop")
EVERY = 11
"""Of everything that is done, the cuts that are tried: enough to meet each kind of work, in seconds."""
WHO, OTHER = phone_of(3), phone_of(4)


class Stopped(BaseException):
    """The process ends here."""


class Cutting:
    """Counts what happens, and stops at the one with a number."""

    def __init__(self, at=None):
        self.at, self.count, self.points = at, 0, Counter()

    def __call__(self, what=""):
        self.points[what] += 1
        if self.count == self.at:
            self.count += 1
            raise Stopped
        self.count += 1


class World:
    """Two parties of which one process after the other dies."""

    def __init__(self, folder):
        self.folder = folder
        self.homes = make_homes(folder, PARTIES, people=6)
        self.post, self.clock = Post(folder / "post"), Clock()
        self.erasers = {party: erasers_in(folder / f"things-{party}", [WHO, OTHER]) for party in PARTIES}
        self.numbers = [
            filed(self.homes["bank"], self.clock, RequestKind.DELETE, 3),
            filed(self.homes["shop"], self.clock, RequestKind.WITHDRAW, 4, purpose="credit_risk"),
        ]

    def engines(self, cut=None):
        return [
            engine_of(
                home,
                self.post,
                self.erasers[party],
                self.clock,
                **({} if cut is None else {"on_point": cut}),
            )
            for party, home in self.homes.items()
        ]

    def settle(self, cut=None):
        for _ in range(4):
            for engine in self.engines(cut):
                engine.step()

    def cases(self):
        return {
            (party, number): CaseStore(home.vault).get(number)
            for party, home in self.homes.items()
            for number in self.numbers
        }

    def end(self):
        """What has to be the same however often somebody died: everything but times and random numbers."""
        found = {}
        for (party, number), case in self.cases().items():
            outcomes = {
                one.artefact: one.result in {Result.ERASED, Result.NOT_FOUND} for one in case.record.outcomes
            }
            answers = {name: one.answer.state for name, one in case.record.partners.items()}
            found[party, self.numbers.index(number)] = (case.state, case.locators, outcomes, answers)
        left = sorted(file.name for party in PARTIES for file in (self.folder / f"things-{party}").iterdir())
        words = [
            home.consents.answers(
                home.consents.tokens("phone/plain", np.array([OTHER.encode()])),
                Need("credit_risk"), (), self.clock(),
            ).tolist()
            for home in self.homes.values()
        ]  # fmt: skip
        return found, left, words

    def close(self):
        for home in self.homes.values():
            home.vault.close()


@pytest.fixture(scope="module")
def uncut(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("uncut"))
    cut = Cutting()
    world.settle(cut)
    end = world.end()
    world.close()
    return end, cut.points


def test_the_end_without_a_cut(uncut):
    (cases, left, words), _ = uncut
    assert {state for state, *_ in cases.values()} == {CaseState.COMPLETED}
    assert all(locators is None for _, locators, *_ in cases.values())
    derived = {Artefact.AUDIENCE, Artefact.SEGMENT, Artefact.SCORE, Artefact.DECISION}
    kept = sorted(f"{one}.{OTHER}" for one in set(Artefact) - derived for _ in PARTIES)
    assert left == kept
    assert words == [[Answer.WITHDRAWN], [Answer.WITHDRAWN]]


def test_every_point_is_come_by(uncut):
    _, points = uncut
    never = {f"{CaseState.REJECTED}/{at}" for at in ("begun", "done", "stored")}
    assert set(POINTS) - set(points) == never
    assert set(points) <= set(POINTS)


@pytest.mark.parametrize("point", [point for point in POINTS if not point.startswith("rejected")])
def test_cut_off_at_every_point(tmp_path, uncut, point):
    class At(Cutting):
        def __call__(self, what=""):
            if what == point:
                raise Stopped

    world = World(tmp_path)
    died = 0
    for engine in [*world.engines(At()), *world.engines(At()), *world.engines(At())]:
        try:
            engine.step()
        except Stopped:
            died += 1
    assert died
    world.settle()
    world.settle()
    assert world.end() == uncut[0]
    _check_history(world)
    world.close()


def _watch(monkeypatch, cut):
    """Something is about to be done: logged, erased, stored, sent."""
    for kind, names in {
        AuditLog: ("append",),
        FileEraser: ("erase", "remains"),
        FileCourier: ("send", "confirm"),
        CaseStore: ("save", "add", "clear_traces"),
        ConsentStore: ("restrict", "record", "srefs"),
    }.items():
        for name in names:
            plain = getattr(kind, name)

            def watched(*given, plain=plain, name=name, **more):
                cut(name)
                return plain(*given, **more)

            monkeypatch.setattr(kind, name, watched)


def test_cut_off_before_everything_that_is_done(tmp_path, uncut, monkeypatch):
    world = World(tmp_path / "count")
    counting = Cutting()
    with monkeypatch.context() as patch:
        _watch(patch, counting)
        world.settle()
    world.close()
    assert counting.count > 50
    for at in range(0, counting.count, EVERY):
        world = World(tmp_path / str(at))
        cut = Cutting(at)
        with monkeypatch.context() as patch:
            _watch(patch, cut)
            with pytest.raises(Stopped):
                world.settle()
        world.settle()
        world.settle()
        assert world.end() == uncut[0], at
        _check_history(world)
        world.close()


def _check_history(world):
    """Every case went through states that follow one another."""
    follows = {state: set(after) for state, after in NEXT_STATES.items()}
    for case in world.cases().values():
        reached = sorted(case.record.reached, key=list(CaseState).index)
        for state in reached[1:]:
            if not (case.origin and state is CaseState.IDENTIFIED):  # where others' tasks begin
                assert any(state in follows[before] for before in reached), state
