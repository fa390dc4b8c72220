"""Lists for marketing: who may be on one, who is given one, and how it is called back."""

from __future__ import annotations

import json

import msgspec
import pandas as pd
import pytest
from audience_scene import PEOPLE, marketing_home, results_of
from typer.testing import CliRunner

from clients.audiences import lists
from clients.audiences.exporting import (
    ACKNOWLEDGED_DOMAIN,
    EXPORTS,
    Acknowledged,
    Recall,
    Signed,
    acknowledge,
    export,
    exports,
    recall,
    take_acknowledgement,
)
from clients.audiences.lists import build
from clients.audiences.standing import PERSONALISED_MARKETING, opt_out
from clients.cli import app
from clients.consents.node import changes_of
from clients.consents.tables import Restriction, Source
from clients.gate.retention import AUDIENCES, RESULTS, sweep
from federation.pace import utc_now
from privacy.audit import EventType
from privacy.consent import ConsentKind
from privacy.errors import CohortTooSmall, ConfigInvalid, Denied, SignatureInvalid, SilhouetteError
from privacy.policy import PurposeClass
from privacy.reasons import Reason
from privacy.sealing import Identity

SHOP = Identity.generate()


@pytest.fixture
def home(tmp_path):
    made = marketing_home(tmp_path)
    yield made
    made.vault.close()


@pytest.fixture
def results(home):
    return results_of(home)


def built(home, results, name="spring"):
    return build(home, results, 2, "marketing", name)


def listed(file):
    return pd.read_csv(file, dtype=str)["identifier"].tolist()


def events_of(home, kind):
    return [event for event in home.audit.events() if event.type is kind]


def say(home, people, **changes):
    """These people withdraw what fits."""
    made = changes_of(home, Source.CLI)
    made.withdraw(made.identifiers(people), **changes)


