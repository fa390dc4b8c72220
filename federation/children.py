"""Child processes that never outlive their parent, however the parent ends.

Both edges start Flower's own programs as children. A child runs in its own session, so that Ctrl-C reaches only the
parent, which stops its children in order; if the parent is killed, the kernel ends the child (Linux
`PR_SET_PDEATHSIG`). On other systems a killed parent may leave children behind: docs/limitations.md.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
STOP_SECONDS: Final = 6.0


def program(name: str) -> str:
    """The path of a console program that is installed beside this Python."""
    return str(Path(sys.executable).with_name(name))


def free_port() -> int:
    """A TCP port that is free on loopback now, for a child to listen on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_open(port: int) -> bool:
    """Whether somebody takes connections at this port of loopback."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0):
            return True
    except OSError:
        return False


def flower_environment(home: Path) -> dict[str, str]:
    """What every program of Flower gets from us: no telemetry, no update check, its files inside our home."""
    return {
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "FLWR_HOME": str(home / "flower"),
    }


class Child:
    """One child process with its output in a log file."""

    def __init__(
        self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.command = tuple(command)
        # Flower's programs call one another by name: the folder of this Python comes first.
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
        self._environment = {**os.environ, "PATH": path, **(environment or {})}
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, or start again after it ended. Call from the main thread (PDEATHSIG follows the thread)."""
        guard = (sys.executable, "-m", "federation.children", str(os.getpid()))
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                (*guard, *self.command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )

    @property
    def exit_code(self) -> int | None:
        """The exit code, or None while it runs."""
        return self._process.poll() if self._process else None

    def stop(self) -> None:
        """Ask it to end, and end it if it does not within `STOP_SECONDS`."""
        stop_all([self])

    def ask_to_end(self) -> None:
        """Send SIGTERM, once: a second one would interrupt a program that is cleaning up."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def end_by(self, give_up: float) -> None:
        """Wait until it has ended; at the time `give_up` (monotonic) end it."""
        if self._process is None:
            return
        try:
            self._process.wait(max(give_up - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def stop_all(children: Sequence[Child]) -> None:
    """Signal all first, then wait for each, so that stopping takes as long as the slowest, `STOP_SECONDS` at most."""
    for child in children:
        child.ask_to_end()
    give_up = time.monotonic() + STOP_SECONDS
    for child in children:
        child.end_by(give_up)


def _guard(arguments: Sequence[str]) -> None:
    """`python -m federation.children PARENT_PID COMMAND...`: become COMMAND, bound to the parent's life."""
    parent, command = int(arguments[0]), arguments[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit(1)
    os.execvp(command[0], list(command))  # noqa: S606


if __name__ == "__main__":
    _guard(sys.argv[1:])
