"""What the audit log hears of cases: one event each of a few, one event with counts of many, never an identifier."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

from clients.home import NodeHome
from clients.rights.cases import Case
from privacy.audit import EventType

CASES_WITH_EVENT: Final = 100
"""So many cases at once have an event each; of more, one event says how many (`clients.consents.changes`)."""
_NODE: Final = "node"


def tell(
    home: NodeHome,
    event: EventType,
    cases: Sequence[Case],
    *,
    actor: str = _NODE,
    numbers: Mapping[str, int] | None = None,
    reasons: Sequence[str] = (),
) -> None:
    """Log an event about cases. numbers: what is added to the event of each. Raises `LogUnavailable`.

    Of many at once the log holds how many they were, and the SHA-256 of their numbers, sorted and joined.
    """
    if len(cases) > CASES_WITH_EVENT:
        joined = "".join(sorted(case.number for case in cases))
        home.audit.append(
            event,
            actor=actor,
            artefact="cases",
            reasons=reasons,
            numbers={**(numbers or {}), "cases": len(cases)},
            digests={"cases": hashlib.sha256(joined.encode()).hexdigest()},
        )
        return
    for case in cases:
        home.audit.append(
            event,
            actor=actor,
            artefact=case.number,
            policy=case.record.policy,
            sref=case.record.sref,
            reasons=reasons,
            numbers=numbers,
        )
