"""Keys of requests that may come twice, in SQLite and in PostgreSQL, with many callers at once."""

import datetime
import threading

import pytest
from databases import postgres_database, postgres_server, sqlite_url

from federation.web.idempotency import KEPT_SECONDS, STUCK_SECONDS, Kept
from server.db.engine import open_database
from server.db.idempotency import KeptAnswers
from server.db.migrating import bring_up_to_date

NOON = datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.UTC)
KEY = "k" * 16
CLAIM, ANOTHER = "1" * 32, "2" * 32


@pytest.fixture(scope="module")
def server():
    with postgres_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request, tmp_path):
    if request.param == "sqlite":
        engine = open_database(sqlite_url(tmp_path))
        bring_up_to_date(engine)
        yield engine
        engine.dispose()
        return
    with postgres_database(request.getfixturevalue("server")) as url:
        engine = open_database(url)
        bring_up_to_date(engine)
        yield engine
        engine.dispose()


def later(**amount):
    return lambda: NOON + datetime.timedelta(**amount)


def test_a_key_is_taken_once_and_then_answers_the_same(engine):
    answers = KeptAnswers(engine, later())
    assert answers.begin("ada", KEY, "d" * 64, CLAIM) is None
    assert answers.begin("ada", KEY, "e" * 64, CLAIM) == Kept("d" * 64)
    done = Kept("d" * 64, 201, "application/json", b'{"number":"J"}')
    answers.finish("ada", KEY, done, CLAIM)
    assert answers.begin("ada", KEY, "d" * 64, CLAIM) == done
    answers.forget("ada", KEY, CLAIM)
    assert answers.begin("ada", KEY, "d" * 64, CLAIM) == done, "only what is being worked on is forgotten"


def test_a_key_is_its_callers_own(engine):
    answers = KeptAnswers(engine, later())
    assert answers.begin("ada", KEY, "d" * 64, CLAIM) is None
    assert answers.begin("ben", KEY, "e" * 64, CLAIM) is None


def test_what_failed_is_free_again(engine):
    answers = KeptAnswers(engine, later())
    answers.begin("ada", KEY, "d" * 64, CLAIM)
    answers.forget("ada", KEY, CLAIM)
    assert answers.begin("ada", KEY, "e" * 64, CLAIM) is None


def test_answers_are_kept_for_a_day_and_lost_requests_for_minutes(engine):
    begun = KeptAnswers(engine, later())
    begun.begin("ada", KEY, "d" * 64, CLAIM)
    begun.begin("ada", "l" * 16, "d" * 64, CLAIM)
    begun.finish("ada", KEY, Kept("d" * 64, 200), CLAIM)
    soon = KeptAnswers(engine, later(seconds=STUCK_SECONDS + 1))
    assert soon.begin("ada", KEY, "d" * 64, CLAIM) == Kept("d" * 64, 200)
    assert soon.begin("ada", "l" * 16, "d" * 64, CLAIM) is None
    assert KeptAnswers(engine, later(seconds=KEPT_SECONDS + 1)).begin("ada", KEY, "e" * 64, CLAIM) is None


def test_an_answer_that_comes_after_its_time_replaces_nobody_elses(engine):
    slow = KeptAnswers(engine, later())
    slow.begin("ada", KEY, "d" * 64, CLAIM)
    fast = KeptAnswers(engine, later(seconds=STUCK_SECONDS + 1))
    assert fast.begin("ada", KEY, "e" * 64, ANOTHER) is None
    slow.finish("ada", KEY, Kept("d" * 64, 200, "", b"slow"), CLAIM)
    assert fast.begin("ada", KEY, "e" * 64, CLAIM) == Kept("e" * 64)


def test_a_failure_that_comes_after_its_time_frees_nobody_elses_key(engine):
    slow = KeptAnswers(engine, later())
    slow.begin("ada", KEY, "d" * 64, CLAIM)
    fast = KeptAnswers(engine, later(seconds=STUCK_SECONDS + 1))
    assert fast.begin("ada", KEY, "d" * 64, ANOTHER) is None
    slow.forget("ada", KEY, CLAIM)
    assert fast.begin("ada", KEY, "d" * 64, "3" * 32) == Kept("d" * 64), "it is still being worked on"
    slow.finish("ada", KEY, Kept("d" * 64, 200, "", b"slow"), CLAIM)
    assert fast.begin("ada", KEY, "d" * 64, "3" * 32) == Kept("d" * 64), "also when it is the same request"
    fast.finish("ada", KEY, Kept("d" * 64, 200, "", b"fast"), ANOTHER)
    assert fast.begin("ada", KEY, "d" * 64, CLAIM) == Kept("d" * 64, 200, "", b"fast")


def test_of_many_that_want_a_key_one_gets_it(engine):
    found, barrier = [], threading.Barrier(8)

    def take():
        answers = KeptAnswers(engine, later())
        barrier.wait()
        found.append(answers.begin("ada", KEY, "d" * 64, CLAIM))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 8
    assert found.count(None) == 1
    assert found.count(Kept("d" * 64)) == 7
