"""Writing a file anew without some people: whole or not at all, and no copy of the old one stays under any name.

What it cannot do: the blocks that the old file had on the disk are free afterwards, not overwritten; who may read the
bare disk is a matter of encrypting it. Snapshots that the file system or a backup program makes are their operator's.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from privacy.errors import DeadlinePassed

PART_SUFFIX: Final = ".erasing"
"""Of the file that is being written; it has the people who stay, and no one else."""
_ATTEMPTS: Final = 3
_ANY_WRITER: Final = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


def is_writable(file: Path) -> bool:
    """Whether this node can put a new file in its place: not one that is read-only or has a second name elsewhere."""
    real = file.resolve()
    found = real.stat()
    may_write = bool(found.st_mode & _ANY_WRITER) and os.access(real, os.W_OK)
    return may_write and found.st_nlink == 1 and os.access(real.parent, os.W_OK | os.X_OK)


def rewrite(file: Path, write: Callable[[Path], bool]) -> bool:
    """Replace a file by what `write` writes into another one; whether anything has changed.

    write: from the file itself; returns False when it can stay as it is. Mode and owner stay as they were. A link is
    followed. Raises `DeadlinePassed` when somebody else keeps writing the file, and what `write` raises: the file is
    as it was then.
    """
    real = file.resolve()
    part = real.with_name(real.name + PART_SUFFIX)
    try:
        for _ in range(_ATTEMPTS):
            part.unlink(missing_ok=True)  # an attempt that was cut off
            before = real.stat()
            os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            if not write(part):
                return False
            _as_before(part, before)
            _sync(part)
            if _signature(real.stat()) == _signature(before):
                part.replace(real)
                _sync(real.parent)
                return True
    finally:
        part.unlink(missing_ok=True)
    raise DeadlinePassed("erase_file_busy", file=file.name)


def _as_before(part: Path, before: os.stat_result) -> None:
    with suppress(PermissionError):  # only root may give a file away
        os.chown(part, before.st_uid, before.st_gid)
    part.chmod(stat.S_IMODE(before.st_mode))


def _signature(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_ino, found.st_size, found.st_mtime_ns


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
