"""A row that was kept: from its day on there is a daily alarm, until an officer has it erased or a new day is set."""

from __future__ import annotations

import json
from datetime import date, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rights_scene import START, Clock, MemoryPost, engine_of, erasers_in, filed, make_homes, phone_of
from typer.testing import CliRunner

from clients.cli import app
from clients.rights import receipts
from clients.rights.alarms import Late, alarms
from clients.rights.cases import UNKNOWN_DAYS, Case, Record
from clients.rights.duties import DUTIES_FILE
from clients.rights.engine import Hooks
from clients.rights.kept import due_again, reopen
from clients.rights.register import register
from clients.rights.running import _issue, _prepare
from privacy.audit import EventType
from privacy.errors import ConfigInvalid
from privacy.receipts import read
from privacy.rights import Artefact, CaseState, Outcome, Requester, RequestKind, Result, TaskAnswer

WHO = phone_of(3)
AML = '[[duty]]\nlaw = "AML 34"\nyears = 10\ncolumn = "closed"\n'  # until 2028-01-02
DAY = date(2028, 1, 3)
HOOKS = Hooks(before_erasing=_prepare, ended=_issue)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def home(tmp_path):
    made = make_homes(tmp_path)["bank"]
    (made.folder / DUTIES_FILE).write_text(AML, "utf-8")
    return made


@pytest.fixture
def engine(home, clock, tmp_path):
    return engine_of(home, MemoryPost(), erasers_in(tmp_path / "things", [WHO]), clock, hooks=HOOKS)


def ended(home, clock, engine):
    number = filed(home, clock)
    engine.step()
    assert engine.store.get(number).state is CaseState.COMPLETED
    return number


def kept(engine):
    return [one for one in alarms(engine.store, engine._now()) if one.late is Late.KEPT]


def go_to(clock, day):
    clock.pass_by(days=(day - clock().date()).days)


def outcomes(engine, number):
    return {one.artefact: one for one in engine.store.get(number).record.outcomes}


def events(home, kind):
    return [event for event in home.audit.events() if event.type is kind]


def test_when_the_day_has_come_there_is_an_alarm_until_it_is_reopened(home, clock, engine):
    number = ended(home, clock, engine)
    go_to(clock, DAY - timedelta(days=1))
    assert engine.step().alarms == 0
    assert kept(engine) == []
    raised = []
    for _ in range(3):
        clock.pass_by(days=1)
        raised.append(engine.step().alarms)
    assert raised == [1, 1, 1]
    (alarm,) = alarms(engine.store, clock())
    assert (alarm.case, alarm.late, alarm.due, alarm.days) == (number, Late.KEPT, DAY, 2)
    assert number in alarm.render("zh-CN")
    assert "reopen" in alarm.render("en")
    assert due_again(engine.store, clock().date()) == [number]
    reopen(home, engine.store, [number], clock())
    engine.step()
    assert alarms(engine.store, clock()) == []
    assert due_again(engine.store, clock().date()) == []
    clock.pass_by(days=1)
    assert engine.step().alarms == 0


def test_reopened_what_was_kept_is_erased_and_nothing_else_is_done_again(home, clock, engine, tmp_path):
    number = ended(home, clock, engine)
    before = outcomes(engine, number)
    assert sorted(file.name for file in (tmp_path / "things").iterdir()) == [
        f"feature.{WHO}",
        f"subject.{WHO}",
    ]
    go_to(clock, DAY)
    (case,) = reopen(home, engine.store, [number], clock())
    assert case.state is CaseState.RESTRICTED
    assert [one.identifier for one in case.subjects] == [WHO.encode()]
    engine.step()
    case = engine.store.get(number)
    assert (case.state, case.locators, case.kept_until) == (CaseState.COMPLETED, None, None)
    assert list((tmp_path / "things").iterdir()) == []
    after = outcomes(engine, number)
    for artefact in (Artefact.FEATURE, Artefact.SUBJECT):
        assert after.pop(artefact).result is Result.ERASED
        assert before.pop(artefact).result is Result.RESTRICTED_LAW
    assert after == before
    (event,) = events(home, EventType.DSR_REOPENED)
    assert (event.actor, event.artefact, event.sref) == ("operator", number, case.record.sref)


