"""A purpose may leave out single values: the credit of an owner who has not agreed, in the row of a firm that has."""

from __future__ import annotations

import numpy as np
import pytest
from gate_scene import admit, home_of, job_for
from spelled import texts_of

from clients.consents.node import changes_of
from clients.consents.tables import Source
from clients.gate.gate import Gate
from clients.tables import ConsentSpec, FieldSpec, TableSpec
from privacy.audit import EventType
from privacy.consent import ConsentKind
from privacy.identifiers import IdentifierKind
from privacy.policy import Missing

FIRMS = 8
GENERAL, PROVIDED = "general,,", "separate,provide,shop"
OWNER = "written,sensitive:credit_reference,"
FIELDS = ("owner_credit_score", "firm_patents")


def home_with(folder, owners):
    """A bank whose firms 1 to 8 have all agreed, and of whose owners these have."""
    table = "id,owner_credit_score,firm_patents\n"
    table += "".join(f"{firm},{600 + firm},{firm % 3}\n" for firm in range(1, FIRMS + 1))
    said = [(firm, about) for firm in range(1, FIRMS + 1) for about in (GENERAL, PROVIDED)]
    said += [(firm, OWNER) for firm in owners]
    log = "id,purpose,kind,scope,recipient,status\n"
    log += "".join(f"{firm},enterprise_credit,{about},granted\n" for firm, about in said)
    for name, text in (("firms.csv", table), ("consents.csv", log)):
        (folder / name).write_text(text, "utf-8")
    spec = TableSpec(
        path=str(folder / "firms.csv"),
        id_column="id",
        id_kind=IdentifierKind.OPAQUE,
        fields=tuple(FieldSpec(name=name) for name in FIELDS),
        consents=ConsentSpec(
            path=str(folder / "consents.csv"), id_column="id", kind_column="kind", scope_column="scope",
            recipient_column="recipient", notice="n1",
        ),
    )  # fmt: skip
    return home_of(folder / "home", spec)


def admitted(home, how):
    """A job on both columns; buckets of one row each, so that values can be told apart."""
    job = job_for("bank", FIELDS, "enterprise_credit")
    policy = admit(home, job, when_separate_consent_is_missing=how)
    assert policy.purposes[0].when_separate_consent_is_missing is how
    return job


def gate_of(home, job):
    gate = Gate(home, job, "s1")
    table = gate.load(FIELDS, with_label=False)
    return gate, table


def test_only_the_owners_who_agreed_have_a_score(tmp_path):
    home = home_with(tmp_path, owners=(1, 2, 3, 4, 6))
    _, table = gate_of(home, admitted(home, Missing.BLANK_CELLS))
    assert texts_of(table.identifiers) == [str(firm) for firm in range(1, FIRMS + 1)]
    score = table.values[:, table.fields.index("owner_credit_score")]
    assert np.flatnonzero(np.isnan(score)).tolist() == [4, 6, 7]
    assert score[0] == pytest.approx(np.mean([601, 602, 603, 604, 606])), (
        "one bucket, without the three others"
    )
    assert not np.isnan(table.values[:, table.fields.index("firm_patents")]).any()
    event = next(item for item in home.audit.events() if item.type is EventType.DATASET_ADMITTED)
    assert event.reasons == ("R-WRITTEN-CONSENT-MISSING",), "the log says that something was left out"


def test_without_any_owner_the_column_is_gone_and_the_job_goes_on(tmp_path):
    home = home_with(tmp_path, owners=())
    _, table = gate_of(home, admitted(home, Missing.BLANK_CELLS))
    assert table.fields == ("firm_patents",)
    assert len(table) == FIRMS


def test_with_every_owner_nothing_is_missing(tmp_path):
    home = home_with(tmp_path, owners=range(1, FIRMS + 1))
    _, table = gate_of(home, admitted(home, Missing.BLANK_CELLS))
    assert table.fields == FIELDS
    assert not np.isnan(table.values).any()


def test_rows_leave_where_the_purpose_does_not_say_otherwise(tmp_path):
    home = home_with(tmp_path, owners=(1, 2, 3))
    _, table = gate_of(home, admitted(home, Missing.EXCLUDE_ROWS))
    assert texts_of(table.identifiers) == ["1", "2", "3"]


def test_an_owner_who_withdraws_takes_the_row_along_and_one_who_never_agreed_does_not(tmp_path):
    """A value that was seen cannot be taken back; one that never was is not asked about again."""
    home = home_with(tmp_path, owners=(1, 2, 3, 4, 6))
    gate, _ = gate_of(home, admitted(home, Missing.BLANK_CELLS))
    changes = changes_of(home, Source.API)
    for firm, place in (("2", 1), ("4", 2)):
        changes.withdraw(
            changes.identifiers([firm]),
            "enterprise_credit",
            kind=ConsentKind.WRITTEN,
            scope="sensitive:credit_reference",
        )
        gate._ask_everybody()
        assert gate.look()
        assert gate.take_lost().tolist() == [place]
        assert gate.shrink().tolist() == [place]
