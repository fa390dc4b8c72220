"""Model cards: marked by deletions, usable until a deadline, replaced by a training without the people."""

from base64 import b64decode
from datetime import date, timedelta
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
from gate_scene import home_of
from policy_scene import policy, purpose
from typer.testing import CliRunner

from clients.cli import app
from clients.finished import record_name
from clients.forgetting import cards as module
from clients.forgetting.cards import (
    CREDIT_DAYS,
    OTHER_DAYS,
    ModelCard,
    ModelState,
    card_of,
    cards,
    retire_overdue,
    segments_number,
    taint,
    tainted_by,
)
from clients.forgetting.releasing import part_of, release
from clients.gate.policy import activate
from clients.models import StoredModel, model_for
from clients.rights.located import Located
from clients.tables import FieldSpec, TableSpec
from federation.jobs import Job, PartyPlan, PartyRole
from privacy.audit import EventType
from privacy.errors import ConfigInvalid, Denied
from privacy.identifiers import IdentifierKind
from privacy.policy import Basis, PurposeClass
from privacy.rights import Artefact, Result, SharedRow

DAY = date(2026, 3, 2)
SESSION, NUMBER = "ab" * 16, "cd" * 16
LENDING = purpose(
    "credit_risk",
    treatment=PurposeClass.CREDIT_RISK,
    automated_decision=True,
    human_route="The review desk.",
    basis=Basis.CONTRACT,
    basis_reference="loan contract",
)
REFS = np.arange(60 * 16, dtype=np.uint8).reshape(60, 16)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "today", lambda: DAY)
    monkeypatch.setattr("clients.forgetting.cli.today", lambda: DAY)
    file = tmp_path / "bank.csv"
    file.write_text("phone,income\n13900000000,1\n")
    spec = TableSpec(
        path=str(file), id_column="phone", id_kind=IdentifierKind.PHONE, fields=(FieldSpec(name="income"),)
    )
    made = home_of(tmp_path / "home", spec)
    activate(made, policy(LENDING))
    return made


def put(home, rows=60, handle=60, **changes):
    fields = {
        "number": NUMBER, "kind": "scorecard", "session": SESSION, "job": "lending", "purpose": "credit_risk",
        "parties": ("bank", "shop"), "stages": ("match", "bins"), "k_min": 50, "attestation": "0" * 64,
        "snapshot": "1" * 64, "rows": rows, "trained": date(2026, 1, 5), "digest": "2" * 64, "is_credit": True,
    }  # fmt: skip
    card = ModelCard(**(fields | changes))
    home.vault.put(record_name(card.session, f"card/{card.number}"), msgspec.json.encode(card))
    stored = StoredModel(kind=card.kind, purpose=card.purpose, parties=card.parties, data=b"the part")
    home.vault.put(record_name(card.session, f"model/{card.number}"), msgspec.msgpack.encode(stored))
    refs = REFS[:handle]
    record = {"rows": np.arange(handle).tobytes(), "subject_refs": refs.tobytes()}
    home.vault.put(record_name(card.session, "handle"), msgspec.msgpack.encode(record))
    return card


def located(*sessions):
    shared = tuple(SharedRow(session, REFS[0].tobytes()) for session in sessions)
    return Located(identifier=b"13900000000", token=b"t" * 16, row=0, shared=shared)


def context_of(home):
    bank = PartyPlan(name="bank", role=PartyRole.LABEL_HOLDER)
    shop = PartyPlan(name="shop", role=PartyRole.FEATURE_HOLDER)
    job = Job(name="score", purpose="credit_risk", parties=(bank, shop), profile="TESTING_ONLY")
    return SimpleNamespace(home=home, job=job, plan=bank)


# --- what a deletion does


@pytest.mark.parametrize(("is_credit", "days"), [(True, CREDIT_DAYS), (False, OTHER_DAYS)])
def test_a_deletion_marks_the_model_until_its_deadline(home, is_credit, days):
    put(home, is_credit=is_credit)
    (outcome,) = taint(home, [located(SESSION)])
    assert (outcome.artefact, outcome.result) == (Artefact.MODEL, Result.RESTRICTED_TECHNICAL)
    assert outcome.review == DAY + timedelta(days=days)
    assert outcome.reason == "R-MODEL-TAINTED"
    card = card_of(home, NUMBER)
    assert card.state(DAY) is card.state(outcome.review) is ModelState.TAINTED
    assert card.state(outcome.review + timedelta(days=1)) is ModelState.RETIRED


def test_marking_again_changes_nothing_and_the_first_deletion_counts(home, monkeypatch):
    put(home)
    taint(home, [located(SESSION), located(SESSION)])
    before = card_of(home, NUMBER)
    monkeypatch.setattr(module, "today", lambda: DAY + timedelta(days=7))
    (outcome,) = taint(home, [located(SESSION)])
    assert card_of(home, NUMBER) == before
    assert outcome.review == DAY + timedelta(days=CREDIT_DAYS)


