"""Scenarios 12, 13, 35: columns that no job may see, whatever they are called."""

from pathlib import Path

import numpy as np
import pytest
from gate_scene import today
from scenario_world import refused, segments_job, with_fields

from clients.gate.policy import activate
from clients.sample.dirt import resident_ids
from clients.tables import FieldSpec
from privacy.audit import EventType
from privacy.catalog import Override
from privacy.errors import ConfigInvalid

CODES = 140
"""People enough for the spread of card verification numbers to show."""


def cached(scene, party):
    """What a load leaves in a vault, in a home, or beside the table."""
    home = scene.home(party)
    beside = sorted(path.name for path in Path(home.settings.table.path).parent.iterdir())
    kept = [name for name in home.vault.names() if name.startswith(("job/", "unfinished/", "results/"))]
    return kept, home.results.exists(), home.consents.version, beside


NOTHING = ([], False, 0, ["consents.csv", "customers.csv"])


# --- 12


@pytest.mark.scenario(12)
def test_a_column_that_nobody_has_classified(world):
    """Unclassified column: `col_17` is denied because nobody knows what it is."""
    scene = world()
    scene.tables["bank"]["col_17"] = np.arange(len(scene.phones))
    scene.register("bank", FieldSpec(name="col_17"))
    scene.agree()
    scene.build()
    job = with_fields(segments_job(), "bank", "monthly_income", "col_17")
    scene.admit(job)
    refused(scene, scene.run(job), "bank", "R-FIELD-UNCLASSIFIED")
    assert cached(scene, "bank") == NOTHING


def numbers_of(scene, endings):
    """Valid resident identity numbers of people who cannot exist, one per person, with some last characters."""
    found = []
    for number in resident_ids([today().replace(year=1990, day=1)] * 20_000, [True] * 20_000):
        if number[-1] in endings:
            found.append(number)
    return found[: len(scene.phones)]


@pytest.mark.scenario(12)
@pytest.mark.parametrize("endings", ["0123456789", "0123456789X"], ids=["digits", "with X"])
def test_a_renamed_column_is_known_by_its_values(world, endings):
    """Renamed column: declared as an innocent feature, but its values are identity numbers."""
    scene = world()
    scene.tables["bank"]["col_17"] = hidden = numbers_of(scene, endings)
    assert len(hidden) == len(scene.phones)
    scene.register("bank", FieldSpec(name="col_17", kind="model_feature"))
    scene.agree()
    scene.build()
    job = with_fields(segments_job(), "bank", "monthly_income", "col_17")
    scene.admit(job)
    outcome = scene.run(job)
    refused(scene, outcome, "bank", "R-FIELD-PROHIBITED")
    assert [text for text in outcome.texts.values() for number in hidden if number in text] == []
    assert scene.events("bank", EventType.DATASET_ADMITTED) == []


@pytest.mark.scenario(12)
@pytest.mark.parametrize("declared", ["model_feature", "income"])
def test_phones_and_cards_under_another_name(world, declared):
    """Renamed column: the same for telephone and card numbers."""
    scene = world()
    scene.tables["bank"]["extra"] = [13_900_000_000 + number for number in range(len(scene.phones))]
    scene.register("bank", FieldSpec(name="extra", kind=declared))
    scene.agree()
    scene.build()
    job = with_fields(segments_job(), "bank", "monthly_income", "extra")
    scene.admit(job)
    refused(scene, scene.run(job), "bank", "R-FIELD-PROHIBITED")


# --- 13


@pytest.mark.scenario(13)
@pytest.mark.parametrize("column", ["cvn2", "CVV", "卡验证码", "password", "sms_code", "fingerprint"])
def test_a_file_with_credentials_is_not_loaded(world, column):
    """C3 present: a column that no job names ends the load of the whole file; nothing is kept."""
    scene = world()
    scene.tables["bank"][column] = "n/a"
    scene.agree()
    scene.build()
    job = segments_job()
    scene.admit(job)
    event = refused(scene, scene.run(job), "bank", "R-FIELD-PROHIBITED")
    assert event.numbers == {}
    assert scene.events("bank", EventType.DATASET_ADMITTED) == []
    assert cached(scene, "bank") == NOTHING


@pytest.mark.scenario(13)
@pytest.mark.parametrize("secret", ["codes", "tracks"])
def test_credentials_are_known_by_their_values(world, secret):
    """C3 present: card verification numbers and track data under names that tell nothing."""
    scene = world(people=CODES)
    rng = np.random.default_rng(13)
    codes = [f"{number:03d}" for number in rng.permutation(1000)[:CODES]]
    tracks = [f";9999990012345674=3012101{code}" if code == codes[0] else "" for code in codes]
    scene.tables["bank"]["c9"] = codes if secret == "codes" else tracks
    scene.agree()
    scene.build()
    job = segments_job()
    scene.admit(job)
    outcome = scene.run(job)
    refused(scene, outcome, "bank", "R-FIELD-PROHIBITED")
    assert cached(scene, "bank") == NOTHING
    told = [*scene.logs, *outcome.texts.values()]
    assert not any(";9999990012345674" in text for text in told)


@pytest.mark.scenario(13)
def test_no_policy_admits_credentials(world):
    """C3 present: neither an override nor a declared class lets them in."""
    scene = world()
    scene.tables["bank"]["cvn2"] = 1
    scene.register("bank", FieldSpec(name="cvn2", kind="model_feature"))
    scene.agree()
    scene.build()
    job = with_fields(segments_job(), "bank", "monthly_income", "cvn2")
    scene.admit(job)
    refused(scene, scene.run(job), "bank", "R-FIELD-PROHIBITED")
    allowed = Override(field="cvn2", kind="model_feature", action="use", reason="We would like to have it.")
    with pytest.raises(ConfigInvalid) as caught:
        activate_with(scene, job, allowed)
    assert caught.value.key == "catalog_override_secret"


def activate_with(scene, job, override):
    import msgspec

    policy = msgspec.structs.replace(scene.policy("bank", job), overrides=(override,))
    activate(scene.home("bank"), policy)


# --- 35


@pytest.mark.scenario(35)
@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("consent_marketing", ""),
        ("opt_out", ""),
        ("同意状态", ""),
        ("agreed_2026", "model_feature"),
        ("f3", "consent_flag"),
    ],
)
def test_consent_is_no_feature(world, column, kind):
    """Consent flag as a feature: whether somebody agreed decides nothing else (PIPL 16)."""
    scene = world()
    scene.tables["bank"][column] = np.arange(len(scene.phones)) % 2
    scene.register("bank", FieldSpec(name=column, kind=kind))
    scene.agree()
    scene.build()
    job = with_fields(segments_job(), "bank", "monthly_income", column)
    scene.admit(job)
    refused(scene, scene.run(job), "bank", "R-FIELD-PROHIBITED")
    assert cached(scene, "bank") == NOTHING
