"""Asking for consent again: not soon after a no, not soon after the last time, and no trace once a subject is gone."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from audience_scene import PEOPLE, marketing_home
from consent_desk import PHONES
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from typer.testing import CliRunner

from clients.audiences.standing import PERSONALISED_MARKETING
from clients.cli import app
from clients.consents.node import changes_of
from clients.consents.prompts import _answer, _Met, ask
from clients.consents.subjects import kind_label
from clients.consents.tables import Restriction, Source, prompts
from clients.desk.app import make_desk
from clients.desk.serving import desk_token
from clients.gate.policy import activate, active_policy
from clients.tables.times import moment
from privacy.audit import EventType
from privacy.errors import Denied, SilhouetteError
from privacy.policy import PROMPT_COOLDOWN_DAYS, Policy
from privacy.reasons import Reason

NOW = datetime.now(UTC)
ONE = PEOPLE[:1]
DAY = timedelta(days=1)


@pytest.fixture
def home(tmp_path):
    made = marketing_home(tmp_path, PEOPLE[6:])
    yield made
    made.vault.close()


def asked(home, people=ONE, days=0, purpose="marketing"):
    return ask(home, people, purpose, Source.CLI, NOW + days * DAY)


def shown(home):
    return [event for event in home.audit.events() if event.type is EventType.NOTICE_PRESENTED]


def test_nobody_is_asked_twice_within_the_cool_down(home):
    """Scenario 36 of the design."""
    assert [answer.may_ask for answer in asked(home)] == [True]
    (again,) = asked(home, days=PROMPT_COOLDOWN_DAYS - 1)
    assert (again.may_ask, again.reason) == (False, "R-PROMPT-COOLDOWN")
    assert again.since == NOW.astimezone().date() + PROMPT_COOLDOWN_DAYS * DAY
    assert asked(home, days=PROMPT_COOLDOWN_DAYS)[0].may_ask
    assert len(shown(home)) == 2
    assert all(event.sref for event in shown(home))


@pytest.mark.parametrize("purpose", ["marketing", PERSONALISED_MARKETING])
def test_after_a_refusal_nobody_is_asked(home, purpose):
    changes = changes_of(home, Source.CLI)
    changes.withdraw(changes.identifiers(ONE), purpose)
    (answer,) = asked(home)
    assert (answer.may_ask, answer.reason) == (False, "R-PROMPT-COOLDOWN")
    assert not asked(home, days=PROMPT_COOLDOWN_DAYS - 1)[0].may_ask
    assert asked(home, days=PROMPT_COOLDOWN_DAYS + 1)[0].may_ask
    assert len(shown(home)) == 1


def test_a_refusal_without_a_time_counts_from_when_somebody_wants_to_ask(home):
    refused = [PHONES[9]]  # in the consent log, without a time
    assert not asked(home, refused)[0].may_ask
    assert not asked(home, refused, days=PROMPT_COOLDOWN_DAYS - 1)[0].may_ask
    assert asked(home, refused, days=PROMPT_COOLDOWN_DAYS)[0].may_ask
    assert len(shown(home)) == 1


def test_a_subject_under_a_restriction_is_left_alone(home):
    changes = changes_of(home, Source.CLI)
    changes.restrict(changes.identifiers(ONE), Restriction.DISPUTE)
    (answer,) = ask(home, ONE, "marketing", Source.CLI)
    assert (answer.may_ask, answer.reason, answer.since) == (False, "R-RESTRICTED-STATE", None)


def test_a_policy_may_lengthen_the_cool_down_and_not_shorten_it(home):
    longer = msgspec.structs.replace(active_policy(home), prompt_cooldown_days=90)
    activate(home, longer)
    asked(home)
    assert not asked(home, days=89)[0].may_ask
    assert asked(home, days=90)[0].may_ask
    plain = msgspec.to_builtins(longer) | {"prompt_cooldown_days": 29}
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(plain, Policy)


def test_answers_come_in_the_order_of_the_question(home):
    asked(home, PEOPLE[1:2])
    found = asked(home, [PEOPLE[0], PEOPLE[1], PEOPLE[2], PEOPLE[0]])
    assert [answer.may_ask for answer in found] == [True, False, True, True]
    assert len(shown(home)) == 3, "one person asked about twice is shown it once"


def test_purposes_are_apart(home):
    with pytest.raises(Denied) as refusal:
        asked(home, purpose="loans")
    assert refusal.value.findings[0].reason is Reason.PURPOSE_UNREGISTERED


def test_many_at_once_are_counted_in_one_event(home):
    many = [f"137{number:08d}" for number in range(105)]
    assert all(answer.may_ask for answer in asked(home, many))
    (event,) = shown(home)
    assert (event.sref, event.numbers) == ("", {"subjects": 100})


def test_what_is_remembered_goes_with_the_subject(home):
    asked(home)
    changes = changes_of(home, Source.CLI)
    tokens = home.consents.tokens(kind_label(home.settings.table), changes.identifiers(ONE))

    def remembered():
        with home.consents.engine.connect() as connection:
            return connection.execute(select(func.count()).select_from(prompts)).scalar_one()

    assert remembered() == 1
    home.consents.forget(tokens)
    assert remembered() == 0


def test_the_desk_and_the_command_ask_the_same(home):
    client = TestClient(make_desk(home), headers={"Authorization": f"Bearer {desk_token(home)}"})
    body = {"identifiers": ONE, "purpose": "marketing"}
    assert client.post("/v1/prompts", json=body).json() == {"answers": [{"may_ask": True}]}
    (again,) = client.post("/v1/prompts", json=body).json()["answers"]
    assert (again["may_ask"], again["reason"]) == (False, "R-PROMPT-COOLDOWN")
    denied = client.post("/v1/prompts", json=body | {"purpose": "loans"})
    assert (denied.status_code, denied.json()["code"]) == (403, "R-PURPOSE-UNREGISTERED")
    words = ["consent", "prompt", "--home", str(home.folder), "--purpose", "marketing"]
    result = CliRunner().invoke(app, [*words, "--json"], input=ONE[0] + "\n")
    assert json.loads(result.output) == {"answers": [again]}
    result = CliRunner().invoke(app, words, input=f"{ONE[0]}\n{PEOPLE[1]}\n")
    assert not isinstance(result.exception, SilhouetteError)
    assert "R-PROMPT-COOLDOWN" in result.output
    assert "may be asked now" in result.output
    assert not any(phone in result.output for phone in PEOPLE)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 200), st.integers(0, 200), st.integers(30, 120), st.booleans(), st.booleans())
def test_a_yes_is_never_sooner_than_the_cool_down(refused, was_asked, days, has_refused, has_asked):
    met = _Met(
        moment(NOW - refused * DAY) if has_refused else 0, moment(NOW - was_asked * DAY) if has_asked else 0
    )
    latest = min([refused] * has_refused + [was_asked] * has_asked, default=None)
    found = _answer(met, days, NOW)
    assert found.may_ask == (latest is None or latest >= days)
    if not found.may_ask:
        assert _answer(met, days, NOW + (found.since - NOW.astimezone().date()) * 1).may_ask
