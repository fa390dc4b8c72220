"""The job beside the gate: keyed matching and one joint tree between two parties, all roles in one process."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.cases import SEED, key_of
from benchmarks.gate_scene import LABEL_HOLDER, OWN, fields_of, job_of
from benchmarks.matching import FIRST_PHONE, as_identifiers
from federation import align, boosting, wire
from federation.jobs import Stage
from federation.messages import COORDINATOR, Message
from federation.roles import MemoryStore, Rehearsal, Role, View
from privacy.paillier import PublicKey
from server.stages import coordinator_role

OWN_COLUMNS: Final = 5
"""Columns of the label holder, beside the gated table's."""


def train(minimised: Path, rows: int) -> dict[str, Any]:
    """CPU seconds of both parties and the coordinator. minimised: what the gate has let through, (n, fields)."""
    values = np.load(minimised, mmap_mode="r")[:rows].astype(np.float64)
    rows, fields = values.shape
    job = job_of(fields)
    started = time.process_time()
    order = match(rows, job)
    matched = time.process_time()
    grow(values[order], job)
    grown = time.process_time()
    return {"rows": rows, "matching_seconds": matched - started, "tree_seconds": grown - matched}


def carried(message: Message) -> Message:
    """Over the wire, unsealed."""
    return wire.decode(wire.encode(message))


def match(rows: int, job: Any) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Both parties have the same customers, in different order; returns the partner's aligned rows."""
    rng = np.random.default_rng(SEED)
    numbers = FIRST_PHONE + rng.permutation(2 * rows)[:rows]
    lists = {OWN: numbers, LABEL_HOLDER: rng.permutation(numbers)}
    roles: dict[str, Role] = {
        party: holder(
            job.roles,
            party,
            "phone/plain",
            as_identifiers(lists[party]),
            plan=job.match,
            k_min=job.security.k_min,
        )
        for party, holder in ((LABEL_HOLDER, align.LabelHolder), (OWN, align.FeatureHolder))
    }
    joiner = coordinator_role(Stage.MATCH, job, MemoryStore())
    if joiner is None:
        raise RuntimeError("a keyed matching has a coordinator")
    roles[COORDINATOR] = joiner
    found = Rehearsal(roles, carried).run()[OWN]
    if len(found.rows) != rows:
        raise RuntimeError("the matching has lost rows")
    aligned: np.ndarray[Any, np.dtype[np.int64]] = found.rows
    return aligned


def grow(values: np.ndarray[Any, np.dtype[np.float64]], job: Any) -> None:
    """One tree over the label holder's few columns and the partner's many."""
    rng = np.random.default_rng(SEED)
    plan, security = job.risk, job.security
    own = rng.normal(size=(len(values), OWN_COLUMNS))
    shown = np.nan_to_num(values[:, 0] / np.nanmax(values[:, 0]))
    label = (rng.random(len(values)) < 1 / (1 + np.exp(3 - own[:, 0] - 2 * shown))).astype(np.int8)
    train_rows = np.sort(rng.permutation(len(values))[: round(len(values) * (1 - plan.test_share))])
    options = boosting.BoostingOptions(
        trees=plan.trees,
        depth=plan.depth,
        bins=plan.bins,
        learning_rate=plan.learning_rate,
        min_child_rows=security.k_min,
        k_min=security.k_min,
        first_tree_local=plan.first_tree_local,
        scale_bits=security.gradient_scale_bits,
    )
    key = key_of(security.key_bits)
    public = PublicKey.from_bytes(key.public.to_bytes(), security.key_bits)
    names = tuple(f"own{place}" for place in range(OWN_COLUMNS))
    partner = View(tuple(item.name for item in fields_of(values.shape[1])), values)
    roles: dict[str, Role] = {
        LABEL_HOLDER: boosting.LabelHolder(
            job.roles, View(names, own), label, train_rows, options, decryptor=key, public_key=public
        ),
        OWN: boosting.FeatureHolder(job.roles, partner, options, security.key_bits),
    }
    model = Rehearsal(roles, carried).run()[LABEL_HOLDER]
    if not any(model.partner_gains.values()) and not any(model.field_gains.values()):
        raise RuntimeError("the tree has no split")
