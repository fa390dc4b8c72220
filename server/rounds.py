"""Drives one job over Flower: invites the parties by Flower messages, then runs the stages in session frames.

Every wait has a deadline and every deadline names a party: `join` until all have answered the invitation, `silence`
without a sign of life at the relay, `step` without any progress of the job.
"""

from __future__ import annotations

import contextlib
import secrets
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import msgspec

from federation import session as control
from federation.audit_log import AuditLog
from federation.frames import Endpoint, Received
from federation.insight import SegmentProfile
from federation.jobs import Job, Stage, encode_job
from federation.messages import COORDINATOR, Outgoing
from federation.pace import Every
from federation.roles import Role, Store
from federation.roster import Roster
from federation.transport import SessionClosed, Transport
from federation.wire import tag_of
from federation.witnessing import CheckpointExchange
from privacy.audit import EventType
from privacy.errors import (
    DeadlinePassed,
    LogUnavailable,
    PeerDropped,
    PeerFailed,
    Refused,
    SilhouetteError,
    UnexpectedMessage,
    is_refusal,
    reasons_of,
)
from privacy.reasons import Reason
from privacy.sealing import Identity
from privacy.texts import LANGUAGES, current_language
from server.certificate import certify_erasure
from server.invitation import Invitation, RelayControl
from server.records import JobRecord
from server.stages import coordinator_role

WATCH_SECONDS: Final = 1.0
"""How often the driver looks at the parties' signs of life while it waits."""
RELEASES: Final = (
    control.MatchRelease,
    control.ClusterRelease,
    control.RiskRelease,
    control.ScorecardRelease,
    SegmentProfile,
)


