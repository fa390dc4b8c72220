"""Accounts: who is there, whose password it is, how somebody comes in and when everything of theirs ends."""

from __future__ import annotations

import contextlib
import re
import threading
from pathlib import Path

import pytest
from access_scene import PASSWORD, Scene
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

import federation
from federation.access import passwords
from federation.access.lockout import MINUTES, MOST_FAILURES
from federation.access.passwords import COMMON, MINIMUM, PROFILE, TESTING_ONLY, Hashing, check_password
from federation.access.people import RESERVED, is_user_name
from federation.access.tables import Failure, Login, User
from privacy.access import Role
from privacy.audit import Event, EventType
from privacy.errors import AccountInvalid, LoginsLocked, NotAuthenticated

ROOT = Path(federation.__file__).parents[1]


@pytest.fixture
def scene(tmp_path):
    made = Scene(tmp_path)
    yield made
    made.engine.dispose()


def key_of(caught):
    return caught.value.key


# --- names, roles, passwords


def test_an_account_is_what_it_was_made(scene):
    made = scene.accounts.add("wei", [Role.OFFICER, "auditor"], by="ada-admin", language="zh-CN")
    assert made == scene.accounts.get("wei")
    assert made.roles == (Role.AUDITOR, Role.OFFICER)
    assert (made.language, made.disabled, made.has_password) == ("zh-CN", False, False)
    scene.add("ann")
    assert [account.name for account in scene.accounts.all()] == ["ann", "wei"]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Ann",
        "ann lee",
        "1ann",
        "a" * 41,
        "u13812345678",
        "operator",
        "unknown",
        "oidc-ann",
        "ann\n",
        "王伟",
    ],
)
def test_a_name_that_the_log_would_not_take_or_take_for_another(scene, name):
    with pytest.raises(AccountInvalid) as caught:
        scene.accounts.add(name, [Role.ADMIN], by="ada-admin")
    assert key_of(caught) == "access_name_invalid"


@given(st.text(max_size=50) | st.from_regex(r"[a-z][a-z0-9_-]{0,45}", fullmatch=True))
def test_every_name_that_is_taken_can_act_in_the_log(name):
    if is_user_name(name):
        Event(seq=0, time="2026-03-02T09:00:00.000Z", origin="bank", actor=name, type=EventType.ACCESS_LOGIN)


def test_no_user_is_taken_for_a_part_of_the_software():
    """Every literal actor of the code is reserved."""
    actors = set()
    for package in ("privacy", "federation", "clients", "server"):
        for file in (ROOT / package).rglob("*.py"):
            actors |= set(
                re.findall(r'actor(?:: str)? ?= ?"([^"]+)"|ACTOR: Final = "([^"]+)"', file.read_text("utf-8"))
            )
    named = {name for pair in actors for name in pair if name}
    assert {"node", "operator", "relay", "log"} <= named
    assert named <= RESERVED


def test_a_name_is_taken_once_and_roles_are_known(scene):
    scene.add("ann")
    with pytest.raises(AccountInvalid, match="ann"):
        scene.add("ann")
    with pytest.raises(AccountInvalid) as caught:
        scene.accounts.add("bob", ["king"], by="ada-admin")
    assert key_of(caught) == "access_role_unknown"
    with pytest.raises(AccountInvalid) as caught:
        scene.accounts.add("bob", [], by="ada-admin", language="fr")
    assert key_of(caught) == "access_language_unknown"


@pytest.mark.parametrize(
    ("password", "key"),
    [
        ("kurz", "short"),
        ("x" * 300, "long"),
        ("password1234", "common"),
        ("Qwertyuiop12", "common"),
        ("138001380000", "common"),
        ("P@ssw0rd!2026", "common"),
        ("woaini1314520", "common"),
        ("abababababab", "common"),
        ("ann-zhang-2026", "name"),
        ("Silhouette2026!", "common"),
    ],
)
def test_passwords_that_are_tried_first(password, key):
    with pytest.raises(AccountInvalid) as caught:
        check_password(password, "ann-zhang")
    assert key_of(caught) == f"access_password_{key}"


@pytest.mark.parametrize(
    "password", [PASSWORD, "correct horse battery staple", "今天下午三点去爬香山看红叶吧", "tlkRp6-Q2vwe9"]
)
def test_passwords_that_are_taken(password):
    check_password(password, "ann")


@given(st.text(alphabet="bcdfghjkmnpqrstvwxz", min_size=MINIMUM, max_size=60))
def test_a_word_with_enough_letters_of_its_own_is_taken_or_common(password):
    try:
        check_password(password, "ann")
    except AccountInvalid as error:
        assert error.key == "access_password_common"  # noqa: PT017
        assert len(set(password)) < 5 or any(word in password for word in COMMON)


def test_the_same_password_from_another_keyboard(scene):
    scene.add("ann", password="ｃｏｒｒｅｃｔ horse battery")
    assert scene.accounts.verify("ann", "correct horse battery").name == "ann"


