"""What the gate lets a job see of a table: whose rows, by an independent reading, and how coarse a value."""

from __future__ import annotations

import dataclasses
from collections import Counter

import msgspec
import numpy as np
import pandas as pd
import pytest
from gate_scene import admit, home_of, job_for, loaded, today
from plain_tables import last_words, plain_pandas, plain_values
from spelled import texts_of

from clients.gate.gate import Gate
from clients.sample import PARTIES, make_world, risk_fields, sample_table, write_world
from clients.sample.consents import SENSITIVE_CATEGORIES
from clients.tables import ConsentSpec, FieldSpec, TableSpec
from clients.tables import subjects as subjects_module
from privacy.catalog import Catalog, Consent
from privacy.decision import REFUSED_ACTIONS
from privacy.errors import Denied
from privacy.identifiers import IdentifierKind
from privacy.texts import catalogue

CATALOG = Catalog.load()
MINIMUM_AGE = 18


@pytest.fixture(scope="module")
def world():
    return make_world(3_000, 7)


@pytest.fixture(scope="module")
def folder(world, tmp_path_factory):
    home = tmp_path_factory.mktemp("world")
    write_world(world, home)
    return home


@pytest.fixture(scope="module")
def homes(folder, tmp_path_factory):
    made = tmp_path_factory.mktemp("homes")
    others = {party: tuple(name for name in PARTIES if name != party) for party in PARTIES}
    return {
        party: home_of(made / party, sample_table(folder, party), party, others[party]) for party in PARTIES
    }


def fields_for(party, purpose):
    """The party's columns that the purpose may use, going by the catalogue and by what people were asked."""
    asked = SENSITIVE_CATEGORIES.get(party, ()) if purpose == "credit_risk" else ()
    found = {name: CATALOG.classify(name) for name in risk_fields(party)}
    return tuple(
        name
        for name, item in found.items()
        if (treatment := item.treatment(purpose)).action not in REFUSED_ACTIONS
        and (treatment.consent is Consent.NONE or item.category in asked)
    )


def wanted(homes, party, purpose):
    """The table that the gate gives to a job of all three for a purpose, with every field that may be used."""
    others = tuple(name for name in PARTIES if name != party)
    job = job_for(party, fields_for(party, purpose), purpose, others)
    admit(homes[party], job)
    return loaded(homes[party], job, with_label=party == "bank")


def plain_gate(folder, party, purpose):
    """Which rows a job may use and why not the others, by the files alone."""
    table, reason = plain_pandas(folder, party, today())
    reason[(reason == "eligible") & (table["years"] < MINIMUM_AGE)] = "minor"
    needs = [("consent", {})]
    needs += [
        ("provision_consent", {"kind": "separate", "scope": "provide", "recipient": other})
        for other in PARTIES
        if other != party
    ]
    if purpose == "credit_risk":
        needs += [
            ("sensitive_consent", {"kind": "separate", "scope": f"sensitive:{category}"})
            for category in SENSITIVE_CATEGORIES.get(party, ())
        ]
    for name, about in needs:
        words = table["subject"].map(last_words(folder, party, purpose, **about))
        reason[(reason == "eligible") & (words == "withdrawn")] = f"{name}_withdrawn"
        reason[(reason == "eligible") & words.isna()] = f"no_{name}"
    return table, reason


@pytest.mark.parametrize("purpose", ["credit_risk", "marketing"])
@pytest.mark.parametrize("party", PARTIES)
def test_rows_equal_plain_pandas(homes, folder, party, purpose):
    found = wanted(homes, party, purpose)
    table, reason = plain_gate(folder, party, purpose)
    kept = table[reason == "eligible"]
    assert 100 < len(kept) < len(table)
    assert found.rows.tolist() == kept.index.tolist()
    assert texts_of(found.identifiers) == texts_of(found.own_identifiers) == kept["subject"].tolist()
    counted = Counter()
    for step in found.funnel[1:]:
        counted["identifier" if step.reason.startswith("identifier_") else step.reason] += step.rows
    assert +counted == Counter(reason)
    assert found.funnel[0] == ("rows_in_file", len(table))
    assert {f"tables.funnel.{step.reason}" for step in found.funnel} <= set(catalogue("en"))
    assert (found.label is not None) == (party == "bank")
    if found.label is not None:
        assert found.label.tolist() == kept["default_12m"].tolist()


