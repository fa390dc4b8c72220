"""Copies of what is held, for the person concerned: made for a request, handed out once, gone after 30 days (PIPL 45).

A copy is `copies/<case>/` in the node's home: `copy.json`, for another organisation's programs, and a page in each
language. Only the node's own account can read it. A record in the vault says whose it is and until when it may stay;
the sweep removes both.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from clients.gate import retention
from clients.home import NodeHome
from clients.rights.held import Copy, gather
from clients.rights.located import Located
from clients.rights.wording import Wording, render
from federation.files import replace_file
from privacy.errors import ConfigInvalid, Denied
from privacy.rights import Artefact, CaseNumber, Outcome, Result
from privacy.texts import LANGUAGES

if TYPE_CHECKING:
    from clients.rights.cases import Case

COPIES: Final = retention.COPIES
KEPT_DAYS: Final = 30
JSON_FILE: Final = "copy.json"


def folder_of(home: NodeHome, case: CaseNumber) -> Path:
    """Where a copy lies."""
    return home.folder / f"{COPIES}{case}"


def make(home: NodeHome, case: CaseNumber, subject: Located) -> Path:
    """Write the copy of one subject; its folder. Doing it again replaces it.

    Raises `Denied` without a policy, `SchemaMismatch` for a table that cannot be read.
    """
    made = gather(home, subject, case)
    home.vault.put(COPIES + case, subject.token, days=KEPT_DAYS)
    folder = folder_of(home, case)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    contents = {JSON_FILE: msgspec.json.format(msgspec.json.encode(made), indent=2)}
    contents |= {page_file(language): page(made, language).encode() for language in LANGUAGES}
    for name, content in contents.items():
        replace_file(folder / name, content, secret=True)
    return folder


def maker(home: NodeHome, case: Case) -> Outcome:
    """The engine's step for a request to see, copy or move what is held."""
    if not case.subjects:
        return Outcome(artefact=Artefact.COPY, result=Result.NOT_FOUND)
    make(home, case.number, case.subjects[-1])
    return Outcome(artefact=Artefact.COPY, result=Result.NOT_FOUND, reason="copies.made")


def page_file(language: str) -> str:
    """What the page in one language is called."""
    return f"copy.{language}.html"


def page(made: Copy, language: str | None = None) -> str:
    """A copy for reading and printing."""
    return render("clients.rights", "copy.html.j2", Wording(language), copy=made, days=KEPT_DAYS)


def is_there(home: NodeHome, case: CaseNumber) -> bool:
    """Whether a copy waits to be handed out."""
    try:
        kept = home.vault.get(COPIES + case)
    except Denied:
        return False
    return kept is not None and (folder_of(home, case) / JSON_FILE).exists()


def read(home: NodeHome, case: CaseNumber) -> dict[str, bytes]:
    """The files of a copy by name. Raises `ConfigInvalid` when there is none, or it was handed out."""
    if not is_there(home, case):
        raise ConfigInvalid("copy_missing", case=case)
    return {file.name: file.read_bytes() for file in sorted(folder_of(home, case).iterdir())}


def take(home: NodeHome, case: CaseNumber) -> dict[str, bytes]:
    """Hand a copy out, once, as `read` does."""
    found = read(home, case)
    remove(home, case)
    return found


def remove(home: NodeHome, case: CaseNumber) -> None:
    """Remove a copy. Doing it again does no harm."""
    folder = folder_of(home, case)
    shutil.rmtree(folder, ignore_errors=True)
    if not folder.exists():
        home.vault.remove_one(COPIES + case)


def copies_of(home: NodeHome, tokens: Collection[bytes]) -> dict[CaseNumber, bytes]:
    """The copies of these subjects, whose time may be over: whose each is, by case."""
    over, found = set(home.vault.expired()), dict[CaseNumber, bytes]()
    for name in home.vault.names(COPIES):
        token = None if name in over else home.vault.get(name)
        if token is not None and token in tokens:
            found[name.removeprefix(COPIES)] = token
    return found
