"""A whole job in one process: Flower's own Grid, ServerApp-side driver and ClientApps, without SuperLink or sockets.

The same `Driver`, `PartySession`, roles, frames, sealing and relay as in a deployment; only the HTTP hop is missing.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.common.constant import SUPERLINK_NODE_ID, ErrorCode
from flwr.serverapp import Grid
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity
from gate_scene import admit

from clients.app import make_app
from clients.home import NodeHome, NodeSettings
from clients.sample import risk_fields, segment_fields
from federation.frames import Endpoint
from federation.jobs import Job, PartyPlan, PartyRole
from federation.messages import COORDINATOR
from federation.roster import Enrolment, from_json
from federation.session import Offer
from federation.transport import SessionClosed, Transport
from privacy.errors import SilhouetteError, StaleSnapshot
from server.home import CoordinatorHome
from server.invitation import FlowerInvitation
from server.records import JobRecord, Outcome
from server.relay import Relay, RelayRefused, RelayStale
from server.rounds import Driver


def sample_plans(parties: Iterable[str]) -> tuple[PartyPlan, ...]:
    """What each party of the sample world brings; the bank holds the label."""
    return tuple(
        PartyPlan(
            name=party,
            role=PartyRole.LABEL_HOLDER if party == "bank" else PartyRole.FEATURE_HOLDER,
            segment_fields=segment_fields(party),
            risk_fields=risk_fields(party),
        )
        for party in parties
    )


class LocalGrid(Grid):
    """Flower's Grid over ClientApps in this process: one thread per node, one message at a time."""

    def __init__(self, apps: Mapping[int, ClientApp]) -> None:
        self._apps = apps
        self._run = Run.create_empty(1)
        self._threads = {node: ThreadPoolExecutor(1, f"node-{node}") for node in apps}
        self._futures: dict[str, Future[Message]] = {}
        TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = 1, SUPERLINK_NODE_ID, 1

    def set_run(self, run: Run) -> None:
        self._run = run

    @property
    def run(self) -> Run:
        return self._run

    def get_node_ids(self) -> Iterable[int]:
        return list(self._apps)

    def create_message(self, content, message_type, dst_node_id, group_id, ttl=None) -> Message:
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def _handle(self, message: Message) -> Message:
        node = message.metadata.dst_node_id
        try:
            return self._apps[node](message, Context(1, node, {}, RecordDict(), {}))
        except Exception as error:  # as a node's worker answers
            code = ErrorCode.CLIENT_APP_RAISED_EXCEPTION
            ours = isinstance(error, SilhouetteError)
            reason = error.for_others().render() if ours else type(error).__name__
            return Message(Error(code=code, reason=reason), reply_to=message)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        ids = []
        for message in messages:
            message_id = f"message-{len(self._futures)}-{message.metadata.dst_node_id}"
            message.metadata.__dict__["_message_id"] = message_id
            self._futures[message_id] = self._threads[message.metadata.dst_node_id].submit(
                self._handle, message
            )
            ids.append(message_id)
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        return [self._futures[name].result() for name in message_ids if self._futures[name].done()]

    def send_and_receive(self, messages, *, timeout=None) -> Iterable[Message]:
        return [self._futures[name].result(timeout) for name in self.push_messages(messages)]

    def close(self) -> None:
        for thread in self._threads.values():
            thread.shutdown(wait=True)


