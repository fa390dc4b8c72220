"""Logins by cookie, tokens, what is checked and noted at the door, and what takes two persons."""

from __future__ import annotations

import datetime

import pytest
from access_scene import Scene, caller
from databases import postgres_database, postgres_server
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from federation.access.logins import IDLE, LIFE
from federation.access.noting import LOOKING_SECONDS, Noting
from federation.access.two_persons import Answer
from privacy.access import Means, Permission, Role
from privacy.audit import EventType
from privacy.errors import AccessDenied, NotAuthenticated, SecondPersonMissing, SilhouetteError

WHAT = "ab" * 32
EXPORT = Permission.AUDIENCES_EXPORT
ANN, BEN, CAI = caller("ann", Role.ANALYST), caller("ben", Role.OFFICER), caller("cai", Role.ANALYST)


@pytest.fixture
def scene(tmp_path):
    made = Scene(tmp_path)
    yield made
    made.engine.dispose()


# --- cookies


def test_a_login_that_is_used_lasts_its_life_and_no_longer(scene):
    scene.add("ann")
    cookie, _ = scene.log_in("ann")
    for _ in range(int(LIFE / datetime.timedelta(minutes=20)) - 1):
        scene.clock.move(minutes=20)
        scene.access.logins.lookup(cookie)
    scene.clock.move(minutes=20)
    with pytest.raises(NotAuthenticated):
        scene.access.logins.lookup(cookie)


def test_a_login_that_nobody_uses_ends(scene):
    scene.add("ann")
    cookie, _ = scene.log_in("ann")
    scene.clock.move(seconds=IDLE.total_seconds() - 1)
    scene.access.logins.lookup(cookie)
    scene.clock.move(seconds=IDLE.total_seconds())
    with pytest.raises(NotAuthenticated):
        scene.access.logins.lookup(cookie)


def test_every_login_is_a_new_one(scene):
    scene.add("ann")
    first, one = scene.log_in("ann")
    second, other = scene.log_in("ann")
    assert (first != second, one.login != other.login) == (True, True)
    scene.access.logins.end(first)
    assert scene.access.logins.lookup(second) == other


# --- tokens


def test_a_token_has_the_roles_that_it_was_given_of_those_its_user_still_has(scene):
    scene.add("ann", Role.ANALYST, Role.AUDITOR)
    _, found = scene.log_in("ann")
    record, secret = scene.access.tokens.issue(found, "notebook", ["analyst"], 30)
    acting = scene.access.caller_of(secret)
    assert (acting.name, acting.roles, acting.means) == ("ann", {Role.ANALYST}, Means.TOKEN)
    scene.accounts.set_roles("ann", ["auditor"], by="ada-admin")
    assert scene.access.caller_of(secret).permissions == frozenset()
    assert scene.access.tokens.of("ann") == [record]
    scene.access.tokens.revoke(found, record.id)
    assert scene.access.tokens.of("ann") == []


def test_a_token_holds_so_many_days(scene):
    scene.add("ann")
    _, found = scene.log_in("ann")
    _, secret = scene.access.tokens.issue(found, "notebook", ["modeller"], 2)
    scene.clock.move(days=2, seconds=-1)
    scene.access.caller_of(secret)
    scene.clock.move(seconds=1)
    with pytest.raises(NotAuthenticated):
        scene.access.caller_of(secret)


# --- the door


def test_the_door_lets_in_by_permission_and_notes_it(scene):
    scene.access.check(ANN, Permission.AUDIENCES_EXPORT, "spring")
    with pytest.raises(AccessDenied):
        scene.access.check(ANN, Permission.USERS_MANAGE, "ben")
    told = [(event.type, event.actor, event.stage, event.artefact) for event in scene.events()]
    assert told == [
        ("access.granted", "ann", "audiences:export", "spring"),
        ("access.denied", "ann", "users:manage", "ben"),
    ]


def test_looking_again_is_told_once_and_doing_again_every_time(scene):
    seconds = [0.0]
    noting = Noting(scene.log, lambda: seconds[0])
    for _ in range(3):
        noting.granted(ANN, Permission.JOBS_READ, "J-ABCDEFGH")
        noting.granted(ANN, EXPORT, "spring")
    noting.granted(BEN, Permission.JOBS_READ, "J-ABCDEFGH")
    noting.granted(ANN, Permission.JOBS_READ, "J-HGFEDCBA")
    seconds[0] = LOOKING_SECONDS
    noting.granted(ANN, Permission.JOBS_READ, "J-ABCDEFGH")
    told = [(event.actor, event.stage, event.artefact) for event in scene.events(EventType.ACCESS_GRANTED)]
    assert told.count(("ann", "jobs:read", "J-ABCDEFGH")) == 2
    assert told.count(("ann", "audiences:export", "spring")) == 3
    assert len(told) == 7