def test_who_took_part_in_no_model_changes_none(home):
    before = put(home)
    found = taint(home, [located(), located("ef" * 16), located(SESSION)])
    assert [outcome.result for outcome in found] == [
        Result.NOT_FOUND, Result.NOT_FOUND, Result.RESTRICTED_TECHNICAL,
    ]  # fmt: skip
    assert before.since is None
    assert taint(home, []) == []


def test_a_model_that_was_replaced_is_not_marked(home):
    put(home, superseded_by="9" * 32)
    (outcome,) = taint(home, [located(SESSION)])
    assert outcome.result is Result.NOT_FOUND


def test_how_many_have_left_is_what_is_no_longer_matched(home):
    assert tainted_by(home, put(home)) == 0
    assert tainted_by(home, put(home, handle=53)) == 7
    assert tainted_by(home, put(home, since=DAY)) == 1  # marked, and the row leaves the matching next
    home.vault.remove_one(record_name(SESSION, "handle"))
    assert tainted_by(home, put(home, handle=0)) == 60


def test_a_card_names_nobody(home):
    put(home)
    taint(home, [located(SESSION)])
    data = home.vault.get(record_name(SESSION, f"card/{NUMBER}"))
    assert b"139" not in data
    assert REFS[0].tobytes() not in data


# --- using a model


@pytest.mark.parametrize(
    ("changes", "usable"),
    [
        ({}, True),
        ({"since": DAY - timedelta(days=CREDIT_DAYS)}, True),
        ({"since": DAY - timedelta(days=CREDIT_DAYS + 1)}, False),
        ({"since": DAY - timedelta(days=CREDIT_DAYS + 1), "is_credit": False}, True),
        ({"superseded_by": "9" * 32}, False),
        ({"retired": DAY}, False),
    ],
)
def test_a_model_is_used_until_its_deadline_and_not_after_it_was_replaced(home, changes, usable):
    put(home, **changes)
    if usable:
        assert model_for(context_of(home), "scorecard", NUMBER) == b"the part"
        return
    with pytest.raises(Denied) as caught:
        model_for(context_of(home), "scorecard", NUMBER)
    assert caught.value.findings.codes == ("R-MODEL-TAINTED",)


def test_a_model_from_before_there_were_cards_is_used(home):
    put(home)
    home.vault.remove_one(record_name(SESSION, f"card/{NUMBER}"))
    assert model_for(context_of(home), "scorecard", NUMBER) == b"the part"


def test_what_is_overdue_is_retired_once_and_said_so(home):
    put(home, since=DAY)
    assert retire_overdue(home, DAY + timedelta(days=CREDIT_DAYS)) == []
    late = DAY + timedelta(days=CREDIT_DAYS + 1)
    (retired,) = retire_overdue(home, late)
    assert card_of(home, NUMBER) == retired
    assert retired.retired == late
    assert retire_overdue(home, late) == []
    events = [event for event in home.audit.events() if event.type is EventType.MODEL_RETIRED]
    assert [event.reasons for event in events] == [("R-MODEL-TAINTED",)]


# --- giving it out


def test_a_released_part_comes_with_its_card_and_without_how_many_left(home):
    card = put(home, handle=57, since=DAY)
    found = release(home, card, DAY)
    assert b64decode(found.part) == b"the part"
    assert (found.card.rows, found.card.tainted_by) == (50, 0)
    assert found.card.deadline == DAY + timedelta(days=CREDIT_DAYS)
    assert [event.type for event in home.audit.events()].count(EventType.MODEL_RELEASED) == 1


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({"superseded_by": "9" * 32}, {"R-MODEL-TAINTED"}),
        ({"retired": DAY}, {"R-MODEL-TAINTED"}),
        ({"since": DAY - timedelta(days=31)}, {"R-MODEL-TAINTED"}),
        ({"supersedes": "9" * 32, "honoured": 9}, {"R-DIFFERENCING-RISK"}),
        ({"stages": ("recall", "bins")}, {"R-DIFFERENCING-RISK"}),  # nobody has counted the changes
        ({"supersedes": "9" * 32, "honoured": 9, "retired": DAY}, {"R-MODEL-TAINTED", "R-DIFFERENCING-RISK"}),
    ],
)
def test_what_may_not_leave_stays(home, changes, codes):
    card = put(home, **changes)
    with pytest.raises(Denied) as caught:
        release(home, card, DAY)
    assert set(caught.value.findings.codes) == codes
    events = list(home.audit.events())
    assert EventType.MODEL_RELEASED not in [event.type for event in events]
    assert (events[-1].type, set(events[-1].reasons)) == (EventType.ACCESS_DENIED, codes)
    assert events[-1].digests == {"model": card.digest}


