"""Rows that leave a job leave what its finished stages have kept as well."""

import msgspec
import numpy as np
import pytest
from gate_scene import admit, home_of

from clients.context import StageContext
from clients.gate.gate import Gate
from clients.tables import FieldSpec, TableSpec
from federation.jobs import Job, PartyPlan, PartyRole, RiskPlan
from privacy.identifiers import IdentifierKind

PEOPLE = 60
PHONES = [f"139{number:08d}" for number in range(PEOPLE)]


@pytest.fixture
def context(tmp_path):
    file = tmp_path / "bank.csv"
    rows = [f"{phone},{number},{number % 2}" for number, phone in enumerate(PHONES)]
    file.write_text("phone,income,bad\n" + "\n".join(rows))
    spec = TableSpec(
        path=str(file),
        id_column="phone",
        id_kind=IdentifierKind.PHONE,
        fields=(FieldSpec(name="income"),),
        label_column="bad",
    )
    home = home_of(tmp_path / "home", spec)
    bank = PartyPlan(name="bank", role=PartyRole.LABEL_HOLDER, risk_fields=("income",))
    shop = PartyPlan(name="shop", role=PartyRole.FEATURE_HOLDER)
    job = Job(
        name="look", purpose="credit_risk", parties=(bank, shop), profile="TESTING_ONLY", risk=RiskPlan()
    )
    admit(home, job)
    made = StageContext(home, job, "f2" * 20, Gate(home, job, "look", is_preview=True))
    made.match(np.arange(PEOPLE), np.zeros((PEOPLE, 16), np.uint8))
    made.keep_handle()
    return made


def test_points_scores_and_training_rows_lose_them(context):
    kept = context.kept
    kept.train_rows = np.arange(0, PEOPLE, 2)
    context.keep("points", np.arange(PEOPLE, dtype=np.int32).tobytes())
    context.keep("scores", np.arange(PEOPLE, dtype=np.float64).tobytes())
    context.keep("train_rows", kept.train_rows.tobytes())

    context.drop(np.array([0, 7]))
    context.drop(np.array([8]))

    def record(name, kind):
        return np.frombuffer(context.home.vault.get(f"job/{'f2' * 20}/{name}"), kind).tolist()

    staying = [number for number in range(PEOPLE) if number not in {0, 7, 8}]
    assert record("points", np.int32) == record("scores", np.float64) == staying
    assert [staying[place] for place in record("train_rows", np.int64)] == [
        number for number in staying if number % 2 == 0
    ]
    handle = msgspec.msgpack.decode(context.home.vault.get(f"job/{'f2' * 20}/handle"))
    assert len(handle["rows"]) == len(staying) * 8
