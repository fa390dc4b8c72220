"""Giving a list out, and calling it back.

Everybody on it is asked about again at that moment: who has opted out, withdrawn or been restricted since the list was
built is not on what is given out (PIPL 15, 23, 24). Who was given what, for which purpose and until when, is kept for
three years (网络数据安全管理条例 article 12), without a person on it.
A recall is a signed message to the recipient, who answers with a signed acknowledgement; one who does not answer keeps
a list that is over after 30 days at most.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta

from clients.audiences import lists
from clients.audiences.standing import (
    counted,
    fewest_members,
    marketing_purpose,
    objections,
    recipient_of,
)
from clients.gate.policy import policy_for_use
from clients.gate.retention import AUDIENCES
from clients.home import NodeHome
from federation.files import replace_file
from federation.pace import utc_now
from privacy.audit import EventType
from privacy.errors import CohortTooSmall, ConfigInvalid, Denied, SealBroken, SignatureInvalid
from privacy.policy import Digest, Name
from privacy.reasons import Reason
from privacy.sealing import Identity, PublicIdentity

EXPORTS: Final = "audience-exports/"
"""Vault records of what was given out begin so."""
KEPT_DAYS: Final = 3 * 366
"""网络数据安全管理条例 article 12: records of provision and entrustment, three years at least."""
RECALL_DOMAIN: Final = "audience recall"
ACKNOWLEDGED_DOMAIN: Final = "audience acknowledged"
Number = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
_NUMBER_BYTES: Final = 16

_Message = TypeVar("_Message", bound=msgspec.Struct)


class Export(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One list that was given out. recipient: empty for the node's own use; digest: SHA-256 of the file; key: the
    recipient's public keys as text, with which it acknowledges a recall.
    """

    number: Number
    audience: Name
    purpose: Name
    recipient: str
    at: datetime
    expires: date
    policy: Digest
    digest: Digest
    key: str = ""
    recalled: datetime | None = None
    acknowledged: datetime | None = None


class Exported(msgspec.Struct, frozen=True):
    """What an export came to. is_new: false where the same people had been given to the same recipient before."""

    export: Export
    file: str
    people: int
    left_out: Mapping[str, int]
    is_new: bool


