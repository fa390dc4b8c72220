"""A small world for the acceptance scenarios: people who exist nowhere, what they agreed to, and a search for leaks.

Homes, vaults, policies, consent stores, relay, driver and party sessions are the real ones (`in_process`).
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import partial
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient
from gate_scene import policy_for
from in_process import InProcessFederation
from needles import found_in_bytes

from clients.consents.node import changes_of
from clients.consents.tables import Source
from clients.context import StageContext
from clients.gate.gate import Gate, utc_now
from clients.gate.policy import activate
from clients.home import NodeHome
from clients.sample.dirt import PHONE_PREFIX, resident_ids
from clients.tables import ConsentSpec, FieldSpec, TableSpec
from federation.audit_log import AuditLog
from federation.frames import Endpoint
from federation.jobs import Deadlines, Job, PartyPlan, PartyRole, RiskPlan, SegmentsPlan
from federation.messages import COORDINATOR, Message
from federation.transport import HttpTransport
from privacy.audit import Event, EventType
from privacy.consent import PROVIDE, SENSITIVE
from privacy.identifiers import IdentifierKind
from privacy.policy import Policy
from server.records import Outcome
from server.service import stale_noted_in
from server.web import create_app

PEOPLE = 90
K_MIN = 5
FIELDS = {
    "bank": ("monthly_income", "tenure_months"),
    "shop": ("average_order_value", "orders_12m"),
    "telecom": ("monthly_spend", "network_age_months"),
}
"""Per party: a column of amounts with six odd decimals, which no honest figure has, and one of small numbers."""
NOTICE = "notice-1"
SENSITIVE_OF = {"bank": ("financial_situation",)}
"""Categories for which lending needs a separate consent."""


def phones_of(people: int) -> list[str]:
    """Numbers that no person can have, far from each other."""
    return [f"{PHONE_PREFIX}{(700_000_001 + 7_919_317 * number) % 10**9:09d}" for number in range(people)]


def fields_of(party: str, *more: str) -> tuple[str, ...]:
    """The columns that a party brings to a job."""
    return (*FIELDS[party], *more)


def plan_of(party: str, fields: tuple[str, ...] | None = None) -> PartyPlan:
    """The bank asks and holds the label."""
    named = FIELDS[party] if fields is None else fields
    role = PartyRole.LABEL_HOLDER if party == "bank" else PartyRole.FEATURE_HOLDER
    return PartyPlan(name=party, role=role, segment_fields=named, risk_fields=named)


def segments_job(
    purpose: str = "marketing", parties: tuple[str, ...] = ("bank", "shop"), **changes: Any
) -> Job:
    """Matching and k-means."""
    job = Job(
        name="scenario",
        purpose=purpose,
        profile="TESTING_ONLY",
        parties=tuple(map(plan_of, parties)),
        segments=SegmentsPlan(n_clusters=3, n_init=1),
        deadlines=Deadlines(join=30, silence=30, step=60),
    )
    return msgspec.structs.replace(job, **changes)


def lending_job(**changes: Any) -> Job:
    """Matching, trees and scores."""
    return segments_job("credit_risk", segments=None, risk=RiskPlan(trees=2, depth=2, bins=8), **changes)


def with_fields(job: Job, party: str, *fields: str) -> Job:
    """The job with other columns of one party."""
    parties = (plan_of(party, fields) if plan.name == party else plan for plan in job.parties)
    return msgspec.structs.replace(job, parties=tuple(parties))


OnSeal = Callable[[str, str, Message], None]


def _watch_seals(patch: pytest.MonkeyPatch, on_seal: OnSeal) -> None:
    seal = Endpoint.seal

    def watched(endpoint: Endpoint, recipient: str, stage: int, message: Message) -> list[bytes]:
        on_seal(endpoint.own, recipient, message)
        return seal(endpoint, recipient, stage, message)

    patch.setattr(Endpoint, "seal", watched)


class _PartysClient:
    """The public application as one party calls it."""

    def __init__(self, client: TestClient, own: str, token: str) -> None:
        self._client, self._headers = client, {"authorization": f"Bearer {token}", "x-party": own}

    def request(self, method: str, path: str, headers: dict[str, str], content: bytes | None) -> Any:
        return self._client.request(method, path, headers={**headers, **self._headers}, content=content)

    def close(self) -> None:
        pass


class _OverHttp(HttpTransport):
    """A mailbox behind the application's routes; only TLS and sockets are missing."""

    def __init__(self, relay: HttpRelay, own: str, token: str) -> None:
        self._http = _PartysClient(relay.client, own, token)
        self._path = f"/relay/{relay.session}"
        self._sent = self._confirmed = 0
        self._relay, self._own = relay, own

    def send(self, recipient: str, frame: bytes) -> None:
        self._relay.frames.append((self._own, recipient, frame))
        super().send(recipient, frame)


