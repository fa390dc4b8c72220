"""How many deletions and corrections another party can have begun in a day: none is lost, refused or counted twice."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from datetime import timedelta

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rights_scene import (
    SESSION,
    START,
    Clock,
    MemoryPost,
    engine_of,
    erasers_in,
    filed,
    make_homes,
    phone_of,
    ref_of,
)
from typer.testing import CliRunner

from clients.cli import app
from clients.home import NodeSettings
from clients.rights import limits
from clients.rights.engine import POINTS, Hooks
from clients.rights.limits import HeldOver, held_over
from clients.rights.store import CaseStore
from clients.rights.tables import tasks
from federation.pace import utc_now
from privacy.audit import EventType
from privacy.rights import Artefact, CaseState, Outcome, RequestKind, Result, SharedRow, Task, TaskAnswer

PEOPLE = 10
LIMIT = 2


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def post():
    return MemoryPost()


def bank_of(folder, parties=("bank", "shop", "telecom"), limit=LIMIT):
    homes = make_homes(folder, parties, PEOPLE)
    home = homes["bank"]
    home.write_settings(msgspec.structs.replace(home.settings, tasks_per_day=limit))
    del home.settings  # read again
    return home


@pytest.fixture
def home(tmp_path):
    return bank_of(tmp_path)


def task_of(who, kind=RequestKind.DELETE, salt=0, **changes):
    return Task(
        case=f"{0xF - who:x}{salt:x}" * 16,  # numbers that say nothing of the order
        kind=kind,
        received=START,
        due=(START + timedelta(days=20)).date(),
        rows=(SharedRow(SESSION, ref_of(who)),),
        **changes,
    )


def send(post, people, party="shop", **changes):
    sent = [task_of(who, **changes) for who in people]
    for task in sent:
        post.put(party, "bank", task, b"")
    return [task.case for task in sent]


def engine_in(home, post, clock, folder, **changes):
    everybody = [phone_of(who) for who in range(PEOPLE)]
    return engine_of(home, post, erasers_in(folder / "things", everybody), clock, **changes)


def states(home):
    store = CaseStore(home.vault)
    return {line.number: line.state for line in store.lines()}


def completed(home, numbers):
    found = states(home)
    return [number for number in numbers if found.get(number) is CaseState.COMPLETED]


def told(home):
    return [
        (event.artefact, event.numbers)
        for event in home.audit.events()
        if event.type is EventType.COUNTER_SNAPSHOT and event.artefact.startswith("tasks/")
    ]


def restricted(home, who, at):
    tokens = home.consents.tokens("phone/plain", np.array([phone_of(who).encode()]))
    return home.consents.restricted(tokens, at).tolist()[0]


def test_so_many_begin_in_a_day_and_the_others_the_next_in_their_order(home, post, clock, tmp_path):
    numbers = send(post, [4, 7, 1, 9, 2])
    engine = engine_in(home, post, clock, tmp_path)
    for day in range(4):
        for _ in range(3):
            engine.step()
            clock.pass_by(minutes=5)
        assert completed(home, numbers) == numbers[: LIMIT * (day + 1)]
        clock.pass_by(days=1)
    assert post.waiting["bank"] == {}
    answers = [message for _, _, message in post.sent if isinstance(message, TaskAnswer)]
    assert sorted(one.case for one in answers) == sorted(numbers)
    assert {one.state for one in answers} == {CaseState.COMPLETED}


def test_who_waits_is_restricted_already_and_nothing_is_erased(home, post, clock, tmp_path):
    send(post, [1, 2, 3, 4])
    engine = engine_in(home, post, clock, tmp_path)
    engine.step()
    assert all(restricted(home, who, clock()) for who in (1, 2, 3, 4))
    left = {file.name.partition(".")[2] for file in (tmp_path / "things").iterdir()}
    assert {phone_of(3), phone_of(4)} <= left
    assert not {phone_of(1), phone_of(2)} & left


def test_one_event_per_party_and_day(home, post, clock, tmp_path):
    send(post, [0, 1, 2, 3, 4])
    send(post, [5, 6], party="telecom", salt=1)
    engine = engine_in(home, post, clock, tmp_path)
    for _ in range(3):
        engine.step()
        clock.pass_by(minutes=20)
    assert told(home) == [("tasks/shop", {"held_over": 3, "tasks_per_day": LIMIT})]
    send(post, [7], salt=2)
    engine.step()
    assert len(told(home)) == 1
    (line,) = held_over(engine.store, clock())
    assert (line.party, line.tasks) == ("shop", 4)
    assert line.until == clock().astimezone().date() + timedelta(days=1)
    clock.pass_by(days=1)
    engine.step()
    assert [numbers["held_over"] for _, numbers in told(home)] == [3, 2]
    clock.pass_by(days=1)
    engine.step()
    assert len(told(home)) == 2
    assert held_over(engine.store, clock()) == []


@pytest.mark.parametrize(
    "kind",
    [RequestKind.WITHDRAW, RequestKind.RESTRICT, RequestKind.OPT_OUT, RequestKind.REFUSE_AUTOMATION],
)
def test_what_takes_effect_at_once_is_not_held_over(home, post, clock, tmp_path, kind):
    send(post, [8, 9], salt=1)
    numbers = send(post, [0, 1, 2, 3], kind=kind)
    engine_in(home, post, clock, tmp_path).step()
    assert completed(home, numbers) == numbers


def test_corrections_count_as_well(home, post, clock, tmp_path):
    numbers = send(post, [0, 1]) + send(post, [2, 3], kind=RequestKind.CORRECT)
    engine_in(home, post, clock, tmp_path).step()
    assert completed(home, numbers) == numbers[:2]


def test_own_requests_and_other_parties_have_their_own_day(home, post, clock, tmp_path):
    send(post, [0, 1, 2])
    others = send(post, [3, 4], party="telecom", salt=1)
    own = [filed(home, clock, who=who) for who in (5, 6, 7, 8)]
    post.offline.update(("shop", "telecom"))
    engine_in(home, post, clock, tmp_path).step()
    assert completed(home, others) == others
    assert {states(home)[number] for number in own} == {
        CaseState.PARTIAL
    }  # they wait for the others' answers


def test_one_that_cannot_be_carried_out_keeps_no_other_from_its_turn(home, post, clock, tmp_path):
    numbers = send(post, [0, 1, 2])
    engine = engine_in(home, post, clock, tmp_path)
    post.offline.add("bank")
    engine.step()
    post.offline.clear()

    def failing(_home, batch):
        if any(case.number == numbers[0] for case in batch):
            raise RuntimeError("a value of a row")

    bad = engine_in(home, post, clock, tmp_path, hooks=Hooks(before_erasing=failing))
    bad.step()
    assert completed(home, numbers) == [numbers[1]]
    clock.pass_by(days=1)
    bad.step()
    assert completed(home, numbers) == numbers[1:]
    engine.step()
    clock.pass_by(days=1)
    engine.step()
    assert completed(home, numbers) == numbers


def test_a_case_from_before_there_was_a_limit(home, post, clock, tmp_path):
    numbers = send(post, [0, 1, 2])
    engine = engine_in(home, post, clock, tmp_path)

    class Stopped(BaseException):
        pass

    def stop(point):
        if point == "letters/stored":
            raise Stopped

    with pytest.raises(Stopped):
        engine_in(home, post, clock, tmp_path, on_point=stop).step()
    with home.vault.engine.begin() as connection:
        connection.execute(tasks.delete())
    engine.step()
    assert len(completed(home, numbers)) == LIMIT
    clock.pass_by(days=1)
    engine.step()
    assert len(completed(home, numbers)) == 3


def test_what_was_counted_goes_when_its_day_is_over(home, post, clock, tmp_path):
    send(post, [0, 1, 2])
    engine = engine_in(home, post, clock, tmp_path)
    for _ in range(3):
        engine.step()
        clock.pass_by(days=1)
    engine.step()
    with home.vault.engine.begin() as connection:
        assert connection.execute(tasks.select()).all() == []


def test_a_limit_is_at_least_one(home):
    plain = msgspec.to_builtins(home.settings)
    assert msgspec.convert({**plain, "tasks_per_day": 1}, NodeSettings).tasks_per_day == 1
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**plain, "tasks_per_day": 0}, NodeSettings)


# --- killed anywhere, and on any order of days


class Stopped(BaseException):
    """The process ends here."""


@pytest.mark.parametrize(
    "point", [one for one in POINTS if one.startswith(("letters", "restricted", "executing"))]
)
def test_cut_off_it_neither_loses_nor_counts_twice(tmp_path, post, clock, point):
    home = bank_of(tmp_path)
    numbers = send(post, [0, 1, 2, 3])

    def stop(here):
        if here == point:
            raise Stopped

    with pytest.raises(Stopped):
        engine_in(home, post, clock, tmp_path, on_point=stop).step()
    engine = engine_of(home, post, erasers_in(tmp_path / "things"), clock)
    engine.step()
    assert completed(home, numbers) == numbers[:LIMIT]
    clock.pass_by(days=1)
    engine.step()
    assert completed(home, numbers) == numbers


def test_cut_off_between_counting_and_storing(home, post, clock, tmp_path, monkeypatch):
    numbers = send(post, [0, 1, 2, 3])
    engine = engine_in(home, post, clock, tmp_path)

    def stop(*_given):
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr("clients.rights.engine.mark_begun", stop)
        with pytest.raises(Stopped):
            engine.step()
    assert CaseState.EXECUTING not in states(home).values()
    engine.step()
    assert completed(home, numbers) == numbers[:LIMIT]


class Counting:
    """An eraser that only counts."""

    def __init__(self, artefact, seen):
        self.artefact, self._seen = artefact, seen

    def erase(self, home, subjects):
        self._seen.update(one.identifier for one in subjects)
        return [Outcome(artefact=self.artefact, result=Result.ERASED)] * len(subjects)

    def remains(self, home, subjects):
        return [False] * len(subjects)


@settings(max_examples=12, deadline=None)
@given(
    days=st.lists(
        st.tuples(st.lists(st.integers(0, PEOPLE - 1), max_size=4), st.integers(-60, 50), st.booleans()),
        min_size=1,
        max_size=6,
    ),
    limit=st.integers(1, 4),
)
def test_nothing_is_lost_under_any_order_of_days(tmp_path_factory, days, limit):
    folder = tmp_path_factory.mktemp("days")
    home, post, clock = bank_of(folder, limit=limit), MemoryPost(), Clock()
    seen = Counter()
    engine = engine_of(home, post, [Counting(one, seen) for one in Artefact], clock)
    sent = []
    for salt, (people, hours, stops) in enumerate(days):
        for who in people:
            number = task_of(who, salt=salt).case
            if number not in sent:  # else it is the same letter again
                sent.append(number)
        send(post, people, salt=salt)
        before = len(completed(home, sent))
        if stops:
            with suppress(Stopped):
                engine_of(home, post, [], clock, on_point=_stop_at("restricted/done")).step()
        engine.step()
        engine.step()
        assert set(states(home)) == set(sent)
        begun = len(completed(home, sent))
        assert begun - before <= limit
        if min(hours for _, hours, _ in days) >= 0:  # a clock that was put back lets the later ones go first
            assert completed(home, sent) == sent[:begun]
        clock.pass_by(hours=hours)
    clock.pass_by(days=60 * len(days) / 24)
    for _ in range(len(sent) // limit + 1):
        clock.pass_by(days=1)
        engine.step()
    assert completed(home, sent) == sent
    assert post.waiting["bank"] == {}
    home.vault.close()


def _stop_at(point):
    def stop(here):
        if here == point:
            raise Stopped

    return stop


def test_it_is_said_in_both_languages():
    line = HeldOver("shop", 3, START.date())
    assert "shop" in line.render("zh-CN")
    assert "3" in line.render("zh-CN")
    assert "held over" in line.render("en")
    assert {RequestKind.DELETE, RequestKind.CORRECT} == limits.LIMITED


def test_on_the_command_line(home, post, tmp_path):
    send(post, [0, 1, 2])
    engine_in(home, post, utc_now, tmp_path).step()
    where = ["request", "alarms", "--home", str(home.folder)]
    shown = CliRunner().invoke(app, [*where, "--json"])
    assert shown.exit_code == 0, shown.output
    (line,) = [one for one in json.loads(shown.output) if "party" in one]
    assert (line["party"], line["tasks"]) == ("shop", 1)
    assert "shop" in CliRunner().invoke(app, where).output
