"""How both edges read what people write, and write what others must not read, or not see half written."""

from __future__ import annotations

import os
import shutil
import time
import tomllib
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from federation.roles import RERUN_SECONDS
from privacy.errors import ConfigInvalid

_Record = TypeVar("_Record")

_PART_SUFFIX: Final = ".part"
"""Of a file that is not written to its end."""


def write_secret(file: Path, data: bytes) -> None:
    """Write a file that only its owner can read, from its first byte on; an older file is replaced."""
    file.unlink(missing_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)


def replace_file(file: Path, data: bytes, *, secret: bool = False) -> None:
    """Write so that a reader sees the old content or the new, never a part. secret: as `write_secret` does."""
    part = file.with_name(file.name + _PART_SUFFIX)
    if secret:
        write_secret(part, data)
    else:
        part.write_bytes(data)
    part.replace(file)


def read_toml(file: Path, kind: type[_Record]) -> _Record:
    """A TOML file as a checked record. Raises `ConfigInvalid` that names file and key."""
    try:
        return msgspec.convert(tomllib.loads(file.read_text("utf-8")), kind)
    except FileNotFoundError:
        raise ConfigInvalid("file_missing", file=file) from None
    except (msgspec.MsgspecError, tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise ConfigInvalid("file_invalid", file=file, problem=str(problem)) from None


class FolderStore:
    """A folder of files that only its owner can read: what a role keeps for a rerun (`roles.Store`)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, name: str) -> bytes | None:
        file = self._folder / name
        return file.read_bytes() if file.exists() else None

    def put(self, name: str, data: bytes) -> None:
        file = self._folder / name
        missing = [parent for parent in file.parents if not parent.exists()]
        for parent in reversed(missing):
            parent.mkdir(mode=0o700, exist_ok=True)
        replace_file(file, data, secret=True)

    def names(self, prefix: str) -> list[str]:
        files = (file for file in self._folder.rglob("*") if file.is_file() and file.suffix != _PART_SUFFIX)
        found = (file.relative_to(self._folder).as_posix() for file in files)
        return sorted(name for name in found if name.startswith(prefix))

    def remove(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)

    def clear(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def forget_stale(folder: Path) -> None:
    """Remove the stores in `folder` whose first file is older than `RERUN_SECONDS`."""
    limit = time.time() - RERUN_SECONDS
    for store in folder.iterdir() if folder.is_dir() else ():
        times = [entry.stat().st_mtime for entry in store.rglob("*") if entry.is_file()]
        if min(times, default=0.0) < limit:
            shutil.rmtree(store, ignore_errors=True)
