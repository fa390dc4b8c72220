"""How often a partner answers for a person with one model: counted per session and day, before anything is sent."""

import msgspec
import numpy as np
import pytest
from consent_desk import make_home

from clients import answered
from clients.answered import AnsweredToday
from federation.pace import today

MODEL = bytes(16)
PEOPLE = np.array([b"12012345678", b"12012345679"])


@pytest.fixture
def home(tmp_path):
    made = make_home(tmp_path)
    made.settings = msgspec.structs.replace(made.settings, scores_per_day=1)
    return made


def test_a_rerun_in_one_session_counts_once_and_another_session_is_refused(home):
    here = AnsweredToday(home, MODEL)
    for _ in range(2):
        assert here.allowed(PEOPLE).all()
        here.add(PEOPLE[:1])
    assert AnsweredToday(home, MODEL).allowed(PEOPLE).tolist() == [False, True]
    assert AnsweredToday(home, bytes([1] * 16)).allowed(PEOPLE).all()


def test_counts_are_of_one_day(home, monkeypatch):
    AnsweredToday(home, MODEL).add(PEOPLE)
    tomorrow = today().replace(year=today().year + 1)
    monkeypatch.setattr(answered, "today", lambda: tomorrow)
    assert AnsweredToday(home, MODEL).allowed(PEOPLE).all()


def test_a_record_whose_time_is_over_stops_no_job(home, monkeypatch):
    monkeypatch.setattr(answered, "_KEPT_DAYS", -1.0)
    AnsweredToday(home, MODEL).add(PEOPLE)
    assert AnsweredToday(home, MODEL).allowed(PEOPLE).all()


def test_the_record_names_nobody(home):
    AnsweredToday(home, MODEL).add(PEOPLE)
    data = home.vault.get(f"answered/{MODEL.hex()}")
    assert data
    assert not any(person in data for person in PEOPLE.tolist())
