"""A coordinator with a post office, its parties, and what they write to each other."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

from fastapi.testclient import TestClient

from clients.rights.courier import sign_answer
from clients.rights.post import PostCourier
from clients.vault import Vault
from federation.post_client import PostClient
from federation.post_messages import Answered, Asked
from federation.roster import Enrolment
from privacy.rights import (
    Artefact,
    CaseState,
    Outcome,
    RequestKind,
    Result,
    SharedRow,
    Task,
    TaskAnswer,
)
from privacy.sealing import Identity
from server.home import CoordinatorHome
from server.post_routes import Post
from server.web import create_app

PARTIES = ("bank", "shop", "telecom")
RECEIVED = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
CASE, SESSION = "c" * 32, "5" * 32
CANARY = b"ref-canary-16byt"


@dataclass
class Clock:
    """The present, which tests move."""

    seconds: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class Scene:
    """A coordinator's home and application, and the parties' keys."""

    home: CoordinatorHome
    identities: dict[str, Identity]
    clock: Clock = field(default_factory=Clock)

    @classmethod
    def create(cls, folder: Path) -> Scene:
        home = CoordinatorHome.create(folder / "coordinator", "127.0.0.1", 0, "127.0.0.1")
        identities = {party: Identity.generate() for party in PARTIES}
        for party, identity in identities.items():
            home.enrol(Enrolment(party, identity.public.to_text(), f"PEM of {party}"))
        scene = cls(home, identities)
        scene.start()
        return scene

    def start(self) -> None:
        """Start the coordinator, again if it ran: nothing but its folder is as before."""
        self.post = Post.of(CoordinatorHome.open(self.home.folder))
        self.post.office._now = self.post.callers._now = self.clock
        self.post.callers._began = self.clock()
        self.trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.app = create_app("https://127.0.0.1:1", self.trust, "driver", post=self.post)
        self.http = TestClient(self.app, base_url="https://coordinator.example")

    def client(self, party: str, identity: Identity | None = None) -> PostClient:
        return PostClient(
            self.home.roster, party, identity or self.identities[party], http=self.http, now=self.clock
        )

    def courier(self, party: str, folder: Path, connect=None) -> PostCourier:
        """A party's courier; its vault is made at the first call."""
        folder = folder / party
        folder.mkdir(exist_ok=True)
        vault = Vault(folder) if (folder / "vault.key").exists() else Vault.create(folder)
        return PostCourier(
            vault,
            party,
            self.identities[party],
            folder / "post.lock",
            lambda: self.home.roster,
            connect or (lambda _roster: self.client(party)),
            self.clock,
        )


class Away:
    """A coordinator that cannot be reached, as a client that counts who has tried."""

    def __init__(self, error: Exception):
        self.error, self.calls = error, 0

    def __getattr__(self, name):
        def call(*_arguments):
            self.calls += name != "close"
            if name != "close":
                raise self.error

        return call


def a_task(case: str = CASE, ref: bytes = CANARY, rows: int = 1) -> Task:
    return Task(
        case=case,
        kind=RequestKind.DELETE,
        received=RECEIVED,
        due=date(2026, 12, 15),
        rows=(SharedRow(session=SESSION, ref=ref),) * rows,
    )


def an_answer(party: str, case: str = CASE) -> TaskAnswer:
    outcome = Outcome(artefact=Artefact.FEATURE, result=Result.ERASED)
    return TaskAnswer(case=case, party=party, at=RECEIVED, state=CaseState.COMPLETED, outcomes=(outcome,))


def asked(case: str = CASE) -> Asked:
    return Asked(a_task(case))


def answered(party: str, identity: Identity) -> Answered:
    answer = an_answer(party)
    return Answered(answer, sign_answer(identity, answer))


def everything_in(folder: Path) -> bytes:
    """All bytes of all files in a folder."""
    return b"".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())
