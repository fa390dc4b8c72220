"""Incidents: their order, their clocks, their letters, and a log without a word of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from consent_desk import make_home
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_scene import policy
from typer.testing import CliRunner

from clients.cli import app
from clients.gate.policy import activate
from clients.incidents.clocks import Confidence, Duty, alarms, clocks_of
from clients.incidents.letters import letter, write_letters
from clients.incidents.register import (
    INCIDENTS,
    Classification,
    Incident,
    People,
    Register,
    Status,
    Told,
)
from privacy.audit import EventType
from privacy.audit_items.people import incidents as audit_item
from privacy.errors import ConfigInvalid, SilhouetteError
from privacy.texts import LANGUAGES, text

NOW = datetime(2026, 6, 1, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
WHAT = "A file lay on an open share."


def known(**changes):
    given = {
        "people": People.UNDER_100K,
        "categories": ("contact",),
        "cause": "A wrong setting.",
        "harm": "Fraud by telephone.",
        "measures": "The share is closed.",
        "advice": "Mistrust calls.",
        "contact": "95000",
    }
    return Classification(**(given | changes))


@pytest.fixture
def home(tmp_path):
    made = make_home(tmp_path)
    yield made
    made.vault.close()


@pytest.fixture
def register(home):
    return Register(home)


def incident(**changes):
    made = Incident(number="ab" * 16, what=WHAT, noticed=NOW)
    return made.classify(known(**changes))


def due(made, duty, *, is_critical=False):
    clocks = {clock.duty: clock for clock in clocks_of(made, is_critical=is_critical)}
    return clocks[duty].due - NOW, clocks[duty].confidence


# --- clocks


def test_a_million_people_are_told_of_within_four_hours():
    """Scenario 38 of the design."""
    assert due(incident(people=People.FROM_1M), Duty.AUTHORITY) == (4 * HOUR, Confidence.SECONDARY)
    assert due(incident(important_data=True), Duty.AUTHORITY) == (4 * HOUR, Confidence.SECONDARY)
    assert due(incident(people=People.FROM_1M), Duty.AUTHORITY, is_critical=True)[0] == HOUR
    assert due(incident(people=People.FROM_1M), Duty.FINAL)[0] == timedelta(days=30)


def test_others_have_a_day():
    assert due(incident(), Duty.AUTHORITY) == (24 * HOUR, Confidence.OURS)
    assert due(incident(national_security=True), Duty.AUTHORITY) == (24 * HOUR, Confidence.READ)
    assert due(incident(), Duty.INDIVIDUALS) == (24 * HOUR, Confidence.OURS)
    assert {clock.duty for clock in clocks_of(incident(), is_critical=True)} == {
        Duty.AUTHORITY,
        Duty.INDIVIDUALS,
    }


def test_what_nobody_has_classified_counts_as_grave():
    assert due(Incident(number="ab" * 16, what=WHAT, noticed=NOW), Duty.AUTHORITY)[0] == 4 * HOUR


def test_people_who_are_kept_from_harm_need_not_be_told():
    for made in (incident(harm_avoided=True), incident(people=People.NONE)):
        assert {clock.duty for clock in clocks_of(made, is_critical=False)} == {Duty.AUTHORITY}


@given(st.integers(0, 5000), st.sampled_from(People), st.booleans())
@settings(max_examples=60, deadline=None)
def test_an_alarm_rings_exactly_while_a_clock_is_over(minutes, people, is_told):
    made = incident(people=people)
    now = NOW + timedelta(minutes=minutes)
    if is_told:
        made = made.report(Told.AUTHORITY, NOW).report(Told.INDIVIDUALS, NOW)
    over = {
        clock.duty for clock in clocks_of(made, is_critical=False) if clock.done is None and now > clock.due
    }
    rung = alarms(made, now, is_critical=False, language="en")
    assert len(rung) == len(over)
    assert (Duty.AUTHORITY in over) == (not is_told and minutes > (240 if people is People.FROM_1M else 1440))


# --- the register


def test_from_opened_to_closed(home, register):
    number = register.open(WHAT, NOW).number
    register.classify(number, known())
    register.report(number, Told.AUTHORITY, NOW + HOUR)
    with pytest.raises(ConfigInvalid) as problem:
        register.close(number, NOW + 2 * HOUR)
    assert problem.value.key == "incident_untold"
    register.report(number, Told.INDIVIDUALS, NOW + 2 * HOUR)
    register.close(number, NOW + 3 * HOUR)
    (kept,) = Register(home).all()
    assert (kept.status, kept.told_authority, kept.closed) == (Status.CLOSED, NOW + HOUR, NOW + 3 * HOUR)
    events = list(home.audit.events())
    kinds = ["opened", "classified", "reported", "reported", "closed"]
    assert [event.type.value for event in events] == [f"incident.{kind}" for kind in kinds]
    assert {event.artefact for event in events} == {number}
    assert events[2].numbers == {"minutes": 60}
    for event in events:
        assert not any(word in event.canonical().decode() for word in (WHAT, "Fraud", "95000"))


@pytest.mark.parametrize(
    "step",
    [
        lambda made: made.report(Told.AUTHORITY, NOW),
        lambda made: made.close(NOW),
        lambda made: made.classify(known()).close(NOW),
        lambda made: (
            made.classify(known(harm_avoided=True)).report(Told.AUTHORITY, NOW).close(NOW).classify(known())
        ),
        lambda made: (
            made.classify(known(harm_avoided=True)).report(Told.AUTHORITY, NOW).close(NOW).close(NOW)
        ),
    ],
)
def test_no_step_is_left_out(step):
    with pytest.raises(ConfigInvalid) as problem:
        step(Incident(number="ab" * 16, what=WHAT, noticed=NOW))
    assert problem.value.key == "incident_state"


def test_more_may_become_known_after_the_report(register):
    number = register.open(WHAT, NOW).number
    register.classify(number, known())
    register.report(number, Told.AUTHORITY, NOW)
    made = register.classify(number, known(people=People.FROM_1M))
    assert made.status is Status.REPORTED
    assert made.told_authority == NOW


def test_telling_again_changes_nothing(home, register):
    number = register.open(WHAT, NOW).number
    register.classify(number, known())
    first = register.report(number, Told.AUTHORITY, NOW)
    assert register.report(number, Told.AUTHORITY, NOW + HOUR) == first
    told = [event for event in home.audit.events() if event.type is EventType.INCIDENT_REPORTED]
    assert len(told) == 1


@pytest.mark.parametrize("words", ["13800138000", "call 138 0013 8000", "6222-0210-0112"])
def test_long_numbers_are_refused(register, words):
    with pytest.raises(ConfigInvalid) as problem:
        register.open(words, NOW)
    assert problem.value.key == "incident_words"
    assert words not in problem.value.render("en")
    number = register.open(WHAT, NOW).number
    with pytest.raises(ConfigInvalid):
        register.classify(number, known(cause=words))
    assert register.get(number).known is None


def test_a_category_that_nobody_knows(register):
    number = register.open(WHAT, NOW).number
    with pytest.raises(ConfigInvalid) as problem:
        register.classify(number, known(categories=("shoe_size",)))
    assert problem.value.key == "incident_category"


def test_an_open_incident_is_kept_without_end(home, register):
    number = register.open(WHAT, NOW).number
    assert home.vault.expired() == []
    assert home.vault.names(INCIDENTS) == [INCIDENTS + number]
    with pytest.raises(ConfigInvalid):
        register.get("0" * 32)


def test_the_contact_is_the_policys_where_none_is_given(home, register):
    activate(home, policy())
    number = register.open(WHAT, NOW).number
    assert register.classify(number, known(contact="")).known.contact == "Bank of the Example Officer 95000"


# --- letters


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("told", Told)
def test_a_letter_has_the_three_contents(told, language):
    made = incident(people=People.FROM_1M)
    written = letter(made, told, language)
    for content in (made.known.cause, made.known.harm, made.known.measures, made.known.advice, "95000"):
        assert content in written
    assert text("catalog.category.contact", language=language) in written
    assert (WHAT in written) == (told is Told.AUTHORITY)


@pytest.mark.parametrize("lacking", ["categories", "cause", "harm", "measures", "advice", "contact"])
def test_a_letter_that_lacks_a_content_is_not_written(tmp_path, lacking):
    made = incident(**{lacking: () if lacking == "categories" else " "})
    with pytest.raises(ConfigInvalid) as problem:
        write_letters(made, Told.INDIVIDUALS, tmp_path / "letters")
    assert problem.value.values["known"] == lacking
    assert not (tmp_path / "letters").exists()


def test_without_a_classification_there_is_no_letter(tmp_path):
    with pytest.raises(ConfigInvalid):
        write_letters(Incident(number="ab" * 16, what=WHAT, noticed=NOW), Told.AUTHORITY, tmp_path)


# --- commands


def run(*words):
    result = CliRunner().invoke(app, ["incident", *map(str, words)])
    if isinstance(result.exception, SilhouetteError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def one(output):
    (found,) = json.loads(output)["incidents"]
    return found


def test_by_command(home, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    at = ("--home", home.folder)
    number = one(run("open", *at, "--what", WHAT, "--noticed", "2026-06-01T08:00+00:00", "--json"))["number"]
    assert WHAT in run("open", *at, "--what", WHAT)
    words = ("--cause", "A setting.", "--harm", "Fraud.", "--measures", "Closed.", "--advice", "Beware.")
    made = one(
        run("classify", number, *at, "--people", "1m_or_more", "--categories", "contact, whereabouts",
            *words, "--contact", "95000", "--json")
    )  # fmt: skip
    assert made["known"]["categories"] == ["contact", "whereabouts"]
    assert made["clocks"][0]["late"] is True
    assert (made["clocks"][0]["due"], made["clocks"][0]["confidence"]) == (
        "2026-06-01T12:00:00Z",
        "secondary",
    )
    assert "should have been told" in run("list", *at)
    files = json.loads(run("letter", number, *at, "--to", "individuals", "--into", tmp_path / "l", "--json"))
    assert len(files["files"]) == len(LANGUAGES)
    run("report", number, *at, "--to", "authority", "--at", "2026-06-01T11:00+00:00")
    assert one(run("report", number, *at, "--to", "individuals", "--json"))["clocks"][0]["late"] is False
    assert one(run("close", number, *at, "--json"))["status"] == "closed"
    assert {found["status"] for found in json.loads(run("list", *at, "--json"))["incidents"]} == {
        "opened",
        "closed",
    }


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (("open", "--what", WHAT, "--noticed", "2999-01-01"), "incident_time"),
        (("open", "--what", WHAT, "--noticed", "soon"), "incident_time"),
        (("classify", "0" * 32, "--people", "some"), "incident_choice"),
        (("close", "0" * 32), "incident_unknown"),
    ],
)
def test_what_is_no_command(home, words, key):
    with pytest.raises(ConfigInvalid) as problem:
        run(*words, "--home", home.folder)
    assert problem.value.key == key


def test_the_audit_item_agrees(home, register):
    """Item 25 of the guideline reads these events."""

    class Events:
        def of(self, *kinds):
            return tuple(event for event in home.audit.events() if event.type.value in kinds)

        def count(self, *kinds):
            return len(self.of(*kinds))

    number = register.open(WHAT, NOW).number
    register.classify(number, known(harm_avoided=True))
    register.report(number, Told.AUTHORITY, NOW)
    register.close(number, NOW)
    assert audit_item(Events()).holds is True
    assert msgspec.to_builtins(register.get(number))["status"] == "closed"