class HttpRelay:
    """What `in_process.RelayThread` is, over the coordinator's public application (`server.web.create_app`)."""

    url = "memory://relay"
    SECRET = "the driver's secret"

    def __init__(self, log: AuditLog, session: str) -> None:
        self.session = session
        self.frames: list[tuple[str, str, bytes]] = []
        trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        app = create_app("https://127.0.0.1:1", trust, self.SECRET, stale_noted_in(log))
        self.client = TestClient(app, base_url="https://coordinator.example").__enter__()
        self._driver = {"authorization": f"Bearer {self.SECRET}"}

    def transport(self, own: str, token: str) -> _OverHttp:
        return _OverHttp(self, own, token)

    def open(self, tokens: Mapping[str, str]) -> _OverHttp:
        answer = self.client.put(f"/relay/{self.session}", json=dict(tokens), headers=self._driver)
        answer.raise_for_status()
        return _OverHttp(self, COORDINATOR, tokens[COORDINATOR])

    def idle(self) -> dict[str, tuple[float | None, str]]:
        status = self.client.get(f"/relay/{self.session}/status", headers=self._driver).json()
        return {party: (item["idle_seconds"], item["state"]) for party, item in status.items()}

    def close(self) -> None:
        self.client.delete(f"/relay/{self.session}", headers=self._driver)

    def stop(self) -> None:
        self.client.__exit__(None, None, None)


