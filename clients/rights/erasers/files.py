"""Taking people out of the files that a node's registration names, and out of the lists that a node has made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import numpy as np

from clients.finished import HANDLE, sessions_with
from clients.home import NodeHome
from clients.rights.erasers.csv_files import CsvPlan, Rule, erase_from_csv, find_in_csv, has_column
from clients.rights.erasers.parquet_files import erase_from_parquet, find_in_parquet
from clients.rights.erasers.wanted import Mask, Wanted

IDENTIFIER: Final = "identifier"
"""The column of a node's own lists that names people."""
AUDIENCES: Final = "audiences"
DESCRIPTION: Final = "audience.json"
"""The folder of lists for marketing in a node's home, and what each folder in it has beside `members.csv`."""
NAME_DIGITS: Final = 8
"""Of a session, in the name of its results."""
_PARQUET: Final = ".parquet"


def erase_from(file: Path, id_column: str, rule: Rule, wanted: Wanted) -> Mask:
    """Write a registered file anew without these people; who was in it. Raises `SchemaMismatch`, `DeadlinePassed`."""
    if file.suffix.lower() == _PARQUET:
        return erase_from_parquet(file, id_column, rule, wanted)
    return erase_from_csv(file, CsvPlan(id_column, rule), wanted)


def find_in(file: Path, id_column: str, rule: Rule, wanted: Wanted) -> Mask:
    """Who `erase_from` would find. Raises `SchemaMismatch`."""
    if file.suffix.lower() == _PARQUET:
        return find_in_parquet(file, id_column, rule, wanted)
    return find_in_csv(file, CsvPlan(id_column, rule), wanted)


class PeopleList(NamedTuple):
    """A CSV file that names people in a column `IDENTIFIER`. sessions: of the jobs that it may have come from, to which
    a withdrawal from one purpose is narrowed; none for one whose job nobody knows any more.
    """

    file: Path
    sessions: frozenset[str]

    def narrow(self, wanted: Wanted) -> Wanted:
        """Those of the subjects whom it may name."""
        return wanted.in_sessions(self.sessions) if self.sessions else wanted


def lists_in_results(home: NodeHome) -> Iterator[PeopleList]:
    """The lists in the results of jobs, at any depth."""
    known = sessions_with(home.vault, HANDLE)
    for folder in sorted(home.results.iterdir()) if home.results.is_dir() else ():
        yield from _lists_under(folder, sessions_of(folder.name, known))


def lists_of_audiences(home: NodeHome) -> Iterator[PeopleList]:
    """The lists for marketing (`clients.audiences`), which say from which results they were made."""
    known = sessions_with(home.vault, HANDLE)
    folder = home.folder / AUDIENCES
    for one in sorted(folder.iterdir()) if folder.is_dir() else ():
        yield from _lists_under(one, sessions_of(_made_from(one / DESCRIPTION), known))


def sessions_of(results: str, known: Iterable[str]) -> frozenset[str]:
    """The sessions whose results may have this name (`clients.context.StageContext.results`)."""
    _, _, end = results.rpartition("-")
    return frozenset(session for session in known if end in (session, session[:NAME_DIGITS]))


def _made_from(description: Path) -> str:
    try:
        return str(msgspec.json.decode(description.read_bytes())["results"])
    except (OSError, KeyError, TypeError, msgspec.MsgspecError):
        return ""  # of a list that was not made to its end


def _lists_under(folder: Path, sessions: frozenset[str]) -> Iterator[PeopleList]:
    for file in sorted(folder.rglob("*.csv")):
        if file.is_file() and file.stat().st_size and has_column(file, IDENTIFIER):
            yield PeopleList(file, sessions)


def erase_from_lists(lists: Iterable[PeopleList], plan: CsvPlan, wanted: Wanted) -> Mask:
    """Who was in any of the lists. Raises as `erase_from`."""
    found = np.zeros(len(wanted), dtype=np.bool_)
    for one in lists:
        found |= erase_from_csv(one.file, plan, one.narrow(wanted))
    return found


def find_in_lists(lists: Iterable[PeopleList], plan: CsvPlan, wanted: Wanted) -> Mask:
    """Who is in any of the lists. Raises `SchemaMismatch`."""
    found = np.zeros(len(wanted), dtype=np.bool_)
    for one in lists:
        found |= find_in_csv(one.file, plan, one.narrow(wanted))
    return found
