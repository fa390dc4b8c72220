"""How both edges write files that must not be read by others, or must not be seen half written."""

from __future__ import annotations

import os
from pathlib import Path


def write_secret(file: Path, data: bytes) -> None:
    """Write a file that only its owner can read, from its first byte on; an older file is replaced."""
    file.unlink(missing_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)


def replace_file(file: Path, data: bytes) -> None:
    """Write so that a reader sees the old content or the new, never a part."""
    part = file.with_name(file.name + ".part")
    part.write_bytes(data)
    part.replace(file)
