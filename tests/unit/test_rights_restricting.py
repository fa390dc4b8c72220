"""What holds at once for a request: also against what a file says that nobody has imported yet."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest
from consent_desk import NOTICE, PHONES, make_home
from rights_scene import Clock, MemoryPost, engine_of

from clients.consents.node import bring_in, changes_of
from clients.consents.tables import Source
from clients.rights.alarms import Alarm, Late
from clients.rights.intake import Intake, Request
from clients.rights.store import CaseStore
from privacy.consent import Answer, Need, Statement
from privacy.rights import CaseState, RequestKind

PERSON = PHONES[3]
LOG = f"phone,purpose,status\n{PERSON},marketing,granted\n"


@pytest.fixture
def clock():
    return Clock(datetime.now(UTC))


def withdrawing(home, clock):
    Path(home.settings.table.path).write_text(f"phone\n{PERSON}\n", "utf-8")
    request = Request(kind=RequestKind.WITHDRAW, verified_by="login")
    return Intake(home, now=clock).file(request, PERSON).case.number


def answer(home):
    person = home.consents.tokens("phone/plain", np.array([PERSON.encode()], "S11"))
    return Answer(home.consents.answers(person, Need("marketing"), [NOTICE], datetime.now(UTC))[0])


def test_withdrawing_everything_takes_back_what_the_file_will_say(tmp_path, clock):
    home = make_home(tmp_path, LOG)
    withdrawing(home, clock)
    engine_of(home, MemoryPost(), clock=clock).step()
    bring_in(home)
    assert answer(home) is Answer.WITHDRAWN


def test_a_file_that_cannot_be_read_holds_up_the_case_and_not_the_word(tmp_path, clock):
    home = make_home(tmp_path)
    changes = changes_of(home, Source.API)
    changes.give(changes.identifiers([PERSON]), [Statement(purpose="marketing", granted=True, notice=NOTICE)])
    file = Path(home.settings.table.consents.path)
    file.write_text("phone,purpose\n", "utf-8")
    number = withdrawing(home, clock)
    engine = engine_of(home, MemoryPost(), clock=clock)
    engine.step()
    assert answer(home) is Answer.WITHDRAWN
    assert CaseStore(home.vault).get(number).state is CaseState.SCOPED
    file.write_text(LOG, "utf-8")
    clock.pass_by(minutes=2)
    engine.step()
    bring_in(home)
    assert answer(home) is Answer.WITHDRAWN
    assert CaseStore(home.vault).get(number).state not in (CaseState.SCOPED, CaseState.IDENTIFIED)


def test_an_answer_that_is_due_soon_is_not_called_late():
    near = Alarm("0" * 32, Late.NEAR, date(2026, 5, 13), -2)
    assert "-2" not in near.render("zh-CN")
    assert "逾期" not in near.render("zh-CN")
    assert "late" not in near.render("en")
    assert "逾期 2 天" in Alarm("0" * 32, Late.ANSWER, date(2026, 5, 13), 2).render("zh-CN")
