"""A party's side of one session: joins the relay, runs its role in each stage, reports to the coordinator."""

from __future__ import annotations

import contextlib
import resource
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Final

import numpy as np

from clients.approvals.deciding import missing_approval, taken_back
from clients.approvals.obstacles import settings_against
from clients.context import StageContext, forget_keys, forget_stale
from clients.gate.gate import Gate
from clients.gate.watch import ConsentWatch
from clients.home import NodeHome
from clients.inbox import Inbox
from clients.stages import PartyStage, build_stage
from clients.validation.disclosing import Counted, add_stage
from clients.validation.from_job import write_reports
from clients.validation.record import StageTraffic
from federation import session as control
from federation.frames import Endpoint, Received
from federation.jobs import Stage, decode_job
from federation.messages import COORDINATOR, Message, Outgoing
from federation.pace import Every
from federation.roles import Progress
from federation.transport import HttpTransport, SessionClosed, Transport
from federation.wire import tag_of
from privacy.audit import EventType
from privacy.errors import (
    Denied,
    LogUnavailable,
    MessageInvalid,
    PeerDropped,
    PeerFailed,
    SilhouetteError,
    StaleSnapshot,
    UnexpectedMessage,
    is_refusal,
    reasons_of,
)
from privacy.texts import LANGUAGES, current_language

PROGRESS_SECONDS: Final = 0.5
"""The least time between two progress notes."""
MAX_REMATCHES: Final = 32
MAX_VOIDS: Final = 4096
"""How often others may make a session's matching, or any of its stages, begin again: each time tells them something."""
MAX_EARLY_MESSAGES: Final = 16
"""Messages of a later stage that may wait until this party enters it."""

Connect = Callable[[control.Offer], Transport]


def connect_http(home: NodeHome) -> Connect:
    """How a deployed node reaches the relay: only at the pinned URL, with the pinned certificate."""
    roster = home.roster

    def connect(offer: control.Offer) -> Transport:
        if offer.relay != roster.url:
            raise UnexpectedMessage("relay_not_pinned")
        return HttpTransport(roster.url, roster.certificate, offer.session, home.settings.name, offer.token)

    return connect