def _added(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """The parties' traffic of two runs of the same stage; of the memory the larger figure."""
    if not before:
        return now
    added: dict[str, Any] = {}
    for party, counts in now.items():
        earlier = before[party]
        added[party] = {
            "seconds": round(earlier["seconds"] + counts["seconds"], 3),
            "peak_memory_bytes": max(earlier["peak_memory_bytes"], counts["peak_memory_bytes"]),
            **{
                name: dict(Counter(earlier[name]) + Counter(counts[name]))
                for name in ("bytes_sent", "bytes_received", "received")
            },
        }
    return added


@dataclass(slots=True)
class _StageState:
    """What the driver knows of the stage that runs."""

    number: int
    role: Role | None
    waiting: set[str]
    is_void: bool = False
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
        log: AuditLog,
    ) -> None:
        """store: what an earlier attempt at this job left for the coordinator's roles; log: the coordinator's."""
        self._job = job
        self._store = store
        self._identity = identity
        self._log = log
        self._record = record
        self._relay = relay
        self._invitation = invitation
        self._parties = job.roles.all
        peers = roster.identities(without=COORDINATOR)
        missing = [party for party in self._parties if party not in peers]
        if missing:
            raise PeerDropped("party_not_enrolled", party=", ".join(missing))
        self._peers = {party: peers[party] for party in self._parties}
        self._endpoint = Endpoint(COORDINATOR, identity, self._peers, relay.session, job.digest)
        self._transport: Transport | None = None
        self._moved = time.monotonic()
        self._looks, self._notes = Every(WATCH_SECONDS), Every(WATCH_SECONDS)
        self._is_refused = False
        self._outside = set(self._parties)
        """Parties that have not joined yet: only of these does Flower itself tell anything new."""
        self._releases: dict[str, dict[str, Any]] = {}
        self._attested: dict[str, bytes] = {}
        self._void: set[int] = set()
        self._voids = 0
        """How often a party has said that what runs is void."""
        self._must_rematch = False

    def run(self) -> None:
        """Run all stages; the outcome is in the record either way."""
        try:
            result = self._drive()
        except SilhouetteError as error:
            self._is_refused = self._is_refused or is_refusal(error.code)
            if self._is_refused:
                self._store.clear()
            self._note_refusal(COORDINATOR, reasons_of(error))
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
            self._invitation.wait_closed()  # first: the parties write their results when they hear of the end
            self._record.finish(result)
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
        place = number = 0
        while place < len(self._job.stages):
            stage, number = self._job.stages[place], number + 1
            state = self._run_stage(number, stage)
            if state.is_void:
                self._void.add(number)
                self._record.event("round_voided", stage=stage.value)
                self._note(EventType.ROUND_VOIDED, stage=stage.value)
                place = 0 if self._must_rematch else place
                self._must_rematch = False
                continue
            seconds[stage.value] = round(time.monotonic() - state.started, 3)
            traffic[stage.value] = state.traffic
            place += 1
            number = self._witness(number, traffic)
            if self._must_rematch:
                place, self._must_rematch = 0, False
        for party in self._parties:
            self._send([Outgoing(party, control.EndSession())], 0)
        return {"seconds": seconds, "traffic": traffic, "releases": self._releases}

    def _witness(self, number: int, traffic: dict[str, Any]) -> int:
        """Everybody signs the state of everybody's log; returns the number of the last stage that ran."""
        while not self._must_rematch:
            number += 1
            state = self._run_stage(number, Stage.WITNESS)
            if not state.is_void:
                traffic[Stage.WITNESS.value] = _added(traffic.get(Stage.WITNESS.value, {}), state.traffic)
                break
            self._void.add(number)
        return number

    def _await_ready(self) -> None:
        give_up = time.monotonic() + self._job.deadlines.join
        while self._outside:
            received = self._receive()
            if received is not None and isinstance(received.message, control.Attestation):
                self._note_attestation(received.sender, received.message)
            elif received is not None and isinstance(received.message, control.Ready):
                self._check_attested(received.sender)
                self._outside.discard(received.sender)
                self._record.event("joined", party=received.sender, version=received.message.version)
            elif time.monotonic() > give_up:
                raise PeerDropped("party_did_not_join", party=", ".join(sorted(self._outside)))

    def _run_stage(self, number: int, stage: Stage) -> _StageState:
        role: Role | None
        if stage is Stage.WITNESS:
            role = CheckpointExchange(COORDINATOR, self._peers, self._log)
        else:
            place = 1 + self._job.stages.index(stage)
            self._record.event("stage_started", stage=stage.value, number=place, of=len(self._job.stages))
            self._note(EventType.ROUND_OPENED, stage=stage.value)
            role = coordinator_role(stage, self._job, self._store)
        state = _StageState(number, role, set(self._parties))
        self._send(
            [
                Outgoing(party, control.StartStage(stage=number, name=stage.value, voids=self._voids))
                for party in self._parties
            ],
            number,
        )
        if state.role is not None:
            self._send(state.role.start(), number)
        while not state.finished and not state.is_void:
            received = self._receive()
            if received is not None:
                self._handle(received, state)
        if state.is_void:
            return state
        if stage is not Stage.WITNESS:
            self._record.event("stage_finished", stage=stage.value)
            self._note(EventType.ROUND_AGGREGATED, stage=stage.value)
        return state

    def _handle(self, received: Received, state: _StageState) -> None:
        sender, message = received.sender, received.message
        match message:
            case control.StageVoided(rematch=rematch):
                state.is_void = True
                self._voids += 1
                self._must_rematch = self._must_rematch or rematch
                return
            case control.Attestation():
                self._note_attestation(sender, message)
                return
        if received.stage in self._void:
            return  # sent before its sender knew that the stage is void
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
                sent = sum(message.bytes_sent.values())
                self._record.event("party_finished", party=sender, bytes_sent=sent)
            case _ if isinstance(message, RELEASES):
                self._releases.setdefault(sender, {})[tag_of(message)] = msgspec.to_builtins(message)
            case _ if state.role is not None:
                self._send(state.role.receive(sender, message), state.number)
                self._note_progress(state.role)
            case _:
                raise UnexpectedMessage(
                    "unexpected_message", role=COORDINATOR, message=tag_of(message), sender=sender
                )

    def _certify_erasure(self, party: str) -> None:
        """An agreement has ended: what is held for the job goes, and the coordinator signs that it has (PIPL 21)."""
        done = certify_erasure(
            self._record, self._identity, self._store, party, self._job.digest, self._relay.session
        )
        self._note(EventType.AGREEMENT_TERMINATED, artefact=party, numbers={"erased": done.erased})

    def _check_attested(self, party: str) -> None:
        """No party joins without having said under which policy it works. Raises `UnexpectedMessage`."""
        if not self._endpoint.has_attested(party):
            raise UnexpectedMessage(
                "unexpected_message", role=COORDINATOR, message="session.ready/1", sender=party
            )

    def _note_attestation(self, party: str, message: control.Attestation) -> None:
        """What a party works on, for the log: with it everything that the party sends can be told to its snapshot."""
        if self._attested.get(party) == message.binding:
            return
        self._attested[party] = message.binding
        digests = {"policy": message.policy, "schema": message.schema, "binding": message.binding.hex()}
        if message.snapshot:
            digests["snapshot"] = message.snapshot
        self._note(EventType.ROUND_UPDATE_ACCEPTED, artefact=party, digests=digests)

    def _note(self, event: EventType, **fields: Any) -> None:
        """One event of this job in the coordinator's log. Raises `LogUnavailable`: without a log nothing goes on."""
        self._log.append(event, actor="driver", job=self._job.digest, session=self._relay.session, **fields)

    def _note_refusal(self, who: str, reasons: tuple[Reason, ...]) -> None:
        """A party, or a role of the coordinator's own, refuses to go on. Without a log the failure stands alone."""
        if reasons:
            with contextlib.suppress(LogUnavailable):
                self._note(EventType.ROUND_UPDATE_REFUSED, artefact=who, reasons=reasons)

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
            self._note_refusal(received.sender, received.message.reasons)
            if Reason.AGREEMENT_EXPIRED in received.message.reasons:
                self._certify_erasure(received.sender)
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
