"""10,000 open requests at three parties, one of them offline for a day: none is lost, none is late without an alarm."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import msgspec
import pytest
from rights_scene import Clock, MemoryPost, engine_of, make_homes, phone_of

from clients.rights.alarms import Late, alarms
from clients.rights.intake import Intake, Request
from clients.rights.store import CaseStore
from privacy.audit import EventType
from privacy.rights import Artefact, CaseState, Outcome, RequestKind, Result

PARTIES = ("bank", "shop", "telecom")
REQUESTS = 10_000
AT_ONCE = 1_000
STEP = timedelta(hours=4)


class Nothing:
    """An eraser that counts whom it has erased, and finds nobody afterwards."""

    def __init__(self, artefact):
        self._artefact, self.erased = artefact, Counter()

    @property
    def artefact(self):
        return self._artefact

    def erase(self, home, subjects):
        self.erased.update(one.identifier for one in subjects)
        return [Outcome(artefact=self._artefact, result=Result.ERASED)] * len(subjects)

    def remains(self, home, subjects):
        return [one.identifier not in self.erased for one in subjects]


@pytest.mark.timeout(600)  # half a minute of work, on a machine that may have other things to do
def test_ten_thousand_requests_with_one_party_offline_for_a_day(tmp_path):
    clock, post = Clock(), MemoryPost()
    homes = make_homes(tmp_path, PARTIES, people=REQUESTS)
    erasers = {party: [Nothing(artefact) for artefact in Artefact] for party in PARTIES}
    for home in homes.values():  # a day has room for them all
        home.write_settings(msgspec.structs.replace(home.settings, tasks_per_day=REQUESTS))
        del home.settings
    engines = {party: engine_of(home, post, erasers[party], clock) for party, home in homes.items()}
    door = Intake(homes["bank"], now=clock)
    request = Request(kind=RequestKind.DELETE, verified_by="login")
    numbers = [
        one.case.number
        for first in range(0, REQUESTS, AT_ONCE)
        for one in door.file_many(request, [phone_of(who) for who in range(first, first + AT_ONCE)])
    ]
    assert len(set(numbers)) == REQUESTS
    post.offline.add("telecom")
    start = clock()
    while clock() - start < timedelta(days=1):
        for engine in engines.values():
            engine.step()
        clock.time += STEP
    stores = {party: CaseStore(home.vault) for party, home in homes.items()}
    assert stores["bank"].counts() == {"partial": REQUESTS}
    assert stores["shop"].counts() == {"completed": REQUESTS}
    assert stores["telecom"].counts() == {}
    post.offline.clear()
    for _ in range(2):
        for engine in engines.values():
            engine.step()
    for party in PARTIES:
        assert stores[party].counts() == {"completed": REQUESTS}
        assert {line.number for line in stores[party].lines()} == set(numbers)
        for eraser in erasers[party]:
            assert len(eraser.erased) == REQUESTS
    late = [event for event in homes["bank"].audit.events() if event.type is EventType.COUNTER_SNAPSHOT]
    assert late == []
    assert alarms(stores["bank"], clock()) == []
    case = stores["bank"].get(numbers[0])
    assert {one.answer.state for one in case.record.partners.values()} == {CaseState.COMPLETED}
    tasks = Counter(party for own, party, _ in post.sent if own == "bank")
    assert tasks == {"shop": REQUESTS, "telecom": REQUESTS}


def test_a_party_that_never_answers_raises_alarms_day_by_day(tmp_path):
    clock, post = Clock(), MemoryPost()
    homes = make_homes(tmp_path, ("bank", "shop"), people=150)
    engine = engine_of(homes["bank"], post, [Nothing(artefact) for artefact in Artefact], clock)
    request = Request(kind=RequestKind.DELETE, verified_by="login")
    filed = Intake(homes["bank"], now=clock).file_many(request, [phone_of(who) for who in range(150)])
    due = filed[0].case.due
    raised = {}
    for _ in range(25):
        raised[clock().date()] = engine.step().alarms + engine.step().alarms
        if 0 <= (due - clock().date()).days <= 3:
            assert {alarm.late for alarm in alarms(engine.store, clock())} == {Late.NEAR}
        clock.pass_by(days=1)
    assert all(count == (150 if day > due else 0) for day, count in raised.items())
    assert set(raised.values()) == {0, 150}
    worst = alarms(engine.store, clock())[0]
    assert worst.late is Late.ANSWER
    assert worst.days == (clock().date() - due).days
    for language in ("en", "zh-CN"):
        assert worst.case in worst.render(language)
    events = [event for event in homes["bank"].audit.events() if event.type is EventType.COUNTER_SNAPSHOT]
    assert len(events) == sum(day > due for day in raised)
    assert all(event.numbers == {"cases": 150} for event in events)