def test_an_ended_case_with_a_kept_row_holds_a_token_and_no_identifier(home, clock, engine):
    number = ended(home, clock, engine)
    case = engine.store.get(number)
    (one,) = case.subjects
    assert (one.identifier, one.row, one.shared, case.locators.partners) == (b"", -1, (), {})
    assert case.locators.correction is None
    assert WHO.encode() not in msgspec.msgpack.encode(case)


@pytest.mark.parametrize(
    ("duty", "day"),
    [
        ('[[duty]]\nlaw = "Longer"\nuntil = 2030-06-30\n', date(2030, 7, 1)),
        ('[[duty]]\nlaw = "Longer"\nyears = 9\ncolumn = "income"\n', None),  # a day that nobody knows yet
    ],
)
def test_another_duty_keeps_it_and_the_new_day_is_written(home, clock, engine, duty, day):
    number = ended(home, clock, engine)
    go_to(clock, DAY)
    (home.folder / DUTIES_FILE).write_text(AML + duty, "utf-8")
    reopen(home, engine.store, [number], clock())
    engine.step()
    case = engine.store.get(number)
    assert case.state is CaseState.COMPLETED
    assert {outcomes(engine, number)[one].law for one in (Artefact.FEATURE, Artefact.SUBJECT)} == {"Longer"}
    day = day or clock().date() + timedelta(days=UNKNOWN_DAYS)
    assert case.kept_until == day
    assert kept(engine) == []
    go_to(clock, day)
    assert [one.due for one in kept(engine)] == [day]
    (home.folder / DUTIES_FILE).write_text("", "utf-8")
    reopen(home, engine.store, due_again(engine.store, clock().date()), clock())
    engine.step()
    assert engine.store.get(number).kept_until is None


def test_a_case_with_a_kept_row_outlives_the_time_of_others(home, clock, engine):
    number = ended(home, clock, engine)
    other = filed(home, clock, RequestKind.RESTRICT, 5)
    engine.step()
    go_to(clock, date(2033, 1, 1))
    engine.step()
    assert engine.store.get(other) is None
    assert engine.store.get(number) is not None
    reopen(home, engine.store, [number], clock())
    engine.step()
    clock.pass_by(days=4 * 366)
    engine.step()
    assert engine.store.get(number) is None


def test_the_subject_gets_a_new_receipt(home, clock, engine):
    number = ended(home, clock, engine)
    first = read(receipts.kept(home, number))
    assert Result.RESTRICTED_LAW in {one.result for one in first.outcomes}
    (home.folder / DUTIES_FILE).write_text("", "utf-8")  # the holder was wrong about the law
    clock.pass_by(days=1)
    reopen(home, engine.store, [number], clock())
    engine.step()
    second = read(receipts.kept(home, number))
    assert Result.RESTRICTED_LAW not in {one.result for one in second.outcomes}
    assert len(events(home, EventType.DSR_RECEIPT_ISSUED)) == 2
    assert home.vault.names("rights/opening/") == []
    assert "dsr.reopened" in {json.loads(one.event)["type"] for one in second.events}


def test_the_register_tells_what_is_kept_and_when_it_was_answered(home, clock, engine):
    number = ended(home, clock, engine)
    before = register(home)
    assert {item.until for item in before.residual} == {DAY - timedelta(days=1)}
    go_to(clock, DAY)
    reopen(home, engine.store, [number], clock())
    (row,) = register(home).cases
    assert (row.state, row.ended) == ("restricted", before.cases[0].ended)
    assert register(home).disagreements == ()
    engine.step()
    found = register(home)
    assert (found.residual, found.disagreements, found.days) == ((), (), before.days)


def test_what_cannot_be_erased_yet_goes_on_with_its_alarm(home, clock, engine):
    number = ended(home, clock, engine)
    go_to(clock, DAY)
    reopen(home, engine.store, [number], clock())
    for eraser in engine._erasers:
        eraser.broken.add(WHO.encode())
    engine.step()
    assert engine.store.get(number).state is CaseState.PARTIAL
    assert [one.late for one in alarms(engine.store, clock())] == [Late.KEPT]
    for eraser in engine._erasers:
        eraser.broken.clear()
    clock.pass_by(hours=2)
    engine.step()
    assert engine.store.get(number).state is CaseState.COMPLETED
    assert alarms(engine.store, clock()) == []