def test_of_two_trainings_instead_of_one_model_only_the_first_may_leave(home):
    """The second differs from the first by one person, and by eleven from the model before."""
    put(home, rows=1000)
    for digit, rows in (("1", 990), ("2", 989)):
        put(home, rows=rows, number=digit * 32, session=digit * 32, stages=("recall", "bins"))
        context = SimpleNamespace(home=home, session=digit * 32, trained={"scorecard": digit * 32})
        module._supersede(context, SESSION, "scorecard", digit * 32)
    first, second = card_of(home, "1" * 32), card_of(home, "2" * 32)
    assert card_of(home, NUMBER).superseded_by == first.number
    assert (first.honoured, second.supersedes) == (10, "")
    assert release(home, first, DAY).part
    with pytest.raises(Denied) as caught:
        release(home, second, DAY)
    assert caught.value.findings.codes == ("R-DIFFERENCING-RISK",)


def test_what_decides_about_people_leaves_only_where_somebody_can_be_asked(home):
    card = put(home)
    activate(home, policy(msgspec.structs.replace(LENDING, human_route="")))
    with pytest.raises(Denied) as caught:
        release(home, card, DAY)
    assert caught.value.findings.codes == ("R-ADM-NO-HUMAN-PATH",)
    activate(home, policy(LENDING))
    assert release(home, card, DAY).part


def test_enough_changes_may_leave(home):
    assert release(home, put(home, supersedes="9" * 32, honoured=10), DAY).part


def put_segments(home, assignments, rows=60):
    """Segments with these sizes, as they are stored: centroids, and start rows that must not leave."""
    number = segments_number(SESSION)
    put(home, number=number, kind="kmeans", k_min=20, rows=rows)
    centroids = np.array([[0.5], [-0.5]])
    record = {
        "assignments": assignments.tobytes(), "centroids": centroids.tobytes(), "n_clusters": 2,
        "fields": ["income"], "starts": np.array([3, 4]).tobytes(), "start_rows": np.array([3, 4]).tobytes(),
    }  # fmt: skip
    home.vault.put(record_name(SESSION, "segments"), msgspec.msgpack.encode(record))
    return number, centroids


def test_a_model_with_a_centre_of_few_people_stays_and_is_retired_at_the_first_deletion(home):
    number, _ = put_segments(home, np.repeat([0, 1], [41, 19]))
    with pytest.raises(Denied) as caught:
        release(home, card_of(home, number), DAY)
    assert caught.value.findings.codes == ("R-MODEL-CONTAINS-RECORDS",)
    (outcome,) = taint(home, [located(SESSION)])
    assert outcome.result is Result.RESTRICTED_TECHNICAL
    assert card_of(home, number).state(DAY) is ModelState.RETIRED
    (event,) = [event for event in home.audit.events() if event.type is EventType.MODEL_RETIRED]
    assert event.reasons == ("R-MODEL-CONTAINS-RECORDS",)


def test_segments_leave_without_anybodys_row(home):
    number, centroids = put_segments(home, np.repeat([0, 1, -1], [30, 29, 1]))
    assert release(home, card_of(home, number), DAY).part
    part = part_of(home, card_of(home, number))
    assert msgspec.msgpack.decode(part) == [2, ["income"], centroids.tobytes()]


def test_an_unknown_model_is_named(home):
    with pytest.raises(ConfigInvalid) as caught:
        card_of(home, "9" * 32)
    assert caught.value.key == "card_unknown"


# --- the command line


def run(*arguments):
    return CliRunner().invoke(app, ["models", *arguments], catch_exceptions=False)


def test_the_command_line_lists_shows_and_releases(home, tmp_path):
    put(home, handle=57, since=DAY)
    place = ("--home", str(home.folder))
    (listed,) = msgspec.json.decode(run("list", *place, "--json").stdout)
    assert (listed["number"], listed["state"], listed["tainted_by"]) == (NUMBER, "tainted", 3)
    assert listed == msgspec.json.decode(run("show", NUMBER, *place, "--json").stdout)
    assert NUMBER in run("list", *place).stdout
    assert "2" * 64 in run("show", NUMBER, *place).stdout
    file = tmp_path / "out" / "model.json"
    assert run("release", NUMBER, *place, "--into", str(file)).exit_code == 0
    assert file.stat().st_mode & 0o077 == 0
    assert msgspec.json.decode(file.read_bytes()) == msgspec.json.decode(
        run("release", NUMBER, *place, "--json").stdout
    )
    assert len(cards(home)) == 1