@pytest.mark.parametrize("purpose", ["credit_risk", "marketing"])
@pytest.mark.parametrize("party", PARTIES)
def test_values_are_as_coarse_as_the_catalogue_says(homes, folder, party, purpose):
    found = wanted(homes, party, purpose)
    table, _ = plain_pandas(folder, party, today())
    spec = homes[party].settings.table
    raw = plain_values(spec, table.loc[found.rows])
    logs = {field.name for field in spec.fields if field.transform == "log1p"}
    k_min = 5
    seen = set()
    for name, values in zip(found.fields, found.values.T, strict=True):
        treatment = CATALOG.classify(name).treatment(purpose)
        exact = raw[name].to_numpy()
        known = ~np.isnan(exact)
        assert np.isnan(values[~known]).all()
        seen.add(treatment.minimise)
        match treatment.minimise:
            case "quantiles":
                sizes = np.unique(values[known], return_counts=True)[1]
                assert len(sizes) <= treatment.number
                assert sizes.min() >= k_min
                order = np.argsort(exact[known], kind="stable")
                assert (np.diff(values[known][order]) >= 0).all()
                # Made coarse in the field's own units, and transformed after that.
                means = pd.Series(exact[known]).groupby(values[known]).transform("mean")
                np.testing.assert_allclose(values[known], np.log1p(means) if name in logs else means)
            case "age_band":
                years = treatment.number
                assert (np.abs(values[known] - exact[known]) <= years / 2).all()
                assert len(np.unique(values[known])) < len(np.unique(exact[known]))
            case _:
                np.testing.assert_array_equal(values, np.log1p(exact) if name in logs else exact)
    assert "quantiles" in seen
    assert found.fields == fields_for(party, purpose)


def test_nobody_under_eighteen_and_nobody_without_consent_is_loaded(homes, world):
    minors = world.truth[world.truth["minor"] == 1]
    assert len(minors)
    for party in PARTIES:
        found = set(texts_of(wanted(homes, party, "marketing").identifiers))
        assert not found & set(minors[f"phone_{party}"])
        said = world.consents[party]
        refused = said[(said["purpose"] == "marketing") & (said["status"] == "withdrawn")]
        assert len(refused)
        assert not found & set(refused["phone"])


def test_a_sensitive_column_that_nobody_was_asked_about_is_refused(homes):
    """The sample's people agreed to what lending needs of the bank's balances, and were not asked for marketing."""
    job = job_for("bank", ("deposit_balance",), "marketing", ("ecommerce", "telecom"))
    admit(homes["bank"], job)
    with pytest.raises(Denied) as caught:
        loaded(homes["bank"], job)
    assert [(finding.reason.value, finding.about) for finding in caught.value.findings] == [
        ("R-SEPARATE-CONSENT-SENSITIVE", "deposit_balance")
    ]


# --- small tables


def write(folder, text, name="customers.csv"):
    (folder / name).write_text(text, "utf-8")
    return str(folder / name)


def table_of(folder, text, *fields, log=None, **options):
    """A registration; without a log of consents the basis is another one."""
    consents = None if log is None else ConsentSpec(
        path=write(folder, log, "consents.csv"),
        id_column="id",
        kind_column="kind",
        scope_column="scope",
        recipient_column="recipient",
        notice="n1",
    )  # fmt: skip
    kinds = tuple(FieldSpec(name=name, kind="transaction_counts") for name in fields)
    return TableSpec(
        **{
            "path": write(folder, text),
            "id_column": "id",
            "id_kind": IdentifierKind.OPAQUE,
            "fields": kinds,
            "consents": consents,
        }
        | options
    )


