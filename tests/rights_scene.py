"""Parties with requests, for tests: homes with small tables, a matching that they share, letters in memory."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
from gate_scene import job_for

from clients.consents.subjects import kind_label
from clients.finished import handle_of
from clients.home import NodeHome, NodeSettings
from clients.rights.courier import Received
from clients.rights.engine import Engine
from clients.rights.intake import Intake, Request
from clients.tables import FieldSpec, TableSpec
from federation.jobs import encode_job
from federation.roster import Enrolment, Roster, from_json
from privacy.identifiers import IdentifierKind
from privacy.rights import Artefact, Outcome, RequestKind, Result
from privacy.sealing import Identity

SESSION = "5e" * 16
START = datetime(2026, 5, 11, 9, tzinfo=UTC)


class Clock:
    """A simulated clock."""

    def __init__(self, start: datetime = START) -> None:
        self.time = start

    def __call__(self) -> datetime:
        return self.time

    def pass_by(self, **spans: float) -> None:
        self.time += timedelta(**spans)


def phone_of(number: int) -> str:
    return f"139{number:08d}"


def ref_of(number: int) -> bytes:
    """What the matching calls a subject."""
    return b"ref" + number.to_bytes(13, "big")


def make_homes(folder: Path, parties: tuple[str, ...] = ("bank",), people: int = 10) -> dict[str, NodeHome]:
    """Homes whose tables hold the same people in different orders, all of them matched in one job."""
    folder.mkdir(exist_ok=True)
    homes = {}
    for party in parties:
        file = folder / f"{party}.csv"
        order = order_of(party, people)
        rows = [f"{phone_of(number)},{1000 + number},{2015 + number % 5}-01-02" for number in order]
        file.write_text("phone,income,closed\n" + "\n".join(rows) + "\n", "utf-8")
        spec = TableSpec(
            path=str(file),
            id_column="phone",
            id_kind=IdentifierKind.PHONE,
            fields=(FieldSpec(name="income"),),
        )
        homes[party] = NodeHome.create(folder / party, NodeSettings(name=party, table=spec))
    own = {
        party: from_json(home.enrolment_file.read_bytes(), Enrolment, "enrolment.json")
        for party, home in homes.items()
    }
    roster = Roster(
        "https://coordinator.example", "PEM", Identity.generate().public.to_text(), tuple(own.values())
    )
    for party, home in homes.items():
        home.join(roster)
        match(home, party, parties, people)
    return homes


def match(home: NodeHome, party: str, parties: tuple[str, ...], people: int, session: str = SESSION) -> None:
    """Store what a finished job leaves of its matching."""
    order = order_of(party, people)
    others = tuple(name for name in parties if name != party) or ("shop",)
    refs = np.frombuffer(b"".join(map(ref_of, order)), np.uint8).reshape(-1, 16)
    tokens = home.consents.tokens(
        kind_label(home.settings.table), np.array([phone_of(number).encode() for number in order])
    )
    home.vault.put(f"job/{session}/handle", handle_of(np.arange(people, dtype=np.int64), refs, tokens))
    home.vault.put(f"job/{session}/job", encode_job(job_for(party, ("income",), others=others)))


def order_of(party: str, people: int) -> list[int]:
    numbers = list(range(people))
    return numbers if party == "bank" else numbers[::-1]


class Post:
    """Letters in files, so that they outlive a killed process; who is offline gets them later."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.offline: set[str] = set()

    def courier(self, party: str) -> FileCourier:
        return FileCourier(self, party)


class FileCourier:
    """A courier for one party; a letter is written at once, and so perhaps twice."""

    def __init__(self, post: Post, own: str) -> None:
        self._post, self._own = post, own

    def send(self, party, message, signature=b"", connection=None):
        kind = type(message).__name__
        name = f"{party}.{self._own}.{kind}.{message.case}.{getattr(message, 'state', '')}"
        data = {"message": msgspec.json.encode(message).decode(), "signature": signature.hex(), "kind": kind}
        (self._post.folder / name).write_text(json.dumps(data), "utf-8")

    def receive(self):
        from privacy.rights import Task, TaskAnswer

        if self._own in self._post.offline:
            return []
        found = []
        for file in sorted(self._post.folder.glob(f"{self._own}.*")):
            data = json.loads(file.read_text("utf-8"))
            kind = {"Task": Task, "TaskAnswer": TaskAnswer}[data["kind"]]
            message = msgspec.json.decode(data["message"], type=kind)
            party = file.name.split(".")[1]
            found.append(Received(file.name, party, message, bytes.fromhex(data["signature"])))
        return found

    def confirm(self, letters):
        for letter in letters:
            (self._post.folder / letter.number).unlink(missing_ok=True)


class MemoryPost:
    """Letters in memory, for many of them."""

    def __init__(self) -> None:
        self.waiting: defaultdict[str, dict[str, Received]] = defaultdict(dict)
        self.offline: set[str] = set()
        self.sent: list[tuple[str, str, object]] = []
        self._count = 0

    def courier(self, party: str) -> MemoryCourier:
        return MemoryCourier(self, party)

    def put(self, own, party, message, signature):
        self._count += 1
        self.sent.append((own, party, message))
        number = f"{self._count:08d}"
        self.waiting[party][number] = Received(number, own, message, signature)


class MemoryCourier:
    def __init__(self, post: MemoryPost, own: str) -> None:
        self._post, self._own = post, own

    def send(self, party, message, signature=b"", connection=None):
        self._post.put(self._own, party, message, signature)

    def receive(self):
        if self._own in self._post.offline:
            return []
        return list(self._post.waiting[self._own].values())[:1000]

    def confirm(self, letters):
        for letter in letters:
            self._post.waiting[self._own].pop(letter.number, None)


class FileEraser:
    """Everything of one artefact is a file per subject in a folder; what is erased is unlinked."""

    def __init__(self, artefact: Artefact, folder: Path) -> None:
        self._artefact, self.folder = artefact, folder
        self.calls = 0
        self.broken: set[bytes] = set()
        self.stays = False

    @property
    def artefact(self) -> Artefact:
        return self._artefact

    def file(self, identifier: bytes) -> Path:
        return self.folder / f"{self._artefact}.{identifier.decode()}"

    def fill(self, phones) -> None:
        self.folder.mkdir(exist_ok=True)
        for phone in phones:
            self.file(phone.encode()).touch()

    def erase(self, home, subjects):
        self.calls += 1
        found = []
        for one in subjects:
            if one.identifier in self.broken:
                raise RuntimeError("an eraser that should have said so")
            is_there = self.file(one.identifier).exists()
            if is_there and not self.stays:
                self.file(one.identifier).unlink()
            found.append(
                Outcome(artefact=self._artefact, result=Result.ERASED if is_there else Result.NOT_FOUND)
            )
        return found

    def remains(self, home, subjects):
        return [self.file(one.identifier).exists() for one in subjects]


def erasers_in(folder: Path, phones=()) -> list[FileEraser]:
    found = [FileEraser(artefact, folder) for artefact in Artefact]
    for eraser in found:
        eraser.fill(phones)
    return found


def engine_of(home: NodeHome, post, erasers=(), clock: Clock | None = None, **changes) -> Engine:
    return Engine(home, post.courier(home.settings.name), erasers, now=clock or Clock(), **changes)


def filed(home: NodeHome, clock: Clock, kind: RequestKind = RequestKind.DELETE, who: int = 3, **changes):
    """A request by somebody who was logged in."""
    request = Request(**{"kind": kind, "verified_by": "login"} | changes)
    return Intake(home, now=clock).file(request, phone_of(who)).case.number