def test_the_profile_is_the_standard_one_and_the_cheap_one_is_for_tests_alone():
    assert (PROFILE.memory_cost, PROFILE.time_cost, PROFILE.parallelism) == (64 * 1024, 3, 4)
    assert TESTING_ONLY.memory_cost < PROFILE.memory_cost
    users = [
        file for package in ("privacy", "federation", "clients", "server", "benchmarks")
        for file in (ROOT / package).rglob("*.py")
        if "TESTING_ONLY" in file.read_text("utf-8") and "access" in file.read_text("utf-8")
    ]  # fmt: skip
    assert users == [Path(passwords.__file__)]


# --- coming in


def test_a_login_is_a_caller_with_the_roles(scene):
    scene.add("ann", Role.AUDITOR)
    secret, found = scene.log_in("ann")
    assert (found.name, found.roles) == ("ann", {Role.AUDITOR})
    assert scene.access.logins.lookup(secret) == found
    assert scene.accounts.get("ann").last_login == scene.clock()


def test_a_hash_is_verified_whoever_is_asked_for(scene, monkeypatch):
    """Not the clock: that one verification with the same parameters happens for everybody."""
    scene.add("ann")
    scene.accounts.add("bob", [], by="ada-admin")
    scene.add("cho")
    scene.accounts.disable("cho", by="ada-admin")
    verified = []
    real = PasswordHasher.verify

    def verify(self, stored, password):
        verified.append(stored.rsplit("$", 2)[0])
        return real(self, stored, password)

    monkeypatch.setattr(PasswordHasher, "verify", verify)
    for name in ("ann", "bob", "cho", "nobody-here", "Not A Name!"):
        with pytest.raises(NotAuthenticated) as caught:
            scene.accounts.verify(name, "wrong password")
        assert key_of(caught) == "access_login_wrong"
    assert len(verified) == 5
    assert len(set(verified)) == 1
    with pytest.raises(NotAuthenticated):
        scene.accounts.verify("cho", PASSWORD)


def test_old_parameters_are_renewed_at_the_next_login(scene):
    scene.add("ann")
    stronger = Scene.__new__(Scene)
    stronger.__dict__.update(scene.__dict__)
    stronger.accounts._hashing = Hashing(PROFILE.__class__(**{**vars_of(TESTING_ONLY), "time_cost": 2}))
    before = stored(scene, "ann")
    stronger.accounts.verify("ann", PASSWORD)
    after = stored(scene, "ann")
    assert (",t=1," in before, ",t=2," in after) == (True, True)
    stronger.accounts.verify("ann", PASSWORD)
    assert stored(scene, "ann") == after


def vars_of(parameters):
    return {name: getattr(parameters, name) for name in parameters.__slots__}


def stored(scene, name):
    with scene.engine.connect() as connection:
        return connection.scalar(select(User.password).where(User.name == name))


def test_a_code_is_good_once_and_a_new_one_replaces_it(scene):
    scene.accounts.add("ann", [Role.ANALYST], by="ada-admin")
    first = scene.accounts.one_time("ann", by="ada-admin")
    second = scene.accounts.one_time("ann", by="ada-admin")
    with pytest.raises(NotAuthenticated):
        scene.access.log_in_once(first)
    _, found = scene.access.log_in_once(second)
    assert found.name == "ann"
    with pytest.raises(NotAuthenticated):
        scene.access.log_in_once(second)


