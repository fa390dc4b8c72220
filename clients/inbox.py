"""What arrives for a party, received while it computes."""

from __future__ import annotations

import queue
import threading

from federation.transport import SessionClosed, Transport
from privacy.errors import PeerDropped, PeerFailed, SilhouetteError


class Inbox:
    """Receives frames in a thread of its own, so that this party shows life while it computes."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._frames: queue.SimpleQueue[bytes | SilhouetteError | None] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self.state = "starting"
        self._thread = threading.Thread(target=self._run, name="inbox", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                frame = self._transport.receive(self.state)
            except SessionClosed:
                self._frames.put(PeerDropped("session_closed"))
                return
            except SilhouetteError as error:
                self._frames.put(error)
                return
            except Exception as error:
                self._frames.put(PeerFailed("relay_failed", problem=type(error).__name__))
                return
            if frame is not None:
                self._frames.put(frame)

    def wake(self) -> None:
        """Let whoever waits for a frame look at something else."""
        self._frames.put(None)

    def next(self) -> bytes | None:
        """Wait for a frame, None when woken. Raises what the relay ended with."""
        item = self._frames.get()
        if isinstance(item, SilhouetteError):
            raise item
        return item

    def stop(self) -> None:
        self._stopped.set()
