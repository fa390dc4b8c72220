"""What a party's vault keeps of a finished job, for a job that trains its models again (`[forget]`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np

from clients.finished import HANDLE, SEGMENTS, read_handle, read_tokens, record_name
from clients.home import NodeHome
from federation.jobs import Job, decode_job
from privacy.errors import ConfigInvalid
from privacy.joining import Tokens

Integers = np.ndarray[Any, np.dtype[np.int64]]
References = np.ndarray[Any, np.dtype[np.uint8]]

JOB: Final = "job"
ROWS: Final = "rows"
"""The record of how many rows a job had when it ended; deletions take rows out of the handle and not out of it."""


@dataclass(frozen=True, slots=True)
class EarlierJob:
    """places: (n,) of its rows in this party's file; references: (n, 16); tokens: (n, 2), what the consent store calls
    the rows' subjects; rows: how many there were when it ended.
    """

    session: str
    job: Job
    places: Integers
    references: References
    tokens: Tokens
    rows: int

    @classmethod
    def read(cls, home: NodeHome, session: str) -> EarlierJob:
        """Raises `ConfigInvalid` when this party has no such job, or one from before there were recalls."""
        rows = int.from_bytes(record(home, session, ROWS))
        handle = record(home, session, HANDLE)
        places, references = read_handle(handle)
        job = decode_job(record(home, session, JOB))
        return cls(session, job, places, references, read_tokens(handle), rows)

    @property
    def left(self) -> int:
        """How many of its rows have been deleted here since."""
        return max(0, self.rows - len(self.places))

    def check(self, job: Job) -> None:
        """Raises `ConfigInvalid` unless `job` asks for the same with the same parties."""
        if not job.is_again(self.job):
            raise ConfigInvalid("forget_other_job", job=job.name, name=self.session)


def record(home: NodeHome, session: str, name: str) -> bytes:
    """A record of a job. Raises `ConfigInvalid` when there is none."""
    data = home.vault.get(record_name(session, name))
    if data is None:
        raise ConfigInvalid("forget_record_missing", record=name, name=session)
    return data


@dataclass(frozen=True, slots=True)
class EarlierSegments:
    """n_clusters: as it was chosen; starts: (k,) places in the label holder's file, empty at a partner."""

    n_clusters: int
    starts: Integers

    @classmethod
    def read(cls, home: NodeHome, session: str) -> EarlierSegments:
        """Raises `ConfigInvalid` when this party kept no segments, or not how they began."""
        kept = msgspec.msgpack.decode(record(home, session, SEGMENTS))
        if "n_clusters" not in kept:
            raise ConfigInvalid("forget_record_missing", record=SEGMENTS, name=session)
        return cls(kept["n_clusters"], np.frombuffer(kept.get("start_rows", b""), dtype=np.int64))


def starts_among(starts: Integers, places: Integers) -> Integers:
    """(k,) aligned rows to start from, where the recorded ones may have been deleted.

    starts: recorded places in the file; places: (n,) of the rows that are left, in aligned order. For a start row that
    is gone comes the next row of the file that is left and starts no other cluster, after the last one the first.
    Nothing of the deleted row is needed for that. Raises `ConfigInvalid` when fewer than k rows are left.
    """
    if len(places) < len(starts):
        raise ConfigInvalid("kmeans_clusters_rows", rows=len(places))
    chosen = [int(place) if place in places else -1 for place in starts]
    free = np.setdiff1d(places, chosen)
    for number, gone in enumerate(starts):
        if chosen[number] < 0:
            at = int(np.searchsorted(free, gone)) % len(free)
            chosen[number] = int(free[at])
            free = np.delete(free, at)
    order = np.argsort(places, kind="stable")
    found: Integers = order[np.searchsorted(places[order], chosen)].astype(np.int64)
    return found
