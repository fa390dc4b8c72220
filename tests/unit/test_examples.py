"""The examples of public data: their policies admit their jobs, with exact values, and nothing else would."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from gate_scene import today
from in_process import InProcessFederation

from clients.gate.gate import decide_for, preview
from clients.gate.policy import active_policy, catalog_of
from clients.gate.rehearsal import activate_for_rehearsal
from clients.tables import TableSpec
from federation.jobfile import read_job_file
from privacy.catalog import Action
from privacy.reasons import Finding, Reason

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "default_credit" / "job.toml"
FOUND = read_job_file(EXAMPLE)
PARTIES = [entry.name for entry in FOUND.party]
OTHERS = ("default_credit/scorecard.toml", "uci_credit_card/job.toml")


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Homes of both parties; the data itself is not needed."""
    tables = {entry.name: msgspec.convert(entry.table, TableSpec) for entry in FOUND.party}
    return InProcessFederation(tmp_path_factory.mktemp("example"), tables)


def activate(scene, party, *, with_file):
    home, entry = scene.nodes[party], next(entry for entry in FOUND.party if entry.name == party)
    fingerprint = scene.coordinator.identity.public.fingerprint
    file = Path(entry.policy) if with_file else None
    activate_for_rehearsal(home, EXAMPLE, fingerprint, file)
    return home


@pytest.mark.parametrize("party", PARTIES)
def test_the_examples_job_is_admitted_with_exact_values(scene, party):
    home = activate(scene, party, with_file=True)
    assert preview(home, FOUND.job) == ()
    policy = active_policy(home)
    assert not policy.is_draft
    _, terms = decide_for(home, FOUND.job, policy, catalog_of(policy), today())
    assert terms is not None
    assert set(terms.treatments) == set(FOUND.job.plan_of(party).risk_fields)
    assert {(item.action, item.minimise) for item in terms.treatments.values()} == {(Action.USE, "none")}
    assert terms.needs == ()
    assert terms.field_needs == {}


def test_without_its_policy_gender_stays_out(scene):
    home = activate(scene, "partner", with_file=False)
    assert list(preview(home, FOUND.job)) == [Finding(Reason.FIELD_EXCEEDS_MINIMUM, "x1")]


@pytest.mark.parametrize("party", PARTIES)
def test_every_exception_says_why(scene, party):
    policy = active_policy(activate(scene, party, with_file=True))
    table = scene.tables[party]
    assert [(item.field, item.kind) for item in policy.overrides] == [
        (field.name, field.kind) for field in table.fields
    ]
    assert {item.reason for item in policy.overrides} == {
        "public research data, to reproduce published figures"
    }


@pytest.mark.parametrize("name", OTHERS)
def test_the_other_jobs_are_admitted_with_exact_values_too(tmp_path, name):
    file = EXAMPLE.parents[1] / name
    found = read_job_file(file)
    tables = {entry.name: msgspec.convert(entry.table, TableSpec) for entry in found.party}
    scene = InProcessFederation(tmp_path, tables)
    for entry in found.party:
        home = scene.nodes[entry.name]
        activate_for_rehearsal(home, file, scene.coordinator.identity.public.fingerprint, Path(entry.policy))
        assert preview(home, found.job) == ()
        policy = active_policy(home)
        _, terms = decide_for(home, found.job, policy, catalog_of(policy), today())
        assert terms is not None
        assert {(item.action, item.minimise) for item in terms.treatments.values()} == {(Action.USE, "none")}
