"""The roster: who is in a federation, with pinned public keys, and where its coordinator is.

A node makes an `Enrolment` (public keys only) and hands it to the coordinator's operator; the coordinator hands back
the `Roster`. Both are JSON files that people carry; each shows fingerprints to compare by voice.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from federation.jobs import Name
from federation.messages import COORDINATOR
from privacy.errors import ConfigInvalid
from privacy.sealing import PublicIdentity


class Enrolment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One data holder's public keys: `identity` for frames, `flower_key` (PEM) for its SuperNode."""

    name: Name
    identity: str
    flower_key: str


class Roster(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A federation: its coordinator's URL, certificate (PEM) and public keys, and all parties."""

    url: str
    certificate: str
    coordinator: str
    parties: tuple[Enrolment, ...]

    def identities(self, without: str) -> dict[str, PublicIdentity]:
        """Everyone's pinned public identity by name, the coordinator included, except `without`."""
        known = {party.name: PublicIdentity.from_text(party.identity) for party in self.parties}
        known[COORDINATOR] = PublicIdentity.from_text(self.coordinator)
        known.pop(without, None)
        return known


_Record = TypeVar("_Record", Enrolment, Roster)


def to_json(record: Enrolment | Roster) -> bytes:
    """Readable JSON, ending with a newline."""
    return msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"


def from_json(data: bytes, kind: type[_Record], file: str) -> _Record:
    """Inverse of `to_json`, checked. Raises `ConfigInvalid` that names `file`."""
    try:
        record = msgspec.json.decode(data, type=kind)
        parties = record.parties if isinstance(record, Roster) else (record,)
        identities = [(party.name, party.identity) for party in parties]
        names = [name for name, _ in identities]
        if COORDINATOR in names or len(set(names)) < len(names):
            raise ValueError(f"names must differ and must not be '{COORDINATOR}'")
        if isinstance(record, Roster):
            identities.append((COORDINATOR, record.coordinator))
        for name, identity in identities:
            _check_identity(name, identity)
    except (msgspec.MsgspecError, ValueError) as problem:
        raise ConfigInvalid("file_invalid", file=file, problem=str(problem)) from None
    return record


def _check_identity(name: str, identity: str) -> None:
    try:
        PublicIdentity.from_text(identity)
    except ValueError:
        raise ValueError(f"the identity of '{name}' is not two keys of 32 bytes in base64") from None
