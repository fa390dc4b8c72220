"""Drives one job over Flower: invites the parties by Flower messages, then runs the stages in session frames.

Every wait has a deadline and every deadline names a party: `join` until all have answered the invitation, `silence`
without a sign of life at the relay, `step` without any progress of the job.
"""

from __future__ import annotations

import secrets
import time
import traceback
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import msgspec

from federation import session as control
from federation.frames import Endpoint, Received
from federation.insight import SegmentProfile
from federation.jobs import Job, Stage, encode_job
from federation.messages import COORDINATOR, Outgoing
from federation.pace import Every
from federation.roles import Role, Store
from federation.roster import Roster
from federation.transport import SessionClosed, Transport
from federation.wire import tag_of
from privacy.errors import (
    DeadlinePassed,
    PeerDropped,
    PeerFailed,
    Refused,
    SilhouetteError,
    UnexpectedMessage,
    is_refusal,
)
from privacy.sealing import Identity
from privacy.texts import LANGUAGES, current_language
from server.invitation import Invitation, RelayControl
from server.records import JobRecord
from server.stages import coordinator_role

WATCH_SECONDS: Final = 1.0
"""How often the driver looks at the parties' signs of life while it waits."""
RELEASES: Final = (control.MatchRelease, control.ClusterRelease, control.RiskRelease, SegmentProfile)


@dataclass(slots=True)
class _StageState:
    """What the driver knows of the stage that runs."""

    number: int
    role: Role | None
    waiting: set[str]
    started: float = field(default_factory=time.monotonic)
    traffic: dict[str, Any] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        return not self.waiting and (self.role is None or self.role.result is not None)