class World:
    """The parties' files as data frames until `build`, then their homes.

    tables, consents: what will be written; change them before `build`. logs: what Python's loggers were told.
    """

    def __init__(self, folder, monkeypatch, parties=("bank", "shop"), people=PEOPLE):
        self.folder, self.monkeypatch, self.parties = folder, monkeypatch, tuple(parties)
        self.phones = phones_of(people)
        self.tables = {party: self._table(party, people) for party in parties}
        self.specs = {party: self._spec(party) for party in parties}
        self.consents: dict[str, list[dict[str, str]]] = {party: [] for party in parties}
        self.logs: list[str] = []
        self.outcomes: list[Outcome] = []
        self.clocks: dict[str, Callable[[], datetime]] = {}
        """The present of some parties' gates, where it is another."""
        self.contexts: dict[str, StageContext] = {}
        """What each party has of the last session, by name."""
        self._runs = 0
        monkeypatch.setattr("server.rounds.WATCH_SECONDS", 0.05)
        monkeypatch.setattr("clients.session.Gate", self._gate)
        monkeypatch.setattr("clients.session.StageContext", self._context)

    def _gate(self, home: NodeHome, job: Job, session: str) -> Gate:
        return Gate(home, job, session, self.clocks.get(home.settings.name, utc_now))

    def _context(self, home: NodeHome, *arguments: Any) -> StageContext:
        made = self.contexts[home.settings.name] = StageContext(home, *arguments)
        return made

    # --- before anything is written

    def _table(self, party: str, people: int) -> pd.DataFrame:
        """Everybody is a customer everywhere; two groups of people that k-means tells apart."""
        rng = np.random.default_rng([*party.encode(), people])
        group = np.arange(people) % 2
        amounts, small = FIELDS[party]
        births = [date(1980 + number % 20, 1 + number % 12, 1 + number % 28) for number in range(people)]
        table = pd.DataFrame({"phone": self.phones, "birth_date": [born.isoformat() for born in births]})
        table["resident_id"] = resident_ids(births, [bool(number % 2) for number in range(people)])
        table[amounts] = np.round(3_000 + 4_000 * group + 900 * rng.random(people), 6)
        table[small] = 6 + 30 * group + rng.integers(0, 12, people)
        table["remark"] = [f"CANARY-{party.upper()}-{rng.bytes(6).hex()}" for _ in range(people)]
        if party == "bank":
            table["default_12m"] = ((np.arange(people) // 3) % 3 == 0).astype(int)
        return table

    def _spec(self, party: str) -> TableSpec:
        return TableSpec(
            path=str(self.folder / party / "customers.csv"),
            id_column="phone",
            id_kind=IdentifierKind.PHONE,
            extra_prefixes=(PHONE_PREFIX,),
            fields=tuple(FieldSpec(name=name) for name in FIELDS[party]),
            label_column="default_12m" if party == "bank" else None,
            consents=ConsentSpec(
                path=str(self.folder / party / "consents.csv"),
                id_column="phone",
                kind_column="kind",
                scope_column="scope",
                recipient_column="recipient",
                notice_column="notice",
                stated_column="stated",
                until_column="until",
                notice=NOTICE,
            ),
            birth_date_column="birth_date",
        )

    def register(self, party: str, *fields: FieldSpec, **changes: Any) -> None:
        """More columns of a party's table, or other settings of its registration."""
        spec = self.specs[party]
        self.specs[party] = msgspec.structs.replace(spec, fields=(*spec.fields, *fields), **changes)

    def word(self, party: str, purpose: str, who: list[str] | None = None, **about: str) -> None:
        """Rows of a party's consent log: granted, general and to the registered notice unless said otherwise."""
        usual = {"kind": "general", "scope": "", "recipient": "", "status": "granted", "notice": ""}
        for phone in self.phones if who is None else who:
            row = {"phone": phone, "purpose": purpose, **usual, "stated": "", "until": "", **about}
            self.consents[party].append(row)

    def agree(self, purpose: str = "marketing", who: list[str] | None = None, without: str = "") -> None:
        """Everything that a purpose needs, at every party. without: a kind of consent that nobody gives."""
        for party in self.parties:
            others = ";".join(name for name in self.parties if name != party)
            if without != "general":
                self.word(party, purpose, who)
            if without != PROVIDE:
                self.word(party, purpose, who, kind="separate", scope=PROVIDE, recipient=others)
            for category in SENSITIVE_OF.get(party, ()) if purpose == "credit_risk" else ():
                if without != SENSITIVE:
                    self.word(party, purpose, who, kind="separate", scope=SENSITIVE + category)

    def build(self) -> World:
        """Write the files and make the homes."""
        for party in self.parties:
            self.write(party)
        self.federation = InProcessFederation(self.folder / "homes", self.specs)
        return self

    def write(self, party: str) -> None:
        """A party's files as they are now."""
        (self.folder / party).mkdir(exist_ok=True)
        self.tables[party].to_csv(self.specs[party].path, index=False)
        consents = self.specs[party].consents
        if consents is not None:
            columns = (
                "phone",
                "purpose",
                "kind",
                "scope",
                "recipient",
                "status",
                "notice",
                "stated",
                "until",
            )
            pd.DataFrame(self.consents[party], columns=columns).to_csv(consents.path, index=False)

    # --- the parties

    @property
    def nodes(self) -> dict[str, NodeHome]:
        return self.federation.nodes

    def home(self, party: str) -> NodeHome:
        return self.nodes[party]

    def policy(self, party: str, job: Job, **changes: Any) -> Policy:
        """What a compliance officer of the party would have in force for the job, with changes to its purpose."""
        draft = policy_for(self.home(party), job, **changes)
        return msgspec.structs.replace(draft, is_draft=False)

    def admit(self, job: Job, *, without: tuple[str, ...] = (), **changes: Any) -> None:
        """Such a policy at everybody but `without`."""
        for party in self.parties:
            if party not in without:
                activate(self.home(party), self.policy(party, job, **changes))

    def changes(self, party: str):
        """How a party's people change what they have said."""
        return changes_of(self.home(party), Source.CLI)

    def withdraw(self, party: str, *phones: str, **about: Any) -> None:
        changes = self.changes(party)
        changes.withdraw(changes.identifiers(phones), **about)

    # --- jobs

    def run(self, job: Job, on_seal: OnSeal | None = None, *, over_http: bool = False) -> Outcome:
        """One attempt at a job, to its end.

        on_seal: told sender, recipient and message before it is sealed. over_http: the relay is the coordinator's
        public application instead of calls.
        """
        self._runs += 1
        self.session = session = f"{self._runs:02d}5e551" * 5
        handler = logging.Handler()
        handler.emit = lambda record: self.logs.append(handler.format(record))
        logging.getLogger().addHandler(handler)
        try:
            with self.monkeypatch.context() as patch:
                if on_seal is not None:
                    _watch_seals(patch, on_seal)
                if over_http:
                    patch.setattr(
                        "in_process.RelayThread", partial(HttpRelay, self.federation.coordinator.audit)
                    )
                    patch.setattr("in_process.MemoryTransport", HttpRelay.transport)
                outcome = self.federation.run(job, session, patch, with_policies=False)
        finally:
            logging.getLogger().removeHandler(handler)
        self.outcomes.append(outcome)
        return outcome

    def log_of(self, owner: str):
        return self.federation.coordinator.audit if owner == COORDINATOR else self.home(owner).audit

    def events(self, owner: str, kind: EventType | None = None) -> list[Event]:
        """A party's or the coordinator's log."""
        return [event for event in self.log_of(owner).events() if kind is None or event.type is kind]

    def customers(self, party: str, job: Job) -> pd.DataFrame:
        """What a party's own people find after the last run of a job."""
        file = self.home(party).results / f"{job.name}-{self.session[:8]}" / "customers.csv"
        return pd.read_csv(file, dtype={"identifier": str})

    # --- leaks

    def needles(self) -> list[bytes]:
        """Every identifier and odd cell of the world, as text and as the floats that a leak would send."""
        found = []
        for party, table in self.tables.items():
            for column in ("phone", "resident_id", "remark"):
                found += [str(cell).encode() for cell in table[column]]
            amounts = table[FIELDS[party][0]].to_numpy(np.float64)
            found += [repr(float(value)).encode() for value in amounts]
            found += [value.tobytes() for value in amounts]
        return found

    def leaks(self) -> list[bytes]:
        """Which of them are in a message, a frame, an outcome, a log line, or any file of the homes but the results."""
        texts = [text for outcome in self.outcomes for text in outcome.texts.values()]
        places = [message for *_, message in self.federation.messages]
        places += [frame for *_, frame in self.federation.frames]
        places += [text.encode() for text in (*self.logs, *texts)]
        places += [
            file.read_bytes()
            for file in sorted(self.federation.folder.rglob("*"))
            if file.is_file() and "results" not in file.parts
        ]
        everything = b"\n".join(places)
        return found_in_bytes(everything, self.needles())


def funnel_of(outcome: Outcome, party: str) -> dict[str, int]:
    """How a party's table shrank to the matched rows."""
    released = outcome.result["releases"][party]["session.match_release/1"]
    return {name: released[name] for name in ("rows", "eligible", "matched")}


def refused(world: World, outcome: Outcome, party: str, *codes: str) -> Event:
    """The job is refused by this party for exactly these reasons, with an event, and nothing has leaked."""
    assert outcome.status == "failed"
    assert outcome.texts.keys() == {"en", "zh-CN"}
    for text in outcome.texts.values():
        assert [code for code in codes if code not in text] == [], text
    event = world.events(party, EventType.DATASET_REFUSED)[-1]
    assert set(event.reasons) == set(codes)
    assert world.leaks() == []
    return event


def read_nothing(world: World, party: str) -> None:
    """Not a row of the party's was looked at for the job."""
    assert world.events(party, EventType.DATASET_ADMITTED) == []
    assert world.events(party, EventType.MINIMISE_APPLIED) == []
    assert world.home(party).consents.version == 0


def at_noon(day: date) -> datetime:
    """A moment in the middle of a day, in this computer's zone."""
    return datetime(day.year, day.month, day.day, 12).astimezone()
