"""What `benchmarks.gate` works on: a wide table with consents, a node with a policy in force, and a job for it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.cases import SEED
from benchmarks.matching import FIRST_PHONE
from benchmarks.matching_over_flower import PREFIX
from clients.gate.draft import draft_policy
from clients.gate.policy import activate
from clients.home import NodeHome, NodeSettings
from clients.tables import ConsentSpec, FieldSpec, TableSpec
from federation.jobs import Job, MatchMode, MatchPlan, PartyPlan, PartyRole, RiskPlan
from federation.roster import Enrolment, from_json
from privacy.consent import PROVIDE, SENSITIVE
from privacy.identifiers import IdentifierKind
from server.home import CoordinatorHome

LABEL_HOLDER: Final = "bank"
OWN: Final = "shop"
PURPOSE: Final = "credit_gate"
NOTICE: Final = "shop-1"
SENSITIVE_CATEGORY: Final = "financial_situation"
KINDS: Final = (
    "account_balance",
    "income",
    "credit_limit",
    "credit_utilisation",
    "bill_amount",
    "transaction_amounts",
    "transaction_counts",
    "account_tenure",
    "ecommerce_orders",
    "telecom_plan",
    "shopping_habits",
    "age",
    "education",
)
"""Classes of the catalogue that lending may use; the first two need a separate consent for `SENSITIVE_CATEGORY`."""
WITHDRAWN: Final = 0.02
"""Share of the subjects who have taken back one of their consents."""
MISSING: Final = 0.01
MISTYPED: Final = 1e-5
"""Share of the balances with six zeros too many: such a column is looked at value by value."""
PARQUET_ROWS: Final = 1 << 17


def fields_of(count: int) -> tuple[FieldSpec, ...]:
    """The columns, whose names tell nothing."""
    return tuple(FieldSpec(name=f"f{place}", kind=KINDS[place % len(KINDS)]) for place in range(count))


def table_of(folder: Path, fields: int) -> TableSpec:
    """The registration of the files that `write_files` makes."""
    return TableSpec(
        path=str(folder / "customers.parquet"),
        id_column="phone",
        id_kind=IdentifierKind.PHONE,
        extra_prefixes=(PREFIX,),
        fields=fields_of(fields),
        consents=ConsentSpec(
            path=str(folder / "consents.parquet"),
            id_column="phone",
            kind_column="kind",
            scope_column="scope",
            recipient_column="recipient",
            notice=NOTICE,
        ),
    )


def job_of(fields: int) -> Job:
    """Matching and one joint tree of depth 3 on 2048-bit keys."""
    own = tuple(field.name for field in fields_of(fields))
    return Job(
        name="gate",
        purpose=PURPOSE,
        parties=(
            PartyPlan(name=LABEL_HOLDER, role=PartyRole.LABEL_HOLDER, risk_fields=("own",)),
            PartyPlan(name=OWN, role=PartyRole.FEATURE_HOLDER, risk_fields=own),
        ),
        match=MatchPlan(mode=MatchMode.KEYED),
        risk=RiskPlan(trees=1, depth=3, first_tree_local=False),
    )


def write_files(folder: Path, rows: int, fields: int) -> None:
    """A table of numbers, and three words of every subject: general, provision to the bank, one sensitive category."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(SEED)
    phones = pa.array((FIRST_PHONE + rng.permutation(2 * rows)[:rows]).astype("U11"))
    names = [field.name for field in fields_of(fields)]
    schema = pa.schema([("phone", pa.string()), *((name, pa.float64()) for name in names)])
    with pq.ParquetWriter(folder / "customers.parquet", schema) as file:
        for start in range(0, rows, PARQUET_ROWS):
            part = phones.slice(start, PARQUET_ROWS)
            columns = [_values(place, len(part), rng) for place in range(fields)]
            file.write_table(pa.table([part, *columns], schema=schema))
    words = [
        ("general", "", ""),
        ("separate", PROVIDE, LABEL_HOLDER),
        ("separate", SENSITIVE + SENSITIVE_CATEGORY, ""),
    ]
    with pq.ParquetWriter(folder / "consents.parquet", _consent_schema()) as file:
        for kind, scope, recipient in words:
            status = np.where(rng.random(rows) < WITHDRAWN / len(words), "withdrawn", "granted")
            same = [[text] * rows for text in (PURPOSE, kind, scope, recipient)]
            file.write_table(pa.table([phones, status, *same], schema=_consent_schema()))


def _consent_schema() -> pa.Schema:
    return pa.schema(
        [(name, pa.string()) for name in ("phone", "status", "purpose", "kind", "scope", "recipient")]
    )


def _values(place: int, rows: int, rng: np.random.Generator) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Amounts, counts, shares, ages and codes as real tables have them, with gaps."""
    match KINDS[place % len(KINDS)]:
        case "age":
            values = rng.integers(18, 90, rows).astype(np.float64)
        case "education":
            values = rng.integers(1, 6, rows).astype(np.float64)
        case "credit_utilisation" | "shopping_habits":
            values = rng.beta(2, 5, rows)
        case "transaction_counts" | "ecommerce_orders" | "account_tenure":
            values = rng.poisson(rng.gamma(2, 6, rows)).astype(np.float64)
        case _:
            values = np.round(rng.lognormal(9, 1.2, rows), 2)
    if KINDS[place % len(KINDS)] == "account_balance":
        values[rng.random(rows) < MISTYPED] *= 1e6
    values[rng.random(rows) < MISSING] = np.nan
    return values


def make_node(folder: Path, fields: int) -> NodeHome:
    """A node that has joined a federation and has a policy in force that admits the job."""
    coordinator = CoordinatorHome.create(folder / "coordinator", "127.0.0.1", 1, "127.0.0.1")
    settings = NodeSettings(name=OWN, table=table_of(folder, fields))
    home = NodeHome.create(folder / OWN, settings)
    coordinator.enrol(from_json(home.enrolment_file.read_bytes(), Enrolment, "enrolment"))
    home.join(coordinator.roster)
    fingerprint = coordinator.identity.public.fingerprint
    today = datetime.now(UTC).astimezone().date()
    policy = draft_policy(OWN, settings.table, job_of(fields), fingerprint, today)
    activate(home, policy, is_rehearsal=True)
    return home