class Driver:
    """One attempt at one job."""

    def __init__(
        self,
        job: Job,
        record: JobRecord,
        identity: Identity,
        roster: Roster,
        relay: RelayControl,
        invitation: Invitation,
        store: Store,
    ) -> None:
        """store: what an earlier attempt at this job left for the coordinator's roles."""
        self._job = job
        self._store = store
        self._record = record
        self._relay = relay
        self._invitation = invitation
        self._parties = job.roles.all
        peers = roster.identities(without=COORDINATOR)
        missing = [party for party in self._parties if party not in peers]
        if missing:
            raise PeerDropped("party_not_enrolled", party=", ".join(missing))
        self._endpoint = Endpoint(
            COORDINATOR, identity, {party: peers[party] for party in self._parties}, relay.session, job.digest
        )
        self._transport: Transport | None = None
        self._moved = time.monotonic()
        self._looks, self._notes = Every(WATCH_SECONDS), Every(WATCH_SECONDS)
        self._is_refused = False
        self._outside = set(self._parties)
        """Parties that have not joined yet: only of these does Flower itself tell anything new."""
        self._releases: dict[str, dict[str, Any]] = {}

    def run(self) -> None:
        """Run all stages; the outcome is in the record either way."""
        try:
            result = self._drive()
        except SilhouetteError as error:
            self._is_refused = self._is_refused or is_refusal(error.code)
            if self._is_refused:
                self._store.clear()
            self._record.fail(error)
            self._abort(error)
        except Exception as error:
            failure = PeerFailed("coordinator_failed", problem=type(error).__name__, job=self._record.job_id)
            self._record.write_trace(traceback.format_exc())
            self._record.fail(failure)
            self._abort(failure)
            raise
        else:
            self._store.clear()
            self._record.finish(result)
            self._invitation.wait_closed()
        finally:
            self._relay.close()

    def _drive(self) -> dict[str, Any]:
        started = time.monotonic()
        tokens = {name: secrets.token_urlsafe(32) for name in (*self._parties, COORDINATOR)}
        self._record.event("inviting", parties=list(self._parties), session=self._relay.session)
        self._transport = self._relay.open(tokens)
        offers = {
            party: control.Offer(self._relay.session, self._relay.url, tokens[party], encode_job(self._job))
            for party in self._parties
        }
        self._invitation.send(offers)
        self._await_ready()
        seconds = {"join": round(time.monotonic() - started, 3)}
        traffic = {}
        for number, stage in enumerate(self._job.stages, start=1):
            state = self._run_stage(number, stage)
            seconds[stage.value] = round(time.monotonic() - state.started, 3)
            traffic[stage.value] = state.traffic
        for party in self._parties:
            self._send([Outgoing(party, control.EndSession())], 0)
        return {"seconds": seconds, "traffic": traffic, "releases": self._releases}

    def _await_ready(self) -> None:
        give_up = time.monotonic() + self._job.deadlines.join
        while self._outside:
            received = self._receive()
            if received is not None and isinstance(received.message, control.Ready):
                self._outside.discard(received.sender)
                self._record.event("joined", party=received.sender, version=received.message.version)
            elif time.monotonic() > give_up:
                raise PeerDropped("party_did_not_join", party=", ".join(sorted(self._outside)))

    def _run_stage(self, number: int, stage: Stage) -> _StageState:
        self._record.event("stage_started", stage=stage.value, number=number, of=len(self._job.stages))
        state = _StageState(number, coordinator_role(stage, self._job, self._store), set(self._parties))
        self._send(
            [Outgoing(party, control.StartStage(stage=number, name=stage.value)) for party in self._parties],
            number,
        )
        if state.role is not None:
            self._send(state.role.start(), number)
        while not state.finished:
            received = self._receive()
            if received is not None:
                self._handle(received, state)
        self._record.event("stage_finished", stage=stage.value)
        return state

    def _handle(self, received: Received, state: _StageState) -> None:
        sender, message = received.sender, received.message
        if received.stage != state.number:
            raise UnexpectedMessage(
                "unexpected_message", role=COORDINATOR, message=tag_of(message), sender=sender
            )
        match message:
            case control.StageProgress(done=done, total=total, step=step):
                self._record.event("progress", party=sender, done=done, total=total, step=step)
            case control.StageFinished():
                state.waiting.discard(sender)
                state.traffic[sender] = {
                    "seconds": round(message.seconds, 3),
                    "bytes_sent": message.bytes_sent,
                    "bytes_received": message.bytes_received,
                    "received": message.received,
                    "peak_memory_bytes": message.peak_memory_bytes,
                }
            case _ if isinstance(message, RELEASES):
                self._releases.setdefault(sender, {})[tag_of(message)] = msgspec.to_builtins(message)
            case _ if state.role is not None:
                self._send(state.role.receive(sender, message), state.number)
                self._note_progress(state.role)
            case _:
                raise UnexpectedMessage(
                    "unexpected_message", role=COORDINATOR, message=tag_of(message), sender=sender
                )

    def _note_progress(self, role: Role) -> None:
        """The coordinator's own progress, among the parties'."""
        if not self._notes.is_due():
            return
        done, total, step = role.progress.done, role.progress.total, role.progress.step
        self._record.event("progress", party=COORDINATOR, done=done, total=total, step=step)

    def _send(self, outgoing: list[Outgoing], stage: int) -> None:
        assert self._transport is not None  # noqa: S101 (set before anything is sent)
        for out in outgoing:
            for frame in self._endpoint.seal(out.to, stage, out.message):
                self._transport.send(out.to, frame)

    def _receive(self) -> Received | None:
        """The next whole message, or None after a short wait. Raises what the parties' state calls for."""
        assert self._transport is not None  # noqa: S101
        frame = self._transport.receive("driving", WATCH_SECONDS)
        self._watch()
        if frame is None:
            return None
        received = self._endpoint.open(frame)
        self._moved = time.monotonic()
        if received is not None and isinstance(received.message, control.StageFailed):
            text = received.message.texts.get(current_language(), received.message.code)
            self._is_refused = is_refusal(received.message.code)
            raise PeerFailed("peer_failed", party=received.sender, problem=text)
        return received

    def _watch(self) -> None:
        if not self._looks.is_due():
            return
        if self._outside:
            for party, reason in self._invitation.refusals().items():
                if party in self._outside:
                    raise PeerFailed("peer_failed", party=party, problem=reason)
        deadlines = self._job.deadlines
        idle = self._relay.idle()
        silent = [
            party
            for party in self._parties
            if (seconds := idle[party][0]) is not None and seconds > deadlines.silence
        ]
        if silent:
            raise PeerDropped("party_silent", party=", ".join(silent), seconds=deadlines.silence)
        if time.monotonic() - self._moved > deadlines.step:
            busy = [party for party in self._parties if not idle[party][1].startswith("waiting")]
            raise DeadlinePassed(
                "step_deadline", party=", ".join(busy or self._parties), seconds=deadlines.step
            )

    def _abort(self, error: SilhouetteError) -> None:
        """Tell whoever still listens, without minding those who do not."""
        if self._transport is None:
            return
        code = Refused.code if self._is_refused else error.code
        texts = {language: error.render(language) for language in LANGUAGES}
        abort = control.Abort(code=code, texts=texts)
        for party in self._parties:
            try:
                self._send([Outgoing(party, abort)], 0)
            except (SilhouetteError, SessionClosed, httpx.HTTPError, OSError):
                continue
        self._invitation.wait_closed()
