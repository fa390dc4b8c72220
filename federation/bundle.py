"""The project's own code as a set of files with one digest.

The coordinator packs these files as the Flower app bundle of a run. A node computes the same digest over its own
installation and refuses a run whose bundle differs, unless its owner approved that digest. The node never executes
a bundle: it runs the code it has installed. The digest is over file contents, not over the archive, so that two
machines with different compression libraries agree.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

from privacy.errors import CodeNotApproved

PACKAGES: Final = ("privacy", "federation", "clients", "server")
SUFFIXES: Final = (".py", ".toml")
MAX_BUNDLE_BYTES: Final = 32 << 20
"""More than this, uncompressed, is not ours (Flower's own limit is 10 MiB compressed)."""
_COMPRESSIONS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def installed_files() -> dict[str, bytes]:
    """Every code and data file of the four packages, by path inside the bundle."""
    files: dict[str, bytes] = {}
    for package in PACKAGES:
        _collect(resources.files(package), package, files)
    return files


def _collect(folder: Traversable, path: str, into: dict[str, bytes]) -> None:
    for item in folder.iterdir():
        name = f"{path}/{item.name}"
        if item.is_dir() and item.name != "__pycache__":
            _collect(item, name, into)
        elif item.name.endswith(SUFFIXES):
            into[name] = item.read_bytes()


def digest_of(files: dict[str, bytes]) -> str:
    """SHA-256 over the sorted (path, SHA-256 of the content) list."""
    manifest = hashlib.sha256()
    for path in sorted(files):
        manifest.update(f"{path}\x00{hashlib.sha256(files[path]).hexdigest()}\n".encode())
    return manifest.hexdigest()


@cache
def installed_digest() -> str:
    """The digest of the code this process has installed."""
    return digest_of(installed_files())


def bundle_digest(archive: bytes) -> str:
    """The digest of the code in a Flower app bundle. Raises `CodeNotApproved` when it cannot be read."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as bundle:
            entries = bundle.infolist()
            members = [item for item in entries if item.filename.split("/", 1)[0] in PACKAGES]
            names = {item.filename for item in entries}
            others = names - {item.filename for item in members}
            if sum(item.file_size for item in members) > MAX_BUNDLE_BYTES:
                raise CodeNotApproved("code_unreadable")
            # The manifest and the app's settings are Flower's; any other file is none of ours.
            # Of two files with one name, another reader might take the one that was not hashed.
            if others - {"pyproject.toml", ".info/CONTENT"} or len(names) < len(entries):
                raise CodeNotApproved("code_unreadable")
            if any(item.compress_type not in _COMPRESSIONS for item in members):
                raise CodeNotApproved("code_unreadable")
            return digest_of({item.filename: bundle.read(item) for item in members})
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError):
        raise CodeNotApproved("code_unreadable") from None
