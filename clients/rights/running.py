"""The requests of a node while it runs: letters fetched and sent, every case taken as far as it can go.

They have a thread of their own, so that a long step stops nothing else of the node.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import Final

from clients.home import NodeHome
from clients.rights import copies, explanation, receipts
from clients.rights.cases import Case
from clients.rights.engine import Engine, Hooks, Progress
from clients.rights.erasing import erasers_of
from clients.rights.letters import numbers_key, other_number
from clients.rights.post import PostCourier, courier_of
from clients.rights.restricting import task_of
from privacy.errors import SealBroken, SilhouetteError
from privacy.receipts import read
from privacy.rights import RequestKind

log = logging.getLogger("silhouette.rights")

STEP_SECONDS: Final = 3.0
"""Between two looks at the requests: well under the minute that people wait for an answer on a screen."""
SOON_SECONDS: Final = 0.5
"""The same while something moves: the parties of a case answer each other, and each wait adds to the next."""
LIVELY_SECONDS: Final = 20.0
"""So long after the last movement something may still move: the partners look every `STEP_SECONDS` at least."""
_COPIED: Final = (RequestKind.ACCESS, RequestKind.COPY, RequestKind.PORTABILITY)
MOST_STEPS: Final = 20
"""Of one `settle`: each answers what the one before has fetched."""


class Requests:
    """What takes a node's requests on. Cases of other parties get their answers, own ones their receipts."""

    def __init__(self, home: NodeHome) -> None:
        self._home = home
        self._courier: PostCourier = courier_of(home)
        makers = {**dict.fromkeys(_COPIED, copies.maker), RequestKind.EXPLAIN: explanation.maker}
        hooks = Hooks(makers=makers, before_erasing=_prepare, ended=_issue)
        self.engine = Engine(home, self._courier, erasers_of(home), hooks=hooks)
        _issue(home, [case for case in self._with_opening() if case.is_ended])

    def _with_opening(self) -> list[Case]:
        """Cases whose receipts are prepared: a kill may have come before the receipt, or before its key went."""
        found = []
        for number in receipts.prepared(self._home):
            try:
                case = self.engine.store.get(number)
            except SealBroken:  # one that does not open stops no other
                log.error("a request cannot be read: %s", SealBroken.code)
            else:
                found += [] if case is None else [case]
        return found

    def step(self) -> Progress:
        """Fetch letters, take every case on, send letters. Raises `LogUnavailable`."""
        self._exchange()
        self._send_again()
        progress = self.engine.step()
        if progress.moved or progress.letters:
            self._exchange()
        return progress

    def _exchange(self) -> None:
        """Letters travel when they can; what is to be done here does not wait for that."""
        try:
            self._courier.exchange()
        except (SilhouetteError, OSError) as error:
            log.error("letters about requests wait: %s", type(error).__name__)

    def settle(self) -> Progress:
        """Steps until nothing moves any more without others."""
        total = Progress()
        for _ in range(MOST_STEPS):
            progress = self.step()
            total.moved.update(progress.moved)
            total.letters += progress.letters
            total.alarms += progress.alarms
            total.is_busy = progress.is_busy
            if progress.is_busy or not (progress.moved or progress.letters):
                break
        return total

    def close(self) -> None:
        """Release the connections."""
        self._courier.close()

    def _send_again(self) -> None:
        """What came back is handed over once more, where it is still wanted."""
        came_back = self._courier.undelivered()
        numbers = numbers_key(self._home) if came_back else b""
        for letter in came_back:
            called = [other_number(numbers, letter.recipient, number) for number in letter.cases]
            for case in self.engine.store.many([*letter.cases, *called]).values():
                answer = case.record.answered
                if letter.recipient in case.open_partners and case.locators is not None:
                    self._courier.send(letter.recipient, task_of(case, letter.recipient))
                elif letter.recipient == case.origin and answer is not None:
                    self._courier.send(case.origin, answer, case.record.signature)
        self._courier.settle(came_back)


def serve_requests(home: NodeHome, stopped: threading.Event) -> None:
    """Take the node's requests on until `stopped` is set. Raises nothing: what goes wrong is tried again."""
    requests: Requests | None = None
    moved = -LIVELY_SECONDS
    while not stopped.wait(SOON_SECONDS if time.monotonic() - moved < LIVELY_SECONDS else STEP_SECONDS):
        try:
            requests = requests or Requests(home)
            progress = requests.step()
            if progress.moved or progress.letters:
                moved = time.monotonic()
        except Exception as error:
            # Its message may hold a value of a row: the kind alone is logged.
            code = error.code if isinstance(error, SilhouetteError) else type(error).__name__
            log.error("requests of subjects wait: %s", code)
    if requests is not None:
        requests.close()


def _prepare(home: NodeHome, cases: Sequence[Case]) -> None:
    own = {case.number: case.subjects[0].token for case in cases if case.subjects and not case.origin}
    sessions = {
        case.number: [row.session for row in case.subjects[0].shared] for case in cases if case.subjects
    }
    receipts.prepare(home, own, sessions)


def _issue(home: NodeHome, cases: Sequence[Case]) -> None:
    party = home.settings.name
    missing = []
    for case in (case for case in cases if not case.origin):
        made = receipts.kept(home, case.number)
        if made is None or _is_old(case, made):
            missing.append(case)
        else:
            receipts.spend(home, case.number)
    if missing:
        receipts.issue(home, [receipts.receipt_case(case, party) for case in missing])


def _is_old(case: Case, receipt: bytes) -> bool:
    """Whether a receipt was made before the case was reopened."""
    reopened, completed = case.record.reopened, read(receipt).case.completed
    return reopened is not None and completed is not None and completed < reopened
