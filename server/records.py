"""What the coordinator keeps of a job: the job itself, its events as JSON lines, and its released result."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from federation.files import replace_file
from federation.jobs import Job, decode_job, encode_job
from privacy.errors import ConfigInvalid, SilhouetteError
from privacy.texts import LANGUAGES
from server.home import CoordinatorHome

JOB_ID_BYTES: Final = 5


class Outcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a job ended: `done` or `failed`, the error's code and texts by language, and the released result."""

    status: str
    code: str = ""
    texts: dict[str, str] = {}
    result: dict[str, Any] = {}


class JobRecord:
    """One job's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @staticmethod
    def new_id(job: Job) -> str:
        """A new id: what is random in it names it, the rest is for people."""
        return f"{job.name}-{secrets.token_hex(JOB_ID_BYTES)}"

    @classmethod
    def create(cls, home: CoordinatorHome, job: Job, job_id: str = "") -> JobRecord:
        """Write a new job down. job_id: from `new_id`; by default one is made."""
        record = cls(home.job_folder(job_id or cls.new_id(job)))
        record.folder.mkdir(parents=True)
        (record.folder / "job.msgpack").write_bytes(encode_job(job))
        return record

    @property
    def job_id(self) -> str:
        return self.folder.name

    @property
    def job(self) -> Job:
        """The job. Raises `ConfigInvalid` when the folder holds none."""
        file = self.folder / "job.msgpack"
        if not file.exists():
            raise ConfigInvalid("job_missing", job=self.folder.name)
        return decode_job(file.read_bytes())

    def event(self, kind: str, **values: object) -> None:
        """Append one event. Values are names, numbers and texts of ours, never a table's."""
        line = json.dumps({"time": round(time.time(), 3), "event": kind, **values}, ensure_ascii=False)
        with (self.folder / "events.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")

    def events(self, after: int = 0) -> Iterator[dict[str, Any]]:
        """Events from number `after` on; a line that is still being written is left for the next call."""
        file = self.folder / "events.jsonl"
        if file.exists():
            text = file.read_text("utf-8")
            for line in text[: text.rfind("\n") + 1].splitlines()[after:]:
                yield json.loads(line)

    def finish(self, result: dict[str, Any]) -> None:
        """The job is done."""
        self._write(Outcome("done", result=result))

    def fail(self, error: SilhouetteError) -> None:
        """The job has failed."""
        self._write(
            Outcome("failed", error.code, {language: error.render(language) for language in LANGUAGES})
        )

    def write_trace(self, trace: str) -> None:
        """Where an unforeseen error came from, for this coordinator's operator."""
        (self.folder / "trace.txt").write_text(trace, "utf-8")

    def _write(self, outcome: Outcome) -> None:
        replace_file(self.folder / "outcome.json", msgspec.json.encode(outcome))
        self.event("job_" + outcome.status, code=outcome.code)

    @property
    def outcome(self) -> Outcome | None:
        """How the job ended, or None while it runs."""
        file = self.folder / "outcome.json"
        return msgspec.json.decode(file.read_bytes(), type=Outcome) if file.exists() else None
