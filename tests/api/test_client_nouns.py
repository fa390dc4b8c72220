"""What a program reads through the client is what the API answers, for every noun."""

from __future__ import annotations

import datetime

import msgspec
import pytest
from client_scene import opened
from console_scene import MODEL, Scene

from federation.access.tokens import TokenRecord
from federation.client import Answered, connect, job_records, records
from federation.client.connecting import Console
from privacy.audit import Event
from privacy.errors import AccessDenied, ConfigInvalid, NotAuthenticated, NotFound
from server.api import (
    audit,
    datasets,
    federation,
    job_events,
    me,
    models,
    parties,
    personas,
    purposes,
    requests,
)
from server.api import (
    job_records as api_jobs,
)


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return Scene(tmp_path_factory.mktemp("client"))


@pytest.fixture(scope="module")
def auditor(scene):
    return opened(scene, "audi")


@pytest.fixture(scope="module")
def modeller(scene):
    return opened(scene, "mo")


PAIRS = [
    (records.Me, me.Me),
    (records.Federation, federation.Federation),
    (records.Party, parties.PartyRecord),
    (records.Dataset, datasets.DatasetRecord),
    (records.Purpose, purposes.PurposeRecord),
    (records.Model, models.ModelRecord),
    (records.Persona, personas.PersonaRecord),
    (records.FieldProfile, personas.FieldProfile),
    (records.Highlight, personas.Highlight),
    (records.RequestCounts, requests.RequestsRecord),
    (records.AuditEvent, Event),
    (records.AuditEntry, audit.AuditEntry),
    (records.Token, TokenRecord),
    (job_records.JobSummary, api_jobs.JobSummary),
    (job_records.JobRecord, api_jobs.JobRecord),
    (job_records.Word, api_jobs.WordRecord),
    (job_records.JobEvent, job_events.EventRecord),
    (job_records.Preview, api_jobs.Preview),
    (job_records.PartyPreview, api_jobs.PartyPreview),
    (job_records.StagePreview, api_jobs.StageRecord),
    (job_records.Leaves, api_jobs.LeavesRecord),
]


@pytest.mark.parametrize(("own", "api"), PAIRS, ids=lambda kind: kind.__name__)
def test_a_record_has_the_fields_that_the_api_answers(own, api):
    given = api.__struct_fields__ if issubclass(api, msgspec.Struct) else api.__dataclass_fields__
    assert set(own.__struct_fields__) == set(given)


def test_who_one_is(modeller, scene):
    me = modeller.me()
    assert (me.name, me.roles, me.means) == ("mo", ("modeller",), "token")
    assert "jobs:propose" in me.permissions
    found = modeller.federation()
    assert (found.parties, found.jobs["done"]) == (3, 1)
    assert found.url == scene.home.roster.url


def test_parties_and_what_they_publish(auditor):
    assert [(party.name, party.node) for party in auditor.parties] == [
        ("bank", "online"),
        ("shop", "online"),
        ("telecom", "offline"),
    ]
    assert auditor.parties.get("shop").fingerprint == [*auditor.parties][1].fingerprint
    assert [(one.party, one.name, one.fields) for one in auditor.datasets] == [
        ("bank", "customers", ("income", "debt", "late")),
        ("shop", "buyers", ("orders", "spend")),
    ]
    assert [one.name for one in auditor.datasets.list(party="shop")] == ["buyers"]
    income = auditor.datasets.get("bank", "customers").columns[0]
    assert (income.sensitivity, income.published["zh"]) == ("conservative", "收入")
    (purpose,) = auditor.purposes
    assert (purpose.basis, purpose.recipients) == ("consent", ("shop",))
    assert auditor.purposes.get("bank", "credit_risk") == purpose
    (model,) = auditor.models.get(MODEL)
    assert (model, model.trained) == (next(iter(auditor.models)), datetime.date(2026, 11, 20))
    assert auditor.requests.get("bank").counts == {"received": 3, "completed": 12}
    with pytest.raises(NotFound, match="shop"):
        auditor.requests.get("shop")


def test_personas_are_as_they_were_released(auditor, scene):
    (persona,) = auditor.personas
    assert persona == auditor.personas.get(scene.jobs["done"])
    assert persona.sizes == (600, 300, None)
    assert {item.field for item in persona.highlights[0]} == {"income", "orders"}
    with pytest.raises(NotFound):
        auditor.personas.get(scene.jobs["failed"])


def test_the_log_is_read_page_by_page(auditor, scene, monkeypatch):
    monkeypatch.setattr("federation.client.calls.PAGE_ITEMS", 7)
    events = [*auditor.audit.list(type="job")]
    assert len(events) > 14
    assert [event.seq for event in events] == sorted({event.seq for event in events}, reverse=True)
    assert {event.type.partition(".")[0] for event in events} == {"job"}
    number = scene.jobs["stopped"]
    assert {event.type for event in auditor.audit.list(about=number)} >= {"job.proposed", "job.stopped"}
    entry = auditor.audit.get(events[-1].seq)
    assert entry.event == events[-1]
    assert f'"seq":{events[-1].seq}' in entry.line


def test_what_a_role_does_not_give_is_refused_with_a_remedy(modeller):
    with pytest.raises(AccessDenied) as caught:
        next(iter(modeller.audit))
    assert caught.value.problem.status == 403
    assert caught.value.remedy
    with pytest.raises(NotFound) as caught:
        modeller.models.get("0" * 32)
    assert isinstance(caught.value, Answered)


def test_tokens_are_ones_own_and_can_be_ended(scene):
    console = opened(scene, "olaf")
    (token,) = console.tokens
    assert console.tokens.get(token.id) == token
    assert set(token.roles) == {"auditor", "officer"}
    with pytest.raises(NotFound):
        console.tokens.get("0" * 32)
    console.tokens.revoke(token.id)
    with pytest.raises(NotAuthenticated):
        console.me()


def test_without_an_address_what_the_environment_has(monkeypatch, tmp_path):
    monkeypatch.setenv("SILHOUETTE_CONFIG", str(tmp_path))
    with pytest.raises(ConfigInvalid):
        connect()
    monkeypatch.setenv("SILHOUETTE_URL", "https://coordinator.test:8441")
    monkeypatch.setenv("SILHOUETTE_TOKEN", "sht_secret")
    with connect() as console:
        assert isinstance(console, Console)
        assert repr(console) == "Console('https://coordinator.test:8441/')"
        assert "sht_secret" not in repr(console.calls)