class RelayThread:
    """The coordinator's relay on an event loop of its own, reached by calls instead of HTTP."""

    url = "memory://relay"

    def __init__(self, session: str) -> None:
        self.session = session
        self.relay = Relay()
        self.frames: list[tuple[str, str, bytes]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def call(self, coroutine) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def now(self, act, *arguments) -> Any:
        async def run() -> Any:
            return act(*arguments)

        return self.call(run())

    def open(self, tokens: Mapping[str, str]) -> Transport:
        self.now(self.relay.open, self.session, dict(tokens))
        return MemoryTransport(self, COORDINATOR, tokens[COORDINATOR])

    def idle(self) -> dict[str, tuple[float | None, str]]:
        status = self.now(self.relay.status, self.session)
        return {party: (item.idle_seconds, item.state) for party, item in status.items()}

    def close(self) -> None:
        self.now(self.relay.close, self.session)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


class MemoryTransport:
    """A mailbox of `RelayThread`; every frame that is sent is kept for the transcript."""

    def __init__(self, relay: RelayThread, own: str, token: str) -> None:
        self._relay, self._own, self._token = relay, own, token
        self._sent = self._confirmed = 0

    def send(self, recipient: str, frame: bytes) -> None:
        self._sent += 1
        self._relay.frames.append((self._own, recipient, frame))
        arguments = (self._relay.session, self._own, self._token, recipient, self._sent, frame)
        try:
            self._relay.now(self._relay.relay.put, *arguments)
        except RelayRefused:
            raise SessionClosed from None
        except RelayStale:
            raise StaleSnapshot("snapshot_stale_here") from None

    def attest(self, binding: bytes) -> None:
        relay = self._relay
        relay.now(relay.relay.attest, relay.session, self._own, self._token, binding)

    def receive(self, state: str, wait_seconds: float = 1.0) -> bytes | None:
        try:
            item = self._relay.call(
                self._relay.relay.take(
                    self._relay.session, self._own, self._token, self._confirmed, state, wait_seconds
                )
            )
        except RelayRefused:
            raise SessionClosed from None
        if item is None:
            return None
        self._confirmed = item[0]
        return item[1]

    def close(self) -> None:
        pass


@dataclass
class InProcessFederation:
    """Homes of a coordinator and its nodes in one folder, and jobs over them.

    messages: (sender, recipient, plain bytes) of every message that was sealed, in order.
    """

    folder: Path
    tables: Mapping[str, Any]
    accepting: bool = True
    messages: list[tuple[str, str, bytes]] = field(default_factory=list)
    frames: list[tuple[str, str, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.coordinator = CoordinatorHome.create(self.folder / "coordinator", "127.0.0.1", 1, "127.0.0.1")
        self.nodes: dict[str, NodeHome] = {}
        for name, table in self.tables.items():
            plain = {
                "name": name,
                "table": msgspec.to_builtins(table),
                "allow_testing_profile": True,
                "accept_distance_disclosure": self.accepting,
            }
            home = NodeHome.create(self.folder / name, msgspec.convert(plain, NodeSettings))
            self.coordinator.enrol(from_json(home.enrolment_file.read_bytes(), Enrolment, "enrolment"))
            self.nodes[name] = home
        for home in self.nodes.values():
            home.join(self.coordinator.roster)

    def run(self, job: Job, session: str, monkeypatch, *, with_policies: bool = True) -> Outcome:
        """Run one job to its end. `monkeypatch` lets the transcript see messages before they are sealed.

        with_policies: put policies in force that admit the job.
        """
        if with_policies:
            for home in self.nodes.values():
                admit(home, job)
        relay = RelayThread(session)
        monkeypatch.setattr("server.invitation.CLOSE_POLL_SECONDS", 0.005)  # nothing here goes over a network
        self._listen(monkeypatch)

        def app_of(name: str, home: NodeHome) -> ClientApp:
            def connect(offer: Offer) -> Transport:
                return MemoryTransport(relay, name, offer.token)

            return make_app(home, connect, lambda _: None)  # these nodes have no ledger at a coordinator

        ids = {name: number for number, name in enumerate(self.nodes, start=2)}
        grid = LocalGrid({ids[name]: app_of(name, home) for name, home in self.nodes.items()})
        record = JobRecord.create(self.coordinator, job)
        invitation = FlowerInvitation(grid, ids, job.deadlines)
        coordinator, store = self.coordinator, self.coordinator.unfinished(job.digest)
        Driver(
            job, record, coordinator.identity, coordinator.roster, relay, invitation, store, coordinator.audit
        ).run()
        grid.close()
        relay.stop()
        self.frames += relay.frames
        outcome = record.outcome
        assert outcome is not None
        return outcome

    def _listen(self, monkeypatch) -> None:
        from federation import wire

        messages, seal = self.messages, Endpoint.seal

        def listening(endpoint: Endpoint, recipient: str, stage: int, message: Any) -> list[bytes]:
            messages.append((endpoint.own, recipient, wire.encode(message)))
            return seal(endpoint, recipient, stage, message)

        monkeypatch.setattr(Endpoint, "seal", listening)
