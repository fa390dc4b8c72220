"""The coordinator's home: a folder with its keys, roster, jobs and logs. No customer data ever lives here."""

from __future__ import annotations

import datetime
import ipaddress
import os
import secrets
from functools import cached_property
from pathlib import Path
from typing import Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import Engine

from federation.audit_log import AuditLog
from federation.children import free_port
from federation.files import FolderStore, forget_stale, replace_file, write_secret
from federation.messages import COORDINATOR
from federation.post_messages import LedgerHead
from federation.roster import Enrolment, Roster, from_json, to_json
from privacy.errors import ConfigInvalid
from privacy.sealing import Identity
from server.db.engine import database_url, open_database
from server.post import PostOffice
from server.post_database import PostDatabase
from server.post_ledger import LedgerShelf

HOME_VARIABLE: Final = "SILHOUETTE_HOME"
CERTIFICATE_DAYS: Final = 825
"""The longest life that common TLS clients accept for a server certificate."""
_CONSOLE_KEY_BYTES: Final = 32


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`coordinator.json`: where the public port listens and under which name nodes reach it.

    database_url, database_url_file: where jobs and accounts are kept when not in the home (`server.db.engine`).
    console_host, console_port: where the console listens; 0: `serve` starts none. console_url: under which address
    people come, when a proxy stands before it.
    """

    host: str
    port: int
    public_name: str
    superlink_port: int
    database_url: str = ""
    database_url_file: str = ""
    console_host: str = "127.0.0.1"
    console_port: int = 0
    console_url: str = ""


class Running(msgspec.Struct, forbid_unknown_fields=True):
    """`running.json`, while the coordinator serves: its process and each party's Flower node id."""

    pid: int
    node_ids: dict[str, int]