def test_a_code_is_redeemed_by_one_of_many(scene):
    scene.accounts.add("ann", [], by="ada-admin")
    code = scene.accounts.one_time("ann", by="ada-admin")
    came, barrier = [], threading.Barrier(6)

    def redeem():
        barrier.wait()
        with contextlib.suppress(NotAuthenticated):
            came.append(scene.accounts.redeem(code))

    threads = [threading.Thread(target=redeem) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(came) == 1


# --- what ends everything


@pytest.mark.parametrize("end", ["password", "disable", "end_all"])
def test_everything_that_is_open_ends(scene, end):
    scene.add("ann")
    scene.add("bob")
    cookie, found = scene.log_in("ann")
    others, _ = scene.log_in("bob")
    _, token = scene.access.tokens.issue(found, "notebook", ["modeller"], 30)
    code = scene.accounts.one_time("ann", by="ada-admin")
    if end == "password":
        scene.accounts.set_password("ann", PASSWORD + "!", by="ann")
    else:
        getattr(scene.accounts, end)("ann", by="ada-admin")
    for come_in in (
        lambda: scene.access.logins.lookup(cookie),
        lambda: scene.access.caller_of(token),
        lambda: scene.access.log_in_once(code),
    ):
        with pytest.raises(NotAuthenticated):
            come_in()
    assert scene.access.logins.lookup(others).name == "bob"


def test_a_password_that_somebody_else_has_set_gives_nothing_until_it_is_changed(scene):
    scene.add("ann", Role.OFFICER)
    scene.accounts.set_password("ann", "something for the start", by="ada-admin")
    _, found = scene.log_in("ann", "something for the start")
    assert found.permissions == frozenset()
    assert scene.accounts.get("ann").must_change
    scene.accounts.set_password("ann", PASSWORD, by="ann")
    assert scene.log_in("ann")[1].permissions


def test_an_enabled_account_comes_in_again(scene):
    scene.add("ann")
    scene.accounts.disable("ann", by="ada-admin")
    scene.accounts.enable("ann", by="ada-admin")
    scene.log_in("ann")


def test_roles_change_what_is_open(scene):
    scene.add("ann", Role.ANALYST)
    cookie, _ = scene.log_in("ann")
    scene.accounts.set_roles("ann", [Role.AUDITOR], by="ada-admin")
    assert scene.access.logins.lookup(cookie).roles == {Role.AUDITOR}
    scene.accounts.set_language("ann", "zh-CN", by="ann")
    assert scene.access.logins.lookup(cookie).language == "zh-CN"


# --- the lock


def test_the_lock_opens_by_itself_and_by_success(scene):
    scene.add("ann")
    for _ in range(MOST_FAILURES - 1):
        with pytest.raises(NotAuthenticated):
            scene.log_in("ann", "wrong password")
    scene.log_in("ann")  # takes the count back
    for _ in range(MOST_FAILURES):
        with pytest.raises(NotAuthenticated):
            scene.log_in("ann", "wrong password")
    with pytest.raises(LoginsLocked):
        scene.log_in("ann")
    scene.clock.move(minutes=MINUTES - 1)
    with pytest.raises(LoginsLocked):
        scene.log_in("ann")
    scene.clock.move(minutes=1)
    scene.log_in("ann")
    with scene.engine.connect() as connection:
        assert connection.execute(select(Failure)).all() == []


def test_attempts_at_the_same_time_are_no_more_than_one_after_another(scene):
    scene.add("ann")
    outcomes, barrier = [], threading.Barrier(16)

    def attempt():
        barrier.wait()
        try:
            scene.log_in("ann", "wrong password")
        except (NotAuthenticated, LoginsLocked) as error:
            outcomes.append(type(error))

    threads = [threading.Thread(target=attempt) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count(NotAuthenticated) == MOST_FAILURES
    assert outcomes.count(LoginsLocked) == 16 - MOST_FAILURES


def test_a_code_gets_around_the_lock(scene):
    scene.add("ann")
    for _ in range(MOST_FAILURES):
        with pytest.raises(NotAuthenticated):
            scene.log_in("ann", "wrong password")
    scene.access.log_in_once(scene.accounts.one_time("ann", by="ada-admin"))


# --- what is written


def test_the_log_tells_who_came_who_did_not_and_who_changed_what(scene):
    scene.add("ann", Role.ANALYST)
    cookie, _ = scene.log_in("ann")
    scene.access.logins.end(cookie)
    scene.access.logins.end(cookie)
    scene.accounts.set_roles("ann", [Role.AUDITOR, Role.OFFICER], by="ada-admin")
    for name in ("ann", "somebody else"):
        with pytest.raises(NotAuthenticated):
            scene.log_in(name, "wrong password")
    told = [(event.type, event.actor, event.stage, event.artefact, event.numbers) for event in scene.events()]
    assert told == [
        ("access.user_changed", "ada-admin", "added", "ann", {"analyst": 1}),
        ("access.login", "ann", "", "", {}),
        ("access.logout", "ann", "", "", {}),
        ("access.user_changed", "ada-admin", "roles", "ann", {"auditor": 1, "officer": 1}),
        ("access.login_failed", "ann", "password", "", {}),
        ("access.login_failed", "unknown", "password", "", {}),
    ]


def test_nothing_secret_is_on_the_disk(scene):
    scene.add("ann")
    cookie, found = scene.log_in("ann")
    _, token = scene.access.tokens.issue(found, "notebook", ["modeller"], 30)
    code = scene.accounts.one_time("ann", by="ada-admin")
    typed = "typed into the wrong field"
    with pytest.raises(NotAuthenticated):
        scene.log_in(typed, "x")
    written = scene.written()
    assert b"notebook" in written, "the search finds what is there"
    for secret in (PASSWORD, cookie, token, token.removeprefix("slt_"), code, typed):
        assert secret.encode() not in written


def test_without_a_log_nobody_comes_in_and_nothing_changes(scene, monkeypatch):
    scene.add("ann", Role.ANALYST)

    def refuse(*_arguments, **_names):
        raise OSError("disk")

    monkeypatch.setattr(scene.log, "append", refuse)
    with pytest.raises(OSError, match="disk"):
        scene.log_in("ann")
    with pytest.raises(OSError, match="disk"):
        scene.accounts.set_roles("ann", [Role.ADMIN], by="ada-admin")
    assert scene.accounts.get("ann").roles == (Role.ANALYST,)
    with scene.engine.connect() as connection:
        assert connection.execute(select(Login)).all() == []
