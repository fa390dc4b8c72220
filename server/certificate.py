"""What the coordinator signs when an agreement with it has ended: that it erased what it held of the job (PIPL 21)."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Final

import msgspec
import rfc8785

from federation.files import replace_file
from federation.roles import Store
from privacy.sealing import Identity
from server.records import JobRecord

DOMAIN: Final = "silhouette return-or-delete v1"
FILE: Final = "return-or-delete.json"
KEPT: Final = (
    "the audit log",
    "the job's plan",
    "figures that were released before",
    "letters between the parties and the parties' ledgers of deletions, sealed to them",
)
"""What stays at the coordinator: none of it says anything about a single person that the coordinator could read."""


class Erasure(msgspec.Struct, frozen=True):
    """The statement. erased: records of the job that the coordinator still held, which are gone now."""

    party: str
    job: str
    session: str
    erased: int
    kept: tuple[str, ...]
    time: str


def certify_erasure(
    record: JobRecord, identity: Identity, store: Store, party: str, job: str, session: str
) -> Erasure:
    """Erase what the store holds of the job and write the signed certificate beside the job's record."""
    erased = len(store.names(""))
    store.clear()
    statement = Erasure(party, job, session, erased, KEPT, datetime.now(UTC).isoformat(timespec="seconds"))
    plain = msgspec.to_builtins(statement)
    signature = identity.sign_statement(DOMAIN, rfc8785.dumps(plain))
    signed = plain | {
        "key": identity.public.fingerprint,
        "signature": base64.b64encode(signature).decode(),
    }
    replace_file(record.folder / FILE, msgspec.json.format(msgspec.json.encode(signed)))
    return statement
