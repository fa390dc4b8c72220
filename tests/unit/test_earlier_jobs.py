"""What a node has kept of an earlier job, and what is missing, is named before anything is trained again."""

import msgspec
import numpy as np
import pytest
from gate_scene import home_of, job_for

from clients.finished import record_name
from clients.forgetting.earlier import EarlierJob, EarlierSegments
from clients.tables import FieldSpec, TableSpec
from federation.jobs import ForgetPlan, PartyPlan, PartyRole, SegmentsPlan, encode_job
from privacy.errors import ConfigInvalid
from privacy.identifiers import IdentifierKind

SESSION = "ab" * 16
PLACES = np.array([4, 1, 9])


@pytest.fixture
def home(tmp_path):
    file = tmp_path / "bank.csv"
    file.write_text("phone,income\n13900000000,1\n")
    spec = TableSpec(
        path=str(file), id_column="phone", id_kind=IdentifierKind.PHONE, fields=(FieldSpec(name="income"),)
    )
    return home_of(tmp_path / "home", spec)


def job(**changes):
    return job_for("bank", ("income",), segments=SegmentsPlan(), **changes)


def keep(home, name, data):
    home.vault.put(record_name(SESSION, name), data)


@pytest.fixture
def kept(home):
    refs = np.arange(48, dtype=np.uint8)
    keep(home, "job", encode_job(job()))
    keep(home, "handle", msgspec.msgpack.encode({"rows": PLACES.tobytes(), "subject_refs": refs.tobytes()}))
    keep(home, "rows", (300).to_bytes(2))
    return home


def test_an_earlier_job_is_read(kept):
    found = EarlierJob.read(kept, SESSION)
    assert (found.rows, found.left, found.places.tolist()) == (300, 297, PLACES.tolist())
    assert found.references.shape == (3, 16)
    assert found.job.digest == job().digest


@pytest.mark.parametrize("name", ["job", "handle", "rows"])
def test_what_is_missing_is_named(kept, name):
    kept.vault.remove_one(record_name(SESSION, name))
    with pytest.raises(ConfigInvalid) as caught:
        EarlierJob.read(kept, SESSION)
    assert caught.value.key == "forget_record_missing"
    assert f"'{name}'" in caught.value.render("en")


def test_the_same_parties_fields_and_plans_are_asked_for(kept):
    earlier = EarlierJob.read(kept, SESSION)
    again = msgspec.structs.replace(job(), name="again", project="look", forget=ForgetPlan(session=SESSION))
    earlier.check(again)
    third = PartyPlan(name="grid", role=PartyRole.FEATURE_HOLDER)
    for other in (
        msgspec.structs.replace(again, parties=(*again.parties, third)),
        msgspec.structs.replace(again, parties=again.parties[:1]),
        msgspec.structs.replace(again, segments=SegmentsPlan(n_clusters=2)),
        msgspec.structs.replace(again, project="another"),
    ):
        with pytest.raises(ConfigInvalid) as caught:
            earlier.check(other)
        assert caught.value.key == "forget_other_job"


def test_segments_from_before_there_were_recalls_do_not_begin_again(kept):
    keep(kept, "segments", msgspec.msgpack.encode({"assignments": b"", "centroids": b""}))
    with pytest.raises(ConfigInvalid):
        EarlierSegments.read(kept, SESSION)
    record = {"assignments": b"", "centroids": b"", "n_clusters": 3}
    keep(kept, "segments", msgspec.msgpack.encode(record))
    assert EarlierSegments.read(kept, SESSION).starts.tolist() == []  # a partner's
    keep(kept, "segments", msgspec.msgpack.encode(record | {"start_rows": PLACES.tobytes()}))
    found = EarlierSegments.read(kept, SESSION)
    assert (found.n_clusters, found.starts.tolist()) == (3, PLACES.tolist())