def test_what_is_not_to_be_reopened(home, clock, engine):
    number = ended(home, clock, engine)
    nothing_kept = filed(home, clock, RequestKind.RESTRICT, 5)
    engine.step()
    still_open = filed(home, clock, who=6, verified_by="")
    for wrong in ("ab" * 16, nothing_kept, still_open):
        with pytest.raises(ConfigInvalid):
            reopen(home, engine.store, [number, wrong], clock())
    assert engine.store.get(number).state is CaseState.COMPLETED
    reopen(home, engine.store, [number], clock())
    with pytest.raises(ConfigInvalid):
        reopen(home, engine.store, [number], clock())
    assert len(events(home, EventType.DSR_REOPENED)) == 1


def test_cut_off_before_it_is_stored_it_can_be_done_again(home, clock, engine, monkeypatch):
    number = ended(home, clock, engine)

    class Stopped(BaseException):
        pass

    def stop(*_given):
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(type(engine.store), "save", stop)
        with pytest.raises(Stopped):
            reopen(home, engine.store, [number], clock())
    assert engine.store.get(number).state is CaseState.COMPLETED
    reopen(home, engine.store, [number], clock())
    engine.step()
    assert engine.store.get(number).state is CaseState.COMPLETED


def test_another_partys_case_is_reopened_where_the_row_is_and_its_answer_told(tmp_path, clock):
    homes = make_homes(tmp_path, ("bank", "shop"))
    (homes["bank"].folder / DUTIES_FILE).write_text(AML, "utf-8")
    post = MemoryPost()
    number = filed(homes["shop"], clock)
    engines = {
        party: engine_of(home, post, erasers_in(tmp_path / party / "things", [WHO]), clock)
        for party, home in homes.items()
    }
    for party in ("shop", "bank", "shop"):
        engines[party].step()
    go_to(clock, DAY)
    bank = engines["bank"]
    reopen(homes["bank"], bank.store, due_again(bank.store, clock().date()), clock())
    bank.step()
    assert bank.store.get(number).kept_until is None
    told = [message for _, party, message in post.sent if party == "shop" and isinstance(message, TaskAnswer)]
    assert len(told) == 2
    assert Result.RESTRICTED_LAW not in {one.result for one in told[-1].outcomes}
    engines["shop"].step()
    case = engines["shop"].store.get(number)
    assert case.state is CaseState.COMPLETED
    assert case.record.partners["bank"].answer == told[-1]
    assert register(homes["shop"]).residual == ()


def test_on_the_command_line(home, clock, engine):
    number = ended(home, clock, engine)
    where = ["--home", str(home.folder)]

    def run(*words):
        return CliRunner().invoke(app, ["request", *words, *where])

    assert run("reopen").exit_code != 0
    assert run("reopen", number, "--due").exit_code != 0
    assert run("reopen", "--due").exit_code == 0
    assert engine.store.get(number).state is CaseState.COMPLETED
    done = run("reopen", number, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)[0]["state"] == "restricted"
    assert WHO not in done.output
    assert run("reopen", number).exit_code != 0


KEPT = st.builds(
    Outcome,
    artefact=st.sampled_from([Artefact.FEATURE, Artefact.SUBJECT, Artefact.MODEL]),
    result=st.sampled_from([Result.RESTRICTED_LAW, Result.RESTRICTED_TECHNICAL, Result.ERASED]),
    until=st.none() | st.dates(date(2026, 1, 1), date(2060, 1, 1)),
    review=st.none() | st.dates(date(2026, 1, 1), date(2060, 1, 1)),
)


@given(st.lists(KEPT, max_size=4))
def test_the_earliest_day_is_the_one(found):
    case = Case(
        number="ab" * 16, kind=RequestKind.DELETE, state=CaseState.COMPLETED, requester=Requester.SUBJECT,
        received=START, due=START.date(), updated=START, wake=START, record=Record(outcomes=tuple(found)),
    )  # fmt: skip
    rows = [one for one in found if one.artefact is not Artefact.MODEL and one.result is not Result.ERASED]
    if not rows:
        assert case.kept_until is None
        return
    assert case.kept_until is not None
    for one in rows:
        if one.review is not None:
            assert case.kept_until <= one.review
        elif one.until is not None:
            assert case.kept_until <= one.until + timedelta(days=1)
