"""That whoever has just come in is known for a moment, and that nobody is known longer than they may be."""

from __future__ import annotations

import dataclasses
import datetime

import pytest
from starlette.requests import HTTPConnection

from federation.access.recent import KEPT_SECONDS, RecentCallers
from federation.access.tokens import Tokens
from federation.database import writing
from federation.pace import utc_now
from federation.web.limits import Rate, RateLimits
from federation.web.refusing import RequestRefused
from privacy.access import Role
from server.api.app import create_api
from server.db.engine import open_database
from tests.api_scene import EVERYBODY, ApiScene
from tests.jobs_scene import Clock


@pytest.fixture
def scene(tmp_path):
    made = ApiScene.create(tmp_path)
    made.clock = Clock(utc_now())
    recent = RecentCallers(made.services.home.database, made.clock)
    made.services = dataclasses.replace(made.services, recent=recent)
    made.app = create_api(made.services)
    return made


@pytest.fixture
def looked_up(scene, monkeypatch):
    """How often a token was looked up in the database."""
    found = []
    real = Tokens.lookup
    monkeypatch.setattr(Tokens, "lookup", lambda self, secret: found.append(secret) or real(self, secret))
    return found


def elsewhere(scene, statement: str, **values: object) -> None:
    """A change by another process."""
    engine = open_database(scene.services.home.database.url.render_as_string(hide_password=False))
    with engine.begin() as connection:
        connection.exec_driver_sql(statement, values)
    engine.dispose()


def test_a_token_is_looked_up_once_in_a_while(scene, looked_up):
    token = scene.token()
    assert [scene.call("GET", "/jobs", token=token).status_code for _ in range(3)] == [200] * 3
    assert len(looked_up) == 1
    scene.clock.forward(seconds=KEPT_SECONDS)
    assert scene.call("GET", "/jobs", token=token).status_code == 200
    assert len(looked_up) == 2


def test_whoever_changes_something_is_looked_up(scene, looked_up):
    token = scene.token()
    scene.call("GET", "/jobs", token=token)
    scene.call("POST", f"/jobs/{scene.waiting.number}/stop", token=token)
    assert len(looked_up) == 2


def test_a_change_in_this_process_counts_at_once(scene):
    token = scene.token()
    assert scene.call("GET", "/users", token=token).status_code == 200
    scene.services.access.accounts.set_roles(EVERYBODY, [Role.MODELLER], by="tests")
    assert scene.call("GET", "/users", token=token).status_code == 403
    scene.services.access.accounts.disable(EVERYBODY, by="tests")
    assert scene.call("GET", "/jobs", token=token).status_code == 401


def test_a_login_that_has_ended_is_over_at_once(scene):
    assert scene.call("GET", "/jobs").status_code == 200
    scene.services.access.logins.end(scene.logins[EVERYBODY][0])
    assert scene.call("GET", "/jobs").status_code == 401


def test_a_change_elsewhere_counts_after_some_seconds(scene):
    token = scene.token()
    assert scene.call("GET", "/jobs", token=token).status_code == 200
    elsewhere(scene, "UPDATE access_user SET disabled = 1 WHERE name = :name", name=EVERYBODY)
    scene.clock.forward(seconds=KEPT_SECONDS)
    assert scene.call("GET", "/jobs", token=token).status_code == 401


def test_a_token_in_a_cookie_is_no_login(scene):
    token = scene.token()
    assert scene.call("GET", "/jobs", token=token).status_code == 200
    scene.logins["thief"] = (token, scene.logins[EVERYBODY][1])
    assert scene.call("GET", "/jobs", "thief").status_code == 401


def test_whoever_was_looked_up_before_a_change_is_not_kept(scene):
    recent, caller = scene.services.recent, scene.logins[EVERYBODY][1]
    before = recent.changes
    with writing(scene.services.home.database):
        pass
    recent.keep("bearer x", caller, before)
    assert recent.find("bearer x") is None
    recent.keep("bearer x", caller, recent.changes)
    assert recent.find("bearer x") is caller
    scene.clock.moment -= datetime.timedelta(
        seconds=1
    )  # a clock that is set back makes nobody known for longer
    assert recent.find("bearer x") is None


def test_a_window_of_requests_moves():
    now = [0.0]
    rates = RateLimits(Rate("caller", 2, 10), lambda: now[0])
    scope = {"type": "http"}
    rates.check(HTTPConnection(scope), "ada")
    now[0] = 6.0
    rates.check(HTTPConnection(scope), "ada")
    assert scope["state"]["rate"]["RateLimit"] == '"caller";r=0;t=4'
    with pytest.raises(RequestRefused) as refused:
        rates.check(HTTPConnection(scope), "ada")
    assert refused.value.headers == {"Retry-After": "4"}
    rates.check(HTTPConnection(scope), "ben")
    now[0] = 10.0
    rates.check(HTTPConnection(scope), "ada")
    with pytest.raises(RequestRefused):
        rates.check(HTTPConnection(scope), "ada")


def test_who_came_once_is_forgotten():
    now = [0.0]
    rates = RateLimits(Rate("address", 2, 10), lambda: now[0])
    for place in range(100):
        rates.check(HTTPConnection({"type": "http"}), f"10.0.0.{place}")
    now[0] = 20.0
    rates.check(HTTPConnection({"type": "http"}), "10.0.1.1")
    assert list(rates._moments) == ["10.0.1.1"]