def ids_of(folder, spec, purpose="credit_risk", **changes):
    """(subjects, funnel) of a job on one column."""
    home = home_of(folder / "home", spec)
    job = job_for("bank", tuple(field.name for field in spec.fields), purpose)
    admit(home, job, **changes)
    found = loaded(home, job)
    return texts_of(found.identifiers), dict(found.funnel)


GENERAL, PROVIDED = "general,,", "separate,provide,shop"


def rows_of(*said):
    """A log: (subject, what it is about, status) or the same with another purpose in front."""
    lines = ["id,purpose,kind,scope,recipient,status"]
    lines += [f"{who},credit_risk,{about},{status}" for who, about, status in said]
    return "\n".join(lines) + "\n"


X = "id,x\n" + "".join(f"{number},{number}\n" for number in range(1, 7))


def test_the_last_word_on_each_need_counts(tmp_path):
    log = rows_of(
        *((who, about, "granted") for who in (1, 2, 3, 4, "5.0") for about in (GENERAL, PROVIDED)),
        (2, GENERAL, "withdrawn"),
        (3, GENERAL, "withdrawn"),
        (3, GENERAL, " GRANTED"),
        (4, PROVIDED, "withdrawn"),
        (6, PROVIDED, "granted"),
        ("", GENERAL, "granted"),
        (1, "separate,provide,telecom", "withdrawn"),  # no party of this job
    )
    found, funnel = ids_of(tmp_path, table_of(tmp_path, X, "x", log=log))
    assert found == ["1", "3", "5"]
    assert {step: rows for step, rows in funnel.items() if rows} == {
        "rows_in_file": 6,
        "consent_withdrawn": 1,
        "no_consent": 1,
        "provision_consent_withdrawn": 1,
        "eligible": 3,
    }


def test_consents_equal_a_replay_of_the_log(tmp_path):
    rng = np.random.default_rng(3)
    people, words = 200, 1_500
    subjects = rng.integers(0, people, words)
    about = rng.choice(["general", "provide", "other"], words)
    yes = rng.random(words) < 0.7
    text = {"general": GENERAL, "provide": PROVIDED, "other": "separate,provide,telecom"}
    log = rows_of(
        *(
            (who, text[what], "granted" if granted else "withdrawn")
            for who, what, granted in zip(subjects, about, yes, strict=True)
        )
    )
    state = {(who, what): granted for who, what, granted in zip(subjects, about, yes, strict=True)}
    expected = [
        str(who) for who in range(people) if state.get((who, "general")) and state.get((who, "provide"))
    ]
    assert 50 < len(expected) < 150
    table = "id,x\n" + "".join(f"{who},{who % 9}\n" for who in range(people))
    assert ids_of(tmp_path, table_of(tmp_path, table, "x", log=log))[0] == expected


def test_where_the_basis_is_no_consent_nobody_is_asked(tmp_path):
    found, funnel = ids_of(tmp_path, table_of(tmp_path, X, "x"))
    assert found == ["1", "2", "3", "4", "5", "6"]
    assert funnel["eligible"] == 6
    assert not any("consent" in step for step in funnel)


@pytest.mark.parametrize(
    ("registered", "purpose", "kept"),
    [
        (14, 18, ["4", "5", "6"]),
        (21, 18, ["5", "6"]),
        (16, 18, ["4", "5", "6"]),
        (14, 14, ["2", "3", "4", "5", "6"]),
        (15, 14, ["3", "4", "5", "6"]),
    ],
)
def test_the_higher_of_the_ages_of_purpose_and_table_counts(tmp_path, registered, purpose, kept):
    ages = dict(enumerate([13, 14, 16, 18, 21, 60], start=1))
    text = "id,x,age\n" + "".join(f"{who},{who},{age}\n" for who, age in ages.items())
    spec = table_of(tmp_path, text, "x", age_column="age", minimum_age=registered)
    found, funnel = ids_of(tmp_path, spec, minimum_age=purpose)
    assert found == kept
    assert funnel["under_age"] == 1


