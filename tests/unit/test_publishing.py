"""What a node tells the catalogue of itself: as things are, rounded, numbered upward, sent when it has changed."""

from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest
from desk_scene import CANARY, JOB, Away, DeskScene
from gate_scene import activate, policy_for

from clients.audiences import lists
from clients.finished import record_name
from clients.forgetting.cards import CARD, ModelCard
from clients.gate.policy import POLICY_RECORD, active_policy
from clients.gate.retention import AUDIENCES
from clients.publishing import sending
from clients.publishing.listing import Listing
from clients.publishing.sending import Publisher
from clients.rights.intake import Intake, Request
from clients.tables import FieldSpec
from clients.tables.specs import PublishedTitle
from federation.pace import today
from federation.publications import Noun
from privacy.catalog import Sensitivity
from privacy.errors import PeerDropped
from privacy.rights import CaseState, RequestKind

SESSION = "5e" * 16
CARD_OF_MODEL = ModelCard(
    number="cd" * 16,
    kind="boosting",
    session=SESSION,
    job="lending",
    purpose="credit_risk",
    parties=("bank", "shop"),
    stages=("match", "risk"),
    k_min=5,
    attestation="a" * 64,
    snapshot="b" * 64,
    rows=23,
    trained=date(2026, 3, 2),
    digest="c" * 64,
    is_credit=True,
)


@pytest.fixture
def scene(tmp_path):
    return DeskScene.create(tmp_path)


@pytest.fixture
def bank(scene):
    return scene.homes["bank"]


def published(scene, publisher, party="bank"):
    return publisher.publish(scene.client(party), scene.coordinator.roster.coordinator)


def lists_of(scene, party="bank"):
    return {noun: found.items for (name, noun), found in scene.desk.lists.items() if name == party}


def settle_table(home, **changes):
    table = msgspec.structs.replace(home.settings.table, **changes)
    home.write_settings(msgspec.structs.replace(home.settings, table=table))
    del home.settings


def test_everything_is_published_once(scene, bank):
    publisher = Publisher(bank)
    assert published(scene, publisher) == list(Noun)
    assert published(scene, publisher) == []
    found = lists_of(scene)
    (table,) = found[Noun.DATASETS]
    assert (table.name, table.has_label, table.has_consents) == ("bank", True, False)
    assert [(column.name, column.kind, column.sensitivity) for column in table.columns] == [
        ("income", "income", Sensitivity.CONSERVATIVE)
    ]
    (purpose,) = found[Noun.PURPOSES]
    assert (purpose.name, purpose.recipients) == ("credit_risk", ("shop", "coordinator"))
    assert scene.desk.lists["bank", Noun.PURPOSES].policy == active_policy(bank).digest
    assert (found[Noun.MODELS], found[Noun.AUDIENCES], found[Noun.REQUESTS]) == ((), (), {})


def test_a_purpose_hides_what_nobody_may_use(bank):
    policy = policy_for(bank, JOB)
    fields = ("income", "password", "zzz")
    purposes = tuple(msgspec.structs.replace(one, fields=fields) for one in policy.purposes)
    settle_table(bank, fields=(*bank.settings.table.fields, FieldSpec(name="zzz", kind="credential")))
    activate(bank, msgspec.structs.replace(policy, purposes=purposes), is_rehearsal=True)
    (purpose,) = Listing(bank).purposes()
    assert purpose.columns == ("income",)


def test_a_schema_names_classes_and_hides_what_nobody_may_use(scene, bank):
    title = PublishedTitle(zh="月收入", en="Monthly income")
    fields = (
        FieldSpec(name="income", published=title),
        FieldSpec(name="zzz_unheard_of"),
        FieldSpec(name="password"),
    )
    settle_table(bank, fields=fields, categorical_fields=("zzz_unheard_of",))
    published(scene, Publisher(bank))
    (table,) = lists_of(scene)[Noun.DATASETS]
    income, other = table.columns
    assert (income.published.zh, income.is_categorical) == ("月收入", False)
    assert (other.kind, other.sensitivity, other.is_categorical) == ("", None, True)