class Recall(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the recipient of a list is asked: delete the file of that digest, and everything that was made of it."""

    number: Number
    holder: Name
    audience: Name
    recipient: str
    digest: Digest
    at: datetime


class Acknowledged(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The recipient's answer: the list of that export is deleted."""

    number: Number
    recipient: Name
    digest: Digest
    deleted: datetime


class Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A message as a file: its bytes as they were signed, and the signature in hexadecimal."""

    statement: Annotated[str, Meta(max_length=4000)]
    signature: Annotated[str, Meta(pattern=r"^[0-9a-f]{128}\Z")]


def export(home: NodeHome, name: str, file: Path, recipient: str = "", key: str = "") -> Exported:
    """Write a list for a recipient that the purpose registers, or for the node's own use.

    key: the recipient's public keys as text, for one that is not in the roster. Doing it again, when nobody has left,
    gives the same file and no second record. Raises `Denied` for a list whose time is over, another purpose's or an
    unknown recipient's, `CohortTooSmall` when too few may still be on it, `ConfigInvalid`.
    """
    audience = lists.read(home, name)
    policy = policy_for_use(home)
    try:
        purpose = marketing_purpose(policy, audience.purpose)
        registered = recipient_of(purpose, recipient)
    except Denied as refusal:
        reasons = {finding.reason for finding in refusal.findings}
        lists.tell_refused(home, name, policy.digest, reasons)
        raise
    known = _key_of(home, recipient, key)
    everybody = lists.members_of(home, name)
    members, left_out = lists.divide(everybody, objections(home, policy, purpose, everybody, registered))
    fewest = fewest_members(home)
    if len(members) < fewest:
        lists.tell_refused(home, name, policy.digest, {Reason.COHORT_TOO_SMALL, *left_out})
        raise CohortTooSmall("audience_small", k_min=fewest)
    content = lists.as_csv(members)
    digest = hashlib.sha256(content).hexdigest()
    before = _same(home, name, recipient, digest)
    made = before or Export(
        number=secrets.token_hex(_NUMBER_BYTES),
        audience=name,
        purpose=audience.purpose,
        recipient=recipient,
        at=utc_now(),
        expires=audience.expires,
        policy=policy.digest,
        digest=digest,
        key=known,
    )
    if before is None:
        # The log and the record first: what they do not take is not given out.
        home.audit.append(
            EventType.AUDIENCE_EXPORTED,
            actor="operator",
            artefact=f"{name}/{recipient}" if recipient else name,
            policy=policy.digest,
            reasons=lists.codes(left_out),
            numbers={"people": counted(len(members)), "left_out": counted(left_out.total())},
            digests={"list": hashlib.sha256(made.number.encode()).hexdigest()},
        )
        _put(home, made)
    replace_file(file, content, secret=True)
    about = {"number": made.number, "purpose": made.purpose, "expires": made.expires}
    replace_file(file.with_name(file.name + ".json"), msgspec.json.encode(about) + b"\n", secret=True)
    told = {reason.value: count for reason, count in sorted(left_out.items())}
    return Exported(made, str(file), len(members), told, before is None)


def recall(home: NodeHome, name: str, into: Path) -> list[Path]:
    """Call back what was given out of a list, and forget the list here: one signed message for each export, as files.

    Doing it again writes the messages again that nobody has acknowledged.
    """
    lists.folder_of(home, name)
    given = [made for made in exports(home) if made.audience == name and made.acknowledged is None]
    if not given and home.vault.get(AUDIENCES + name) is None:
        raise ConfigInvalid("audience_unknown", name=name)
    into.mkdir(parents=True, exist_ok=True, mode=0o700)
    written = []
    for made in given:
        called = _put(home, msgspec.structs.replace(made, recalled=made.recalled or utc_now()))
        if not made.recipient:
            continue  # the node's own people need no message
        message = Recall(
            number=made.number,
            holder=home.settings.name,
            audience=name,
            recipient=made.recipient,
            digest=made.digest,
            at=called.recalled or utc_now(),
        )
        file = into / f"recall-{made.number}.json"
        replace_file(file, _sign(home.identity, RECALL_DOMAIN, message), secret=True)
        written.append(file)
    lists.remove(home, name)
    return written


def acknowledge(identity: Identity, recipient: str, message: bytes, holder: PublicIdentity) -> bytes:
    """What a recipient that has deleted the list answers to a recall. Raises `SignatureInvalid`, `ConfigInvalid`."""
    asked = _open(message, RECALL_DOMAIN, holder, Recall)
    if asked.recipient != recipient:
        raise ConfigInvalid("audience_acknowledgement", name=asked.audience)
    answer = Acknowledged(number=asked.number, recipient=recipient, digest=asked.digest, deleted=utc_now())
    return _sign(identity, ACKNOWLEDGED_DOMAIN, answer)


def take_acknowledgement(home: NodeHome, message: bytes) -> Export:
    """A recipient says that it has deleted a list. Raises `SignatureInvalid` for one that it has not signed, and
    `ConfigInvalid` for one that belongs to no recall.
    """
    try:
        number = msgspec.json.decode(_signed(message).statement, type=Acknowledged).number
    except msgspec.MsgspecError:
        raise ConfigInvalid("audience_message") from None
    made = next((found for found in exports(home) if found.number == number), None)
    if made is None or not made.key:
        raise ConfigInvalid("audience_acknowledgement", name=number)
    said = _open(message, ACKNOWLEDGED_DOMAIN, PublicIdentity.from_text(made.key), Acknowledged)
    if (said.recipient, said.digest) != (made.recipient, made.digest) or made.recalled is None:
        raise ConfigInvalid("audience_acknowledgement", name=number)
    if made.acknowledged is not None:
        return made
    home.audit.append(
        EventType.TAG_DELETED, actor="operator", artefact=f"{made.audience}/{made.recipient}", numbers={}
    )
    return _put(home, msgspec.structs.replace(made, acknowledged=said.deleted))


def exports(home: NodeHome) -> list[Export]:
    """Everything that was given out, the oldest first."""
    over = set(home.vault.expired())
    records = [home.vault.get(name) for name in home.vault.names(EXPORTS) if name not in over]
    try:
        found = [msgspec.json.decode(record, type=Export) for record in records if record is not None]
    except msgspec.MsgspecError:
        raise SealBroken("vault_broken", name=EXPORTS) from None
    return sorted(found, key=lambda made: (made.at, made.number))


def _same(home: NodeHome, name: str, recipient: str, digest: str) -> Export | None:
    found = [made for made in exports(home) if (made.audience, made.recipient) == (name, recipient)]
    latest = found[-1] if found else None
    return latest if latest is not None and latest.digest == digest and latest.recalled is None else None


def _put(home: NodeHome, made: Export) -> Export:
    home.vault.put(EXPORTS + made.number, msgspec.json.encode(made), days=KEPT_DAYS)
    return made


def _key_of(home: NodeHome, recipient: str, given: str) -> str:
    """The recipient's keys as text: the roster's count more than what is given; empty where neither is."""
    if home.roster_file.exists() and recipient:
        known = {party.name: party.identity for party in home.roster.parties}
        if recipient in known:
            return known[recipient]
    if given:
        read_key(given)
    return given


def read_key(key: str) -> PublicIdentity:
    """A party's public keys as people carry them. Raises `ConfigInvalid`."""
    try:
        return PublicIdentity.from_text(key.strip())
    except ValueError:
        raise ConfigInvalid("audience_key") from None


def _sign(identity: Identity, domain: str, message: msgspec.Struct) -> bytes:
    statement = msgspec.json.encode(message, order="deterministic")
    signed = Signed(statement.decode(), identity.sign_statement(domain, statement).hex())
    return msgspec.json.format(msgspec.json.encode(signed)) + b"\n"


def _signed(message: bytes) -> Signed:
    try:
        return msgspec.json.decode(message, type=Signed)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise ConfigInvalid("audience_message") from None


def _open(message: bytes, domain: str, signer: PublicIdentity, kind: type[_Message]) -> _Message:
    signed = _signed(message)
    statement = signed.statement.encode()
    signer.verify_statement(bytes.fromhex(signed.signature), domain, statement)
    try:
        return msgspec.json.decode(statement, type=kind)
    except msgspec.MsgspecError:
        raise SignatureInvalid("statement_signature_invalid") from None