def test_rows_whose_time_is_over_or_unknown_are_left_out(tmp_path):
    days = [
        today(),
        today() + pd.Timedelta(days=400),
        today() - pd.Timedelta(days=1),
        "",
        "soon",
        "2999-01-01",
    ]
    text = "id,x,keep\n" + "".join(f"{who},{who},{day}\n" for who, day in enumerate(days, start=1))
    spec = table_of(tmp_path, text, "x", retain_until_column="keep")
    found, funnel = ids_of(tmp_path, spec)
    assert found == ["1", "2", "6"]
    assert funnel["retention_expired"] == 3


def test_nobody_left_names_every_reason(tmp_path):
    log = rows_of((1, GENERAL, "granted"), (2, GENERAL, "withdrawn"))
    with pytest.raises(Denied) as caught:
        ids_of(tmp_path, table_of(tmp_path, X, "x", log=log))
    assert caught.value.findings.codes == (
        "R-CONSENT-WITHDRAWN",
        "R-CONSENT-MISSING",
        "R-SEPARATE-CONSENT-PROVIDE",
    )
    assert not [finding.about for finding in caught.value.findings if finding.about]


@pytest.fixture
def columns_read(monkeypatch):
    """The columns that a load has the table read in full."""
    seen = set()

    def spy(path, wanted, limit=None, stream=None):
        streamed = set()
        watched = dataclasses.replace(stream, each=lambda batch: (streamed.update(batch), stream.each(batch)))
        reading = real(path, wanted, limit, watched)
        seen.update(streamed, reading.frame.columns)
        return reading

    real = subjects_module.read_columns
    monkeypatch.setattr(subjects_module, "read_columns", spy)
    return seen


@pytest.mark.parametrize("with_label", [False, True])
def test_only_the_needed_columns_are_read(tmp_path, columns_read, with_label):
    text = "id,x,other,age,keep,bad\n" + "".join(
        f"{who},{who},9,30,2999-01-01,{who % 2}\n" for who in range(9)
    )
    spec = table_of(tmp_path, text, "x", age_column="age", retain_until_column="keep", label_column="bad")
    home, job = home_of(tmp_path / "home", spec), job_for("bank", ("x",))
    admit(home, job)
    loaded(home, job, with_label=with_label)
    assert columns_read == {"id", "x", "age", "keep"} | ({"bad"} if with_label else set())


def test_a_table_that_stays_exact_stays_the_same(tmp_path):
    """A treatment that changes nothing gives the job the file's own numbers."""
    spec = table_of(tmp_path, X, "x")
    spec = msgspec.structs.replace(spec, fields=(FieldSpec(name="x", kind="city_tier"),))
    home, job = home_of(tmp_path / "home", spec), job_for("bank", ("x",))
    admit(home, job)
    assert loaded(home, job).values.ravel().tolist() == [1, 2, 3, 4, 5, 6]


def test_few_rows_of_quantiles_become_their_mean(tmp_path):
    home = home_of(tmp_path / "home", table_of(tmp_path, "id,x\n1,1\n2,2\n3,9\n", "x"))
    job = job_for("bank", ("x",))
    admit(home, job)
    assert loaded(home, job).values.ravel().tolist() == [4, 4, 4]


def test_a_look_takes_no_snapshot_and_a_job_takes_one(tmp_path):
    home = home_of(tmp_path / "home", table_of(tmp_path, X, "x"))
    job = job_for("bank", ("x",))
    admit(home, job)
    loaded(home, job)
    assert not home.vault.names("job/")
    gate = Gate(home, job, "s1")
    assert gate.attestation().snapshot == ""
    gate.load(("x",), with_label=False)
    assert len(gate.attestation().snapshot) == 64
    assert home.vault.names("job/") == ["job/s1/snapshot/0"]