class PartySession:
    """One session of one party, from the offer to the end."""

    def __init__(self, home: NodeHome, offer: control.Offer, connect: Connect) -> None:
        self._home = home
        self._own = home.settings.name
        self._job = decode_job(offer.job)
        self._check_job()
        home.vault.use_session(offer.session)
        peers = home.roster.identities(without=self._own)
        members = {*self._job.roles.all, COORDINATOR} - {self._own}
        if not members <= peers.keys():
            raise UnexpectedMessage("job_with_strangers", party=", ".join(sorted(members - peers.keys())))
        keys = {name: peers[name] for name in members}
        self._endpoint = Endpoint(
            self._own,
            home.identity,
            keys,
            offer.session,
            self._job.digest,
        )
        forget_keys(home)
        forget_stale(home)
        _ = home.audit.size  # without a log this party takes no part
        self._gate = Gate(home, self._job, offer.session)
        self._check_approved()
        self._context = StageContext(home, self._job, offer.session, self._gate, self._note_loading, keys)
        self._transport = connect(offer)
        self._inbox = Inbox(self._transport)
        self._watch = ConsentWatch(self._gate, self._inbox.wake, lambda: bool(taken_back(home, self._job)))
        self._number = 0
        self._name = ""
        self._opened = 0
        self._done: list[str] = []
        self._is_witnessed = False
        """Whether everybody's log has been signed since the last stage was done."""
        self._released: set[str] = set()
        self._attested: dict[str, bytes] = {}
        self._rematches = 0
        self._void: set[int] = set()
        self._voids = 0
        """How often this party has told the others, or has heard from one of them, that rows leave."""
        self._others = (*sorted(members - {COORDINATOR}), COORDINATOR)
        self._stage: PartyStage | None = None
        self._stage_started = 0.0
        self._traffic_before = self._endpoint.traffic.copy()
        self._early: list[Received] = []
        self._notes = Every(PROGRESS_SECONDS)
        self._began = time.monotonic()
        self._stages: tuple[StageTraffic, ...] = ()
        if self._context.is_label_holder and self._job.needs_label:
            self._context.at_end(self._report_models)

    def _check_job(self) -> None:
        self._job.plan_of(self._own)
        for refusal in settings_against(self._home.settings, self._job):
            raise refusal

    def _check_approved(self) -> None:
        """What nobody has approved here does not run. Into the log, and out. Raises `Denied`."""
        findings = missing_approval(self._home, self._job)
        if findings:
            self._gate.note(EventType.DATASET_REFUSED, reasons=findings.codes)
            raise Denied.of(findings)

    def _check_not_refused(self) -> None:
        """What somebody here has said no to meanwhile ends. Raises `Denied`."""
        findings = taken_back(self._home, self._job)
        if findings:
            raise Denied.of(findings)

    def run(self) -> None:
        """Take part until the coordinator ends the session. Raises what went wrong, here or elsewhere."""
        watch = self._watch
        self._gate.on_snapshot = self._transport.attest
        try:
            self._attest()
            self._send([Outgoing(COORDINATOR, control.Ready(version=version("silhouette")))], 0)
            watch.start()
            while self._step():
                pass
        except PeerFailed:
            raise
        except SessionClosed:
            raise PeerDropped("session_closed") from None
        except SilhouetteError as error:
            if is_refusal(error.code):
                self._context.forget_unfinished()
            self._note_refusal(error)
            self._report(error)
            raise
        except Exception as error:
            # The text of an unforeseen error may hold a value: only its type leaves this party.
            failure = PeerFailed("party_failed", problem=type(error).__name__)
            self._report(failure)
            raise
        finally:
            watch.stop()
            self._context.close()
            forget_keys(self._home)
            self._inbox.stop()
            self._transport.close()

    def _step(self) -> bool:
        """Handle one message; False at the end of the session."""
        received = self._next()
        message = received.message
        if received.sender == COORDINATOR:
            match message:
                case control.EndSession() if self._is_over:
                    self._context.end()
                    return False
                case control.Abort(texts=texts, code=code):
                    if is_refusal(code):
                        self._context.forget_unfinished()
                    raise PeerFailed("aborted", problem=texts.get(current_language(), code))
                case control.StartStage():
                    self._start(message)
                    return True
        else:
            match message:
                case control.Attestation():
                    self._note_attestation(received.sender, message)
                    return True
                case control.RowsWithdrawn():
                    self._let_leave(message)
                    return True
        if received.stage in self._void:
            return True  # sent before its sender knew that the stage is void
        is_bound = received.sender == COORDINATOR or self._endpoint.has_attested(received.sender)
        if self._stage is None or received.stage != self._number or not is_bound:
            raise UnexpectedMessage(
                "unexpected_message", role=self._own, message=tag_of(message), sender=received.sender
            )
        self._work(lambda stage: stage.role.receive(received.sender, message))
        return True

    def _next(self) -> Received:
        """The next message that this party is ready for: the current stage's, or one of the coordinator's orders."""
        if self._stage is not None:
            for place, early in enumerate(self._early):
                if early.stage == self._number:
                    return self._early.pop(place)
        while True:
            self._inbox.state = f"waiting stage {self._number}"
            frame = self._inbox.next()
            if frame is None:  # woken: consents have changed, or somebody has said no
                self._settle()
                continue
            received = self._endpoint.open(frame)
            if received is None:
                continue
            if received.stage <= self._number or isinstance(received.message, control.StartStage):
                return received
            # Another party has been told to start a stage before us: its message waits.
            if len(self._early) >= MAX_EARLY_MESSAGES:
                raise MessageInvalid("message_oversized", limit=MAX_EARLY_MESSAGES)
            self._early.append(received)

    def _start(self, message: control.StartStage) -> None:
        number, name = message.stage, message.name
        stages = [stage.value for stage in self._job.stages]
        in_turn = self._stage is None and number == self._number + 1 and name in self._expected(stages)
        if not in_turn or message.voids > self._voids:
            raise UnexpectedMessage(
                "unexpected_message", role=self._own, message="session.start_stage/1", sender=COORDINATOR
            )
        if name != Stage.WITNESS:
            del self._done[stages.index(name) :]
        self._number = number
        self._early = [early for early in self._early if early.stage >= number]
        self._stage_started = time.monotonic()
        self._traffic_before = self._endpoint.traffic.copy()
        self._inbox.state = f"busy stage {number}"
        self._name = name
        if message.voids < self._voids:
            # News that rows leave was on its way to the coordinator: this run is void before it begins.
            self._void.add(number)
            return
        if name != Stage.WITNESS:
            self._context.is_settled = name != stages[0]
            self._gate.recheck()
            self._check_not_refused()
            self._gate.note(EventType.ROUND_OPENED, stage=name)
        self._stage = build_stage(Stage(name), self._context)
        if self._is_new_snapshot():
            self._attest()
        self._work(lambda stage: stage.role.start())

    def _expected(self, stages: list[str]) -> list[str]:
        """What the coordinator may begin now: after every stage the logs are signed, and nothing is done twice.

        After rows have left, the last stage may begin again, which is finished here but was not everywhere; and after
        the matching itself became void, only that.
        """
        if self._context.is_unmatched and self._number in self._void:
            return stages[:1]
        if self._done and not self._is_witnessed:
            again = self._done[-1:] if self._number in self._void else []
            return [Stage.WITNESS.value, *again]
        return stages[len(self._done) : len(self._done) + 1]

    @property
    def _is_over(self) -> bool:
        """Whether all stages are done, and the logs signed after the last."""
        return self._stage is None and len(self._done) == len(self._job.stages) and self._is_witnessed

    # --- consents

    def _note_attestation(self, sender: str, message: control.Attestation) -> None:
        """On what another party works, for the log: who attests differently to different parties can be shown to."""
        if self._attested.get(sender) != message.binding:
            self._attested[sender] = message.binding
            digests = {"binding": message.binding.hex()}
            self._gate.note(EventType.ROUND_UPDATE_ACCEPTED, artefact=sender, digests=digests)

    def _is_new_snapshot(self) -> bool:
        return self._gate.attestation().binding != self._endpoint.binding

    def _attest(self) -> None:
        """Say on what this party works from now on: to the relay, which refuses everything else, and to everybody."""
        is_told = False
        while not is_told:
            attestation = self._gate.attestation()
            self._transport.attest(attestation.binding)
            self._endpoint.binding = attestation.binding
            try:
                for name in self._others:
                    self._post(Outgoing(name, attestation), 0)
                is_told = True
            except StaleSnapshot:
                if not self._is_new_snapshot():  # else the watch has seen one more change meanwhile
                    raise

    def _tell(self, name: str, message: Message, stage: int = 0) -> None:
        """What others have to hear whatever else changes meanwhile."""
        is_told = False
        while not is_told:
            try:
                self._post(Outgoing(name, message), stage)
                is_told = True
            except StaleSnapshot:
                if not self._is_new_snapshot():
                    raise
                self._attest()

    def _settle(self) -> bool:
        """Attest anew where consents have changed; True when rows have left, which makes the stage void.

        Raises `Denied` when a person has said no.
        """
        if self._watch.refused.is_set():
            self._check_not_refused()
        if not self._gate.look():
            return False
        left = self._context.withdraw()
        self._attest()
        if left is None:
            return False
        places, rematch = left
        gone = control.RowsWithdrawn(positions=places.astype(np.uint32), rematch=rematch)
        for name in self._others:
            if name != COORDINATOR:
                self._tell(name, gone)
        self._voids += 1
        self._tell(COORDINATOR, control.StageVoided(rematch=rematch))
        self._make_void()
        return True

    def _let_leave(self, message: control.RowsWithdrawn) -> None:
        """Rows of another party's leave the job; what runs is void."""
        if message.positions.ndim != 1 or message.positions.dtype != np.uint32:
            raise MessageInvalid("message_undecodable")
        self._voids += 1
        self._rematches += message.rematch
        if self._rematches > MAX_REMATCHES or self._voids > MAX_VOIDS:
            raise UnexpectedMessage("rows_withdrawn_often")
        if message.rematch:
            self._context.unmatch()
        elif not self._context.is_unmatched:  # else these were places in a matching that is void itself
            self._context.drop(message.positions.astype(np.int64))
        self._make_void()

    def _make_void(self) -> None:
        self._void.add(self._number)
        self._stage = None

    def _work(self, act: Callable[[PartyStage], list[Outgoing]]) -> None:
        """Let the role act, send what it says, and finish the stage when it is done."""
        stage = self._stage
        if stage is None:
            return
        self._inbox.state = f"busy stage {self._number}"
        if not self._send(act(stage), self._number):
            return
        self._note(stage.role.progress)
        if stage.role.result is None or self._stage is None:
            return
        releases = stage.finish()
        if self._name in self._released:
            releases = []  # the difference to what was released before would tell of the rows that have left
        for release in releases:
            if not self._send([Outgoing(COORDINATOR, release)], self._number):
                return
            self._released.add(self._name)
        self._note_finished()
        traffic = self._endpoint.traffic.since(self._traffic_before)
        finished = control.StageFinished(
            stage=self._number,
            seconds=time.monotonic() - self._stage_started,
            bytes_sent=dict(traffic.bytes_sent),
            bytes_received=dict(traffic.bytes_received),
            received=dict(traffic.received),
            peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        )
        self._stages = add_stage(self._stages, _stage_traffic(self._name, finished))
        if self._send([Outgoing(COORDINATOR, finished)], self._number):
            self._stage = None
            self._is_witnessed = self._name == Stage.WITNESS
            if self._name != Stage.WITNESS:
                self._done.append(self._name)

    def _report_models(self) -> None:
        write_reports(self._context, self._counted())

    def _counted(self) -> Counted:
        """What this party has counted in the session so far."""
        traffic = self._endpoint.traffic
        return Counted(
            received=dict(traffic.received),
            bytes_sent=traffic.bytes_sent.total(),
            bytes_received=traffic.bytes_received.total(),
            ciphertexts_opened=self._context.decrypted,
            seconds=time.monotonic() - self._began,
            stages=self._stages,
        )

    def _note_finished(self) -> None:
        """The end of a stage, and what the key opened in it, for the log."""
        if self._name == Stage.WITNESS:
            return  # what is noted now would be after the checkpoint that is being signed
        opened = self._context.decrypted - self._opened
        if opened:
            self._opened += opened
            self._gate.note(EventType.KEY_DECRYPT, stage=self._name, numbers={"ciphertexts": opened})
        self._gate.note(EventType.ROUND_AGGREGATED, stage=self._name)

    def _note_loading(self, done: int, total: int) -> None:
        self._note(Progress(done, total, "align.load"))

    def _note(self, progress: Progress) -> None:
        if not self._notes.is_due():
            return
        note = control.StageProgress(
            stage=self._number, done=progress.done, total=progress.total, step=progress.step
        )
        self._send([Outgoing(COORDINATOR, note)], self._number)

    def _send(self, outgoing: list[Outgoing], stage: int) -> bool:
        """Send messages in order; False when consents changed, the stage became void, and the rest was discarded.

        This is where a withdrawal takes effect (PIPL 15): before every message, and at the relay for one that was
        on its way.
        """
        for out in outgoing:
            is_sent = False
            while not is_sent:
                self._gate.check()
                if self._settle():
                    return False
                try:
                    self._post(out, stage)
                    is_sent = True
                except StaleSnapshot:
                    if not self._gate.look():
                        raise
        return True

    def _post(self, out: Outgoing, stage: int) -> None:
        frames = self._endpoint.seal(out.to, stage, out.message)
        try:
            for frame in frames:
                self._transport.send(out.to, frame)
        except StaleSnapshot:
            self._endpoint.take_back(out.to, frames)
            raise

    def _note_refusal(self, error: SilhouetteError) -> None:
        """Into the log, where the gate has not said so already; without a log the error stands for itself."""
        is_said = isinstance(error, Denied) and error.findings == self._gate.refused
        reasons = () if is_said or isinstance(error, LogUnavailable) else reasons_of(error)
        if reasons:
            with contextlib.suppress(LogUnavailable):
                self._gate.note(EventType.ROUND_UPDATE_REFUSED, stage=self._name, reasons=reasons)

    def _report(self, error: SilhouetteError) -> None:
        """Tell the coordinator why this party stops, if it still listens."""
        texts = {language: error.for_others().render(language) for language in LANGUAGES}
        failed = control.StageFailed(code=error.code, texts=texts, reasons=reasons_of(error))
        with contextlib.suppress(Exception):
            self._tell(COORDINATOR, failed, self._number)


def _stage_traffic(name: str, finished: control.StageFinished) -> StageTraffic:
    return StageTraffic(
        stage=name,
        messages_received=sum(finished.received.values()),
        bytes_sent=sum(finished.bytes_sent.values()),
        bytes_received=sum(finished.bytes_received.values()),
        seconds=round(finished.seconds, 2),
    )
