"""Audit logs for the tests: identities, a clock that moves on, and logs with some events."""

import datetime

from federation.audit_log import AuditLog
from privacy.audit import EventType
from privacy.sealing import Identity

NAMES = ("bank", "shop", "coordinator")
IDENTITIES = {name: Identity.from_bytes(bytes([number]) * 64) for number, name in enumerate(NAMES, 1)}
KEYS = {name: identity.public for name, identity in IDENTITIES.items()}


class Clock:
    """A second later each time it is asked."""

    def __init__(self, start="2026-03-01T08:00:00+00:00"):
        self.moment = datetime.datetime.fromisoformat(start)

    def __call__(self):
        self.moment += datetime.timedelta(seconds=1)
        return self.moment


def open_log(folder, origin="bank", **options):
    return AuditLog(folder, origin, IDENTITIES[origin], **{"now": Clock()} | options)


def fill(log, count):
    """Append some events; returns them."""
    kinds = [EventType.ROUND_OPENED, EventType.CONSENT_WITHDRAWN, EventType.DATASET_REFUSED]
    return [
        log.append(
            kinds[number % 3],
            actor="node",
            job="churn",
            reasons=("R-CONSENT-WITHDRAWN",) if number % 3 else (),
            numbers={"rows": 100 + number},
            digests={"consent_snapshot": f"{number:064x}"},
        )
        for number in range(count)
    ]


def exchange_checkpoint(log, witness):
    """`log` shows its checkpoint to `witness`, which cosigns it."""
    made = log.checkpoint()
    proof = log.consistency(log.cosigned_size(witness.origin), made.size)
    cosignature = witness.witness(made, KEYS[log.origin], proof)
    log.add_cosignature(made.size, cosignature, KEYS[witness.origin])
    return made, cosignature
