"""A node's home: its settings, its keys in the vault, the roster it joined, its logs and its own results."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import tomli_w
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import Meta

from clients.consents.store import ConsentStore
from clients.consents.subjects import SubjectSecrets
from clients.tables import TableSpec
from clients.vault import Vault
from federation.audit_log import AuditLog
from federation.files import read_toml
from federation.jobs import Name
from federation.proposals import DecidedBy
from federation.recall_messages import MINIMUM_CHANGES
from federation.roster import Enrolment, Roster, from_json, to_json
from privacy.errors import ConfigInvalid
from privacy.parallel import DEFAULT_BACKEND
from privacy.sealing import Identity

IDENTITY_RECORD: Final = "identity"
FLOWER_KEY_RECORD: Final = "flower_key"
FLOWER_KEY_FILE: Final = "supernode.key"


class NodeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`node.toml`.

    name: this party's name in jobs. table: the customer table. database: SQLAlchemy URL of the vault (empty: SQLite
    in the home). allow_testing_profile: accept jobs with breakable test keys. approved_code: digests of code that
    this node's owner approved besides the installed one. accept_distance_disclosure: take part in segmentation as
    a partner, which lets the label holder reconstruct this node's segment fields up to a rotation.
    approves: who says yes to jobs, a person at this node to each, or the policy to all that it admits.
    release_after_changes: by how many rows a model that is trained again after deletions must differ from the one
    before (`federation.recall`).
    scores_per_day: how often this node answers for one person with one model in a day, as a partner.
    tasks_per_day: how many deletions and corrections another party can have begun here in a day
    (`clients.rights.limits`).
    n_jobs: cores that a job may use (0: all); parallel_backend: joblib's name for where long work on
    others' ciphertexts runs, "loky" for this machine's processes, or what a cluster of this party registers ("dask",
    "ray"); secrets and identifiers stay on this machine.
    """

    name: Name
    table: TableSpec
    database: str = ""
    allow_testing_profile: bool = False
    approved_code: tuple[str, ...] = ()
    accept_distance_disclosure: bool = False
    approves: DecidedBy = DecidedBy.POLICY
    n_jobs: int = 0
    scores_per_day: Annotated[int, Meta(ge=0)] = 10
    tasks_per_day: Annotated[int, Meta(ge=1)] = 1_000
    release_after_changes: Annotated[int, Meta(ge=1)] = MINIMUM_CHANGES
    parallel_backend: str = DEFAULT_BACKEND


class NodeHome:
    """One node's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def create(cls, folder: Path, settings: NodeSettings) -> NodeHome:
        """Make the folder, the vault and this node's keys. Raises `ConfigInvalid` when the home exists."""
        home = cls(folder)
        if home.settings_file.exists():
            raise ConfigInvalid("home_exists", folder=folder)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
        (folder / "logs").mkdir(exist_ok=True)
        vault = Vault.create(folder, settings.database or None)
        identity = Identity.generate()
        flower_key = ec.generate_private_key(ec.SECP384R1())
        private = flower_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        public = flower_key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        vault.put(IDENTITY_RECORD, identity.to_bytes())
        vault.put(FLOWER_KEY_RECORD, private)
        SubjectSecrets(vault)  # now: every later copy of this home knows its tombstones
        vault.close()
        enrolment = Enrolment(settings.name, identity.public.to_text(), public.decode())
        home.enrolment_file.write_bytes(to_json(enrolment))
        home.write_settings(settings)
        return home

    @classmethod
    def open(cls, folder: Path) -> NodeHome:
        """An existing home. Raises `ConfigInvalid` when there is none."""
        home = cls(folder)
        if not home.settings_file.exists():
            raise ConfigInvalid("home_missing", folder=folder)
        return home

    @property
    def settings_file(self) -> Path:
        return self.folder / "node.toml"

    @property
    def enrolment_file(self) -> Path:
        return self.folder / "enrolment.json"

    @property
    def roster_file(self) -> Path:
        return self.folder / "federation.json"

    @property
    def results(self) -> Path:
        """Where this party's own results go: scores and segments of its own customers."""
        return self.folder / "results"

    @cached_property
    def settings(self) -> NodeSettings:
        """`node.toml`, checked. Raises `ConfigInvalid` that names the file and the key."""
        return read_toml(self.settings_file, NodeSettings)

    def write_settings(self, settings: NodeSettings) -> None:
        """Write `node.toml`."""
        self.settings_file.write_text(tomli_w.dumps(for_toml(settings)), "utf-8")

    @cached_property
    def vault(self) -> Vault:
        return Vault(self.folder, self.settings.database or None)

    @cached_property
    def consents(self) -> ConsentStore:
        """What this node's subjects have agreed to."""
        return ConsentStore(self.vault)

    @cached_property
    def audit(self) -> AuditLog:
        """This node's log. Raises `LogUnavailable`, `AuditBroken`."""
        return AuditLog(self.folder / "audit", self.settings.name, self.identity)

    @cached_property
    def identity(self) -> Identity:
        """This node's signing and sealing keys. Raises `ConfigInvalid` when the vault has none."""
        data = self.vault.get(IDENTITY_RECORD)
        if data is None:
            raise ConfigInvalid("home_missing", folder=self.folder)
        return Identity.from_bytes(data)

    def join(self, roster: Roster, *, other_coordinator: bool = False) -> None:
        """Pin a federation, or a newer roster of the same one.

        Raises `ConfigInvalid` when this node is not in it with its own keys, or when it names another coordinator
        than the pinned one and `other_coordinator` does not allow that.
        """
        if (
            self.roster_file.exists()
            and not other_coordinator
            and roster.coordinator != self.roster.coordinator
        ):
            raise ConfigInvalid("roster_other_coordinator")
        own = [party for party in roster.parties if party.name == self.settings.name]
        if not own or own[0].identity != self.identity.public.to_text():
            raise ConfigInvalid("roster_without_us", party=self.settings.name)
        self.roster_file.write_bytes(to_json(roster))

    @property
    def roster(self) -> Roster:
        """The federation this node joined. Raises `ConfigInvalid` when it has not."""
        if not self.roster_file.exists():
            raise ConfigInvalid("not_joined", folder=self.folder)
        return from_json(self.roster_file.read_bytes(), Roster, str(self.roster_file))


def for_toml(record: msgspec.Struct) -> dict[str, Any]:
    """A record as TOML can hold it: plain types, and no key without a value."""
    plain: dict[str, Any] = _without_nothing(msgspec.to_builtins(record))
    return plain


def _without_nothing(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nothing(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_without_nothing(item) for item in value]
    return value