def run(*words, who=None):
    result = CliRunner().invoke(app, ["audience", *map(str, words)], input=who)
    if isinstance(result.exception, SilhouetteError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


# --- building


def test_a_list_holds_the_people_of_one_segment(home, results):
    made = built(home, results)
    folder = home.folder / "audiences" / "spring"
    assert listed(folder / "members.csv") == PEOPLE[:8]
    about = json.loads((folder / "audience.json").read_text())
    assert (about["purpose"], about["segment"]) == ("marketing", 2)
    assert len(about["policy"]) == 64
    assert (made.audience.expires - made.audience.built.astimezone().date()).days == 30
    assert made.people == 8
    for file in folder.iterdir():
        assert file.stat().st_mode & 0o077 == 0
    (event,) = events_of(home, EventType.TAG_ASSIGNED)
    assert event.numbers == {"people": 0}, "fewer than ten are not counted in the log"


def test_who_may_not_be_on_a_list_is_left_out(home, results):
    say(home, PEOPLE[:1], purpose="marketing")
    say(home, PEOPLE[1:2], purpose=PERSONALISED_MARKETING)
    changes = changes_of(home, Source.CLI)
    changes.restrict(changes.identifiers(PEOPLE[2:3]), Restriction.DISPUTE)
    made = built(home, results)
    assert listed(home.folder / "audiences" / "spring" / "members.csv") == PEOPLE[3:8]
    assert made.left_out == {"R-MARKETING-OPTOUT": 2, "R-RESTRICTED-STATE": 1}


def test_a_small_list_is_refused(home, results):
    with pytest.raises(CohortTooSmall) as refusal:
        build(home, results, 0, "marketing", "few")
    assert refusal.value.reason is Reason.COHORT_TOO_SMALL
    assert not (home.folder / "audiences" / "few").exists()
    (event,) = events_of(home, EventType.AUDIENCE_REFUSED)
    assert event.reasons == ("R-COHORT-TOO-SMALL",)


def test_a_deployed_node_asks_for_more_people(home, results):
    home.write_settings(msgspec.structs.replace(home.settings, allow_testing_profile=False))
    del home.settings
    with pytest.raises(CohortTooSmall):
        built(home, results)


@pytest.mark.parametrize(
    ("name", "purpose", "reason"),
    [
        ("spring", "loans", Reason.PURPOSE_UNREGISTERED),
        ("spring", "credit_risk", Reason.PURPOSE_MISMATCH),
    ],
)
def test_a_purpose_that_is_not_for_marketing(tmp_path, name, purpose, reason):
    changes = {"treatment": PurposeClass.CREDIT_RISK, "name": "credit_risk"}
    home = marketing_home(tmp_path, **changes)
    with pytest.raises(Denied) as refusal:
        build(home, results_of(home), 2, purpose, name)
    assert [finding.reason for finding in refusal.value.findings] == [reason]


@pytest.mark.parametrize("name", ["../x", "", "Spring", "a/b", "list-13800000000"])
def test_a_name_that_is_none(home, results, name):
    with pytest.raises(ConfigInvalid) as problem:
        built(home, results, name)
    assert problem.value.key == "audience_name"


def test_results_whose_time_is_over(home, results):
    home.vault.put(RESULTS + "job-1", b"", days=-1)
    with pytest.raises(Denied) as refusal:
        built(home, results)
    assert refusal.value.findings[0].reason is Reason.RETENTION_EXPIRED


def test_a_file_without_segments(home, results):
    (results / "customers.csv").write_text("identifier,row\n1,2\n")
    with pytest.raises(ConfigInvalid) as problem:
        built(home, results)
    assert problem.value.key == "audience_segments"


# --- exporting


def test_who_opts_out_between_building_and_export_is_not_on_it(home, results, tmp_path):
    """Scenario 25 of the design."""
    built(home, results)
    say(home, PEOPLE[:1], purpose="marketing")
    made = export(home, "spring", tmp_path / "out.csv")
    assert listed(tmp_path / "out.csv") == PEOPLE[1:8]
    assert made.left_out == {"R-MARKETING-OPTOUT": 1}
    (event,) = events_of(home, EventType.AUDIENCE_EXPORTED)
    assert event.reasons == ("R-MARKETING-OPTOUT",)
    assert not any(phone in event.canonical().decode() for phone in PEOPLE)


def test_a_second_export_changes_nothing(home, results, tmp_path):
    built(home, results)
    first = export(home, "spring", tmp_path / "out.csv")
    content = (tmp_path / "out.csv").read_bytes()
    again = export(home, "spring", tmp_path / "out.csv")
    assert (first.is_new, again.is_new) == (True, False)
    assert again.export == first.export
    assert (tmp_path / "out.csv").read_bytes() == content
    assert len(events_of(home, EventType.AUDIENCE_EXPORTED)) == 1
    say(home, PEOPLE[:1], purpose="marketing")
    assert export(home, "spring", tmp_path / "out.csv").is_new


def test_a_recipient_needs_the_separate_consent(home, results, tmp_path):
    built(home, results)
    say(home, PEOPLE[:1], kind=ConsentKind.SEPARATE, scope="provide", recipient="shop", purpose="marketing")
    made = export(home, "spring", tmp_path / "out.csv", "shop")
    assert listed(tmp_path / "out.csv") == PEOPLE[1:8]
    assert made.left_out == {"R-CONSENT-WITHDRAWN": 1}
    assert made.export.recipient == "shop"
    assert export(home, "spring", tmp_path / "agency.csv", "agency").people == 8, "entrusted: no provision"


def test_an_unknown_recipient_gets_nothing(home, results, tmp_path):
    built(home, results)
    with pytest.raises(Denied) as refusal:
        export(home, "spring", tmp_path / "out.csv", "stranger")
    assert refusal.value.findings[0].reason is Reason.RECIPIENT_UNKNOWN
    assert not (tmp_path / "out.csv").exists()
    (event,) = events_of(home, EventType.AUDIENCE_REFUSED)
    assert event.reasons == ("R-RECIPIENT-UNKNOWN",)


def test_a_list_that_has_become_small_is_not_given_out(home, results, tmp_path):
    built(home, results)
    say(home, PEOPLE[:4], purpose="marketing")
    with pytest.raises(CohortTooSmall):
        export(home, "spring", tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()
    (event,) = events_of(home, EventType.AUDIENCE_REFUSED)
    assert event.reasons == ("R-COHORT-TOO-SMALL", "R-MARKETING-OPTOUT")


def test_a_list_that_is_over_is_neither_given_out_nor_kept(home, results, tmp_path):
    built(home, results)
    home.vault.put(AUDIENCES + "spring", b"", days=-1)
    with pytest.raises(Denied) as refusal:
        export(home, "spring", tmp_path / "out.csv")
    assert refusal.value.findings[0].reason is Reason.RETENTION_EXPIRED
    sweep(home)
    assert not (home.folder / "audiences" / "spring").exists()
    with pytest.raises(ConfigInvalid) as problem:
        export(home, "spring", tmp_path / "out.csv")
    assert problem.value.key == "audience_unknown"


def test_opting_out_takes_a_person_off_every_list(home, results):
    built(home, results)
    opt_out(home, PEOPLE[:1], Source.CLI)
    assert PEOPLE[0] not in listed(home.folder / "audiences" / "spring" / "members.csv")
    assert len(events_of(home, EventType.OPTOUT_SET)) == 1
    assert len(events_of(home, EventType.TAG_DELETED)) == 1
    assert lists.take_out(home, {PEOPLE[0]}) == 0, "again: no harm"


# --- recalling


def recalled(home, results, folder):
    """The list went to "shop", and is called back: the message, and its answer."""
    built(home, results)
    export(home, "spring", folder / "out.csv", "shop", SHOP.public.to_text())
    (message,) = recall(home, "spring", folder / "recalls")
    return message.read_bytes()


def test_a_list_is_called_back_and_its_deletion_acknowledged(home, results, tmp_path):
    message = recalled(home, results, tmp_path)
    assert not (home.folder / "audiences" / "spring").exists()
    assert not any(phone in message.decode() for phone in PEOPLE)
    answer = acknowledge(SHOP, "shop", message, home.identity.public)
    made = take_acknowledgement(home, answer)
    assert made.acknowledged is not None
    assert take_acknowledgement(home, answer) == made, "again: no harm"
    assert exports(home) == [made]
    with pytest.raises(ConfigInvalid):
        recall(home, "spring", tmp_path / "recalls")


def test_a_recall_is_written_again_until_it_is_acknowledged(home, results, tmp_path):
    message = recalled(home, results, tmp_path)
    (again,) = recall(home, "spring", tmp_path / "again")
    assert again.read_bytes() == message


def test_a_forged_or_misplaced_acknowledgement_is_refused(home, results, tmp_path):
    message = recalled(home, results, tmp_path)
    forged = acknowledge(Identity.generate(), "shop", message, home.identity.public)
    with pytest.raises(SignatureInvalid):
        take_acknowledgement(home, forged)
    (made,) = exports(home)

    def answered(**changes):
        said = Acknowledged(**{"number": made.number, "recipient": "shop", "digest": made.digest,
                               "deleted": utc_now(), **changes})  # fmt: skip
        statement = msgspec.json.encode(said)
        return msgspec.json.encode(
            Signed(statement.decode(), SHOP.sign_statement(ACKNOWLEDGED_DOMAIN, statement).hex())
        )

    for wrong in (answered(number="0" * 32), answered(digest="0" * 64), answered(recipient="agency")):
        with pytest.raises(ConfigInvalid) as problem:
            take_acknowledgement(home, wrong)
        assert problem.value.key == "audience_acknowledgement"
    for junk in (b"", b"{}", message, b"\xff"):
        with pytest.raises((ConfigInvalid, SignatureInvalid)):
            take_acknowledgement(home, junk)
    assert exports(home)[0].acknowledged is None


def test_nobody_answers_a_recall_of_another(home, results, tmp_path):
    message = recalled(home, results, tmp_path)
    with pytest.raises(SignatureInvalid):
        acknowledge(SHOP, "shop", message, SHOP.public)
    with pytest.raises(ConfigInvalid):
        acknowledge(SHOP, "other", message, home.identity.public)
    changed = message.replace(b"spring", b"summer")
    with pytest.raises(SignatureInvalid):
        acknowledge(SHOP, "shop", changed, home.identity.public)


def test_a_message_names_nobody():
    for kind in (Recall, Acknowledged):
        names = set(kind.__struct_fields__)
        assert names <= {"number", "holder", "audience", "recipient", "digest", "at", "deleted"}


def test_a_key_that_is_none(home, results, tmp_path):
    built(home, results)
    with pytest.raises(ConfigInvalid) as problem:
        export(home, "spring", tmp_path / "out.csv", "shop", "c2hvcnQ=")
    assert problem.value.key == "audience_key"


def test_what_was_given_out_is_kept_three_years_without_a_person(home, results, tmp_path):
    recalled(home, results, tmp_path)
    (name,) = home.vault.names(EXPORTS)
    assert not any(phone.encode() in (home.vault.get(name) or b"") for phone in PEOPLE)


# --- commands


def test_by_command(home, results, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    at = ("--home", home.folder)
    shown = run("build", "--results", results, "--segment", 2, "--purpose", "marketing", "--name", "spring")
    assert "8 people" in shown
    assert json.loads(run("opt-out", *at, "--json", who=PEOPLE[0] + "\n"))["subjects"] == 1
    out = tmp_path / "out.csv"
    key = SHOP.public.to_text()
    made = json.loads(
        run("export", "spring", *at, "--to", out, "--recipient", "shop", "--key", key, "--json")
    )
    assert made["people"] == 7
    found = json.loads(run("list", *at, "--json"))
    assert [one["about"]["name"] for one in found["audiences"]] == ["spring"]
    assert [one["recipient"] for one in found["exports"]] == ["shop"]
    assert "to shop" in run("list", *at)
    (message,) = json.loads(run("recall", "spring", *at, "--into", tmp_path / "r", "--json"))["messages"]
    with open(message, "rb") as stream:  # noqa: PTH123
        answer = acknowledge(SHOP, "shop", stream.read(), home.identity.public)
    (tmp_path / "answer.json").write_bytes(answer)
    assert "has deleted" in run("import", tmp_path / "answer.json", *at)
    assert "Deleted by shop" in run("list", *at)
    with pytest.raises(ConfigInvalid):
        run("acknowledge", message, *at, "--to", tmp_path / "a", "--holder", "nonsense")


def test_a_small_list_by_command_says_the_reason(home, results):
    with pytest.raises(CohortTooSmall) as refusal:
        run("build", "--results", results, "--segment", 0, "--purpose", "marketing", "--name", "few")
    assert "Fewer than 5 people" in refusal.value.render("en")