# --- two persons


def test_two_persons_agree_and_the_first_does_it_once(scene):
    scene.add("ben", Role.OFFICER)
    both = scene.access.two_persons
    number = both.ask(ANN, EXPORT, WHAT, "spring, 1,200 people")
    assert [request.number for request in both.waiting(BEN)] == [number]
    assert both.confirm(BEN, number).answer is Answer.YES
    both.use(ANN, number, EXPORT, WHAT)
    assert both.waiting(ANN) == []
    assert both.get(BEN, number).used == scene.clock()
    told = [(event.type, event.actor, event.artefact, event.digests) for event in scene.events()[1:]]
    assert told == [
        (f"access.second_{done}", who, number, {"what": WHAT})
        for done, who in (("asked", "ann"), ("confirmed", "ben"), ("used", "ann"))
    ]


def test_whoever_has_no_say_sees_nothing(scene):
    scene.access.two_persons.ask(ANN, EXPORT, WHAT, "")
    assert scene.access.two_persons.waiting(caller("eve", Role.ADMIN, Role.MODELLER)) == []


def test_what_takes_one_person_is_not_asked_for(scene):
    for permission, what, detail in (
        (Permission.JOBS_READ, WHAT, ""),
        (EXPORT, "spring", ""),
        (EXPORT, WHAT, "x" * 1001),
    ):
        with pytest.raises(ValueError, match="permission"):
            scene.access.two_persons.ask(ANN, permission, what, detail)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["confirm", "refuse", "use", "wait"]),
        st.sampled_from([ANN, BEN, CAI, caller("oidc-ann", Role.ANALYST), caller("eve", Role.ADMIN)]),
        st.sampled_from([WHAT, "cd" * 32]),
        st.integers(1, 30),
    ),
    max_size=12,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_nothing_is_used_but_what_another_has_confirmed_in_time(scene, steps):
    """Whatever people try, in whatever order."""
    both, clock = scene.access.two_persons, scene.clock
    number, asked = both.ask(ANN, EXPORT, WHAT, ""), clock()
    confirmed = refused = used = None
    for action, who, what, hours in steps:
        try:
            if action == "wait":
                clock.move(hours=hours)
            elif action == "use":
                both.use(who, number, EXPORT, what)
                assert (who, what, used, refused) == (ANN, WHAT, None, None)
                assert confirmed is not None
                assert clock() - confirmed < datetime.timedelta(hours=24)
                used = clock()
            else:
                getattr(both, action)(who, number)
                assert (confirmed, refused) == (None, None)
                assert clock() - asked < datetime.timedelta(hours=24)
                assert who in (BEN, CAI) or (action == "refuse" and who.name.endswith("ann"))
                if action == "confirm":
                    confirmed = clock()
                else:
                    refused = clock()
        except SilhouetteError as error:
            assert isinstance(error, SecondPersonMissing | AccessDenied)  # noqa: PT017


# --- PostgreSQL


def test_the_same_on_postgresql(tmp_path):
    with postgres_server() as server, postgres_database(server) as url:
        engine = create_engine(url)
        scene = Scene(tmp_path, engine)
        scene.add("ann", Role.ANALYST)
        for _ in range(2):
            with pytest.raises(NotAuthenticated):
                scene.log_in("ann", "wrong password")
        cookie, found = scene.log_in("ann")
        scene.clock.move(minutes=2)
        assert scene.access.logins.lookup(cookie) == found
        record, secret = scene.access.tokens.issue(found, "notebook", ["analyst"], 3)
        assert scene.access.caller_of(secret).name == "ann"
        assert record.created == scene.access.tokens.of("ann")[0].created == scene.clock()
        scene.access.log_in_once(scene.accounts.one_time("ann", by="ada-admin"))
        scene.add("ben", Role.OFFICER)
        number = scene.access.two_persons.ask(found, EXPORT, WHAT, "")
        scene.access.two_persons.confirm(BEN, number)
        scene.access.two_persons.use(found, number, EXPORT, WHAT)
        scene.accounts.disable("ann", by="ada-admin")
        with pytest.raises(NotAuthenticated):
            scene.access.logins.lookup(cookie)
        engine.dispose()
