"""The roster on disk, read and checked again only when its file has changed."""

from __future__ import annotations

from pathlib import Path

from federation.roster import Roster, from_json


class RosterFile:
    """`federation.json` of a home."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seen: tuple[int, int, int] | None = None
        self._roster: Roster | None = None

    def __call__(self) -> Roster | None:
        """The present roster, the same object as long as the file stays; None when there is no file.

        Raises `ConfigInvalid` when the file is none.
        """
        try:
            state = self._file.stat()
            seen = (state.st_ino, state.st_mtime_ns, state.st_size)
            if seen != self._seen:
                self._roster = from_json(self._file.read_bytes(), Roster, str(self._file))
                self._seen = seen
        except FileNotFoundError:
            self._roster = self._seen = None
        return self._roster