def test_without_a_policy_there_are_no_purposes(scene, bank):
    bank.vault.remove(POLICY_RECORD)
    published(scene, Publisher(bank))
    assert lists_of(scene)[Noun.PURPOSES] == ()
    assert len(lists_of(scene)[Noun.DATASETS]) == 1


def test_what_changes_is_published_with_a_higher_number(scene, bank):
    publisher = Publisher(bank)
    published(scene, publisher)
    before = scene.desk.lists["bank", Noun.MODELS].number
    bank.vault.put(record_name(SESSION, CARD + CARD_OF_MODEL.number), msgspec.json.encode(CARD_OF_MODEL))
    assert published(scene, publisher) == [Noun.MODELS]
    (model,) = lists_of(scene)[Noun.MODELS]
    assert (model.rows, model.k_min, model.state) == (20, 5, "active")
    assert scene.desk.lists["bank", Noun.MODELS].number > before


def test_audiences_are_told_by_rounded_size(scene, bank):
    audience = lists.Audience(
        name="spring",
        purpose="marketing",
        policy="a" * 64,
        results="r",
        segment=1,
        built=datetime(2026, 3, 2, tzinfo=UTC),
        expires=today() + timedelta(days=3),
    )
    folder = lists.folder_of(bank, "spring")
    folder.mkdir(parents=True)
    (folder / lists.DESCRIPTION).write_bytes(msgspec.json.encode(audience))
    (folder / lists.MEMBERS).write_bytes(lists.as_csv([CANARY] + [f"1391111{n:04d}" for n in range(12)]))
    bank.vault.put(AUDIENCES + "spring", b"", days=3)
    publisher = Publisher(bank)
    published(scene, publisher)
    (found,) = lists_of(scene)[Noun.AUDIENCES]
    assert (found.name, found.people, found.k_min) == ("spring", 10, 5)
    (folder / lists.MEMBERS).write_bytes(lists.as_csv([f"1391111{n:04d}" for n in range(11)]))
    assert published(scene, publisher) == [], "the same within a multiple of k_min"
    (folder / lists.MEMBERS).write_bytes(lists.as_csv([f"1391111{n:04d}" for n in range(9)]))
    assert published(scene, publisher) == [Noun.AUDIENCES]
    (folder / lists.DESCRIPTION).write_bytes(b"{")
    published(scene, publisher)
    assert lists_of(scene)[Noun.AUDIENCES] == ()


def test_requests_are_counted_by_state(scene, bank):
    Intake(bank).file(Request(kind=RequestKind.DELETE, verified_by="login"), CANARY)
    published(scene, Publisher(bank))
    counts = lists_of(scene)[Noun.REQUESTS]
    assert sum(counts.values()) == 1
    assert set(counts) <= set(CaseState)


def test_a_node_that_starts_again_hands_over_the_same_bytes(scene, bank):
    published(scene, Publisher(bank))
    first = [call for call in scene.desk.calls if call[1] == "bank"]
    scene.desk.lists.clear()  # the coordinator has lost its database
    assert published(scene, Publisher(bank)) == list(Noun)
    assert [call for call in scene.desk.calls if call[1] == "bank"][len(first) :] == first


def test_unchanged_lists_are_handed_over_again_at_times(scene, bank, monkeypatch):
    publisher = Publisher(bank)
    published(scene, publisher)
    monkeypatch.setattr(sending, "AGAIN_SECONDS", 0.0)
    assert published(scene, publisher) == list(Noun)


def test_a_coordinator_that_is_away_gets_them_later(scene, bank):
    publisher = Publisher(bank)
    with pytest.raises(PeerDropped):
        publisher.publish(Away(), scene.coordinator.roster.coordinator)
    assert published(scene, publisher) == list(Noun)


def test_another_coordinator_gets_lists_of_its_own(scene, bank):
    publisher = Publisher(bank)
    published(scene, publisher)
    number = scene.desk.lists["bank", Noun.DATASETS].number
    assert publisher._current(Noun.DATASETS, "other keys").number > number