class CoordinatorHome:
    """Paths and records of one coordinator."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._roster: tuple[tuple[int, int, int], Roster] | None = None

    @classmethod
    def create(
        cls, folder: Path, host: str, port: int, public_name: str, console_port: int = 0
    ) -> CoordinatorHome:
        """Make the folder, the keys, the TLS certificate and an empty roster. Raises `ConfigInvalid` if it exists.

        console_port: 0 for a coordinator without a console.
        """
        home = cls(folder)
        if home.settings_file.exists():
            raise ConfigInvalid("home_exists", folder=folder)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
        (folder / "logs").mkdir(exist_ok=True)
        (folder / "jobs").mkdir(exist_ok=True)
        settings = Settings(host, port or free_port(), public_name, free_port(), console_port=console_port)
        certificate, key = make_certificate(public_name)
        write_secret(home.tls_key_file, key)
        home.certificate_file.write_bytes(certificate)
        loopback_certificate, loopback_key = make_certificate("127.0.0.1")
        write_secret(home.loopback_key_file, loopback_key)
        home.loopback_certificate_file.write_bytes(loopback_certificate)
        identity = Identity.generate()
        write_secret(home._identity_file, identity.to_bytes())
        write_secret(home._relay_secret_file, secrets.token_urlsafe(32).encode())
        write_secret(home.superexec_secret_file, secrets.token_bytes(32).hex().encode())
        url = f"https://{public_name}:{settings.port}"
        home.write_roster(Roster(url, certificate.decode(), identity.public.to_text(), ()))
        home.settings_file.write_bytes(msgspec.json.format(msgspec.json.encode(settings)))
        return home

    @classmethod
    def open(cls, folder: Path) -> CoordinatorHome:
        """An existing home. Raises `ConfigInvalid` when there is none."""
        home = cls(folder)
        if not home.settings_file.exists():
            raise ConfigInvalid("home_missing", folder=folder)
        return home

    @classmethod
    def from_environment(cls) -> CoordinatorHome:
        """The home that `SILHOUETTE_HOME` names (how the ServerApp's process finds it)."""
        return cls.open(Path(os.environ[HOME_VARIABLE]))

    @property
    def settings_file(self) -> Path:
        return self.folder / "coordinator.json"

    @property
    def certificate_file(self) -> Path:
        return self.folder / "tls.crt"

    @property
    def tls_key_file(self) -> Path:
        return self.folder / "tls.key"

    @property
    def loopback_certificate_file(self) -> Path:
        """SuperLink's own certificate: it authenticates SuperNodes only over TLS."""
        return self.folder / "loopback.crt"

    @property
    def loopback_key_file(self) -> Path:
        return self.folder / "loopback.key"

    @property
    def superexec_secret_file(self) -> Path:
        return self.folder / "superexec.secret"

    @property
    def _identity_file(self) -> Path:
        return self.folder / "identity.key"

    @property
    def _relay_secret_file(self) -> Path:
        return self.folder / "relay.secret"

    @property
    def roster_file(self) -> Path:
        return self.folder / "federation.json"

    @property
    def _running_file(self) -> Path:
        return self.folder / "running.json"

    @property
    def settings(self) -> Settings:
        """`coordinator.json`. Raises `ConfigInvalid` that names the file."""
        try:
            return msgspec.json.decode(self.settings_file.read_bytes(), type=Settings)
        except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
            raise ConfigInvalid("file_invalid", file=self.settings_file, problem=str(problem)) from None

    @property
    def identity(self) -> Identity:
        return Identity.from_bytes(self._identity_file.read_bytes())

    @cached_property
    def audit(self) -> AuditLog:
        """The coordinator's own log. Raises `LogUnavailable`, `AuditBroken`."""
        return AuditLog(self.folder / "audit", COORDINATOR, self.identity)

    @property
    def post(self) -> PostOffice:
        """Sealed letters that wait for their recipients."""
        return PostOffice(self._post_database)

    @property
    def ledgers(self) -> LedgerShelf:
        """The parties' ledgers of deletions, each sealed to its own party."""
        return LedgerShelf(self._post_database)

    def ledger_head(self, party: str) -> LedgerHead:
        """How long a party's ledger of deletions is."""
        return self.ledgers.head(party)

    @property
    def _post_database(self) -> PostDatabase:
        return PostDatabase(self.folder / "post")

    @cached_property
    def database(self) -> Engine:
        """Jobs, words, publications and accounts. Raises `ConfigInvalid` for a URL that cannot be used."""
        settings = self.settings
        return open_database(database_url(self.folder, settings.database_url, settings.database_url_file))

    @property
    def relay_secret(self) -> str:
        """The bearer token with which the driver opens and closes sessions on loopback."""
        return self._relay_secret_file.read_text()

    @property
    def console_key(self) -> bytes:
        """With which the console signs what its pages carry against forgery; made when it is first wanted."""
        file = self.folder / "console.key"
        if not file.exists():
            replace_file(file, secrets.token_bytes(_CONSOLE_KEY_BYTES), secret=True)
        return file.read_bytes()

    @property
    def roster(self) -> Roster:
        """Who is in the federation. Read again when another file is in its place (`replace_file`)."""
        status = self.roster_file.stat()
        seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        if self._roster is None or self._roster[0] != seen:
            self._roster = (seen, from_json(self.roster_file.read_bytes(), Roster, str(self.roster_file)))
        return self._roster[1]

    def write_roster(self, roster: Roster) -> None:
        replace_file(self.roster_file, to_json(roster))

    def enrol(self, enrolment: Enrolment, *, replace: bool = False) -> None:
        """Add a party. Raises `ConfigInvalid` when it is there with other keys and `replace` is not given."""
        roster = self.roster
        if not replace and any(p.name == enrolment.name and p != enrolment for p in roster.parties):
            raise ConfigInvalid("already_enrolled", party=enrolment.name)
        others = tuple(party for party in roster.parties if party.name != enrolment.name)
        self.write_roster(Roster(roster.url, roster.certificate, roster.coordinator, (*others, enrolment)))

    def job_folder(self, job_id: str) -> Path:
        """Where one job's record, events and released results are kept."""
        return self.folder / "jobs" / job_id

    def unfinished(self, job_digest: str) -> FolderStore:
        """Where the coordinator's roles keep what a rerun of the same job may go on from."""
        return FolderStore(self.folder / "unfinished" / job_digest)

    def forget_stale(self) -> None:
        """Remove what jobs left that were not run again in time."""
        forget_stale(self.folder / "unfinished")

    def write_running(self, running: Running | None) -> None:
        """Say that the coordinator serves, or (None) that it has stopped."""
        if running is None:
            self._running_file.unlink(missing_ok=True)
        else:
            replace_file(self._running_file, msgspec.json.encode(running))

    @property
    def running(self) -> Running | None:
        """What the serving process wrote, or None when it has stopped."""
        if not self._running_file.exists():
            return None
        running = msgspec.json.decode(self._running_file.read_bytes(), type=Running)
        try:
            os.kill(running.pid, 0)
        except (
            ProcessLookupError,
            PermissionError,
        ):  # ended; the number may be another user's process by now
            return None
        return running


def make_certificate(public_name: str) -> tuple[bytes, bytes]:
    """A self-signed P-256 server certificate that nodes pin through the roster: (certificate, key), both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "silhouette coordinator")])
    names: list[x509.GeneralName] = []
    try:
        names.append(x509.IPAddress(ipaddress.ip_address(public_name)))
    except ValueError:
        names.append(x509.DNSName(public_name))
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=CERTIFICATE_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
