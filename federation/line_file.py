"""Files that only grow, a line at a time, and are on the disk when a write returns; and a lock over a folder.

Several processes may append. Whoever does holds the folder's lock, and so a last line without its end was left by a
process that was killed: nobody was told that it is written, and it is cut off.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

POLL_SECONDS: Final = 0.005


def make_folder(folder: Path) -> None:
    """A folder that only its owner can read; it is on the disk when this returns."""
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Bring the folder's list of files to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(file: Path, seconds: float) -> Iterator[None]:
    """Hold an exclusive lock on `file` against other processes, and against other holders in this one.

    Waits at most `seconds`, then raises `BlockingIOError`. The lock ends with the process.
    """
    # A descriptor of its own each time: one that was inherited by a child would share its parent's lock.
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise BlockingIOError(errno.EWOULDBLOCK, os.strerror(errno.EWOULDBLOCK)) from None
                time.sleep(POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


class LineFile:
    """A file of lines that ends with the last whole one. Its methods are for the holder of the folder's lock.

    read_bytes: up to where this object has read it.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.read_bytes = 0
        if not file.exists():
            os.close(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600))
            sync_folder(file.parent)

    def new_lines(self) -> Iterator[bytes]:
        """The whole lines that were not read before, without their ends; one that raises is read again."""
        with self.file.open("rb") as stream:
            stream.seek(self.read_bytes)
            for line in stream:
                if not line.endswith(b"\n"):
                    return
                yield line[:-1]
                self.read_bytes += len(line)

    @property
    def excess(self) -> int:
        """Bytes beyond what was read: a torn line if positive; if negative, the file was shortened."""
        return self.file.stat().st_size - self.read_bytes

    def cut(self) -> None:
        """Cut off what is beyond the last line that was read."""
        descriptor = os.open(self.file, os.O_WRONLY)
        try:
            os.ftruncate(descriptor, self.read_bytes)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def append(self, line: bytes) -> None:
        """Write a line; it is on the disk when this returns. Raises `OSError`, and then it is not in the file."""
        descriptor = os.open(self.file, os.O_WRONLY | os.O_APPEND)
        try:
            before = os.fstat(descriptor).st_size
            try:
                write_all(descriptor, line + b"\n")
                os.fsync(descriptor)
            except OSError:
                with suppress(OSError):  # then the next holder of the lock finds a torn line, or a whole one
                    os.ftruncate(descriptor, before)
                raise
        finally:
            os.close(descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte, however many calls it takes."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
