"""How a job that runs is shown at a terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from privacy.texts import catalogue, current_language, text
from server.jobs.rows import WORD_EVENT
from server.jobs.submitting import WAITING_EVENT


class Display:
    """Progress bars: one for the parties' words, then one per stage, moved by the slowest party's notes."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
        )
        self._task: TaskID | None = None
        self._stage = ""

    def __enter__(self) -> Display:
        self._progress.start()
        self._task = self._progress.add_task(text("server.waiting"), total=None)
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, event: dict[str, Any]) -> None:
        """Show one event of the job."""
        if self._task is None:
            return
        match event["event"]:
            case kind if kind == WAITING_EVENT:
                self._describe(_waiting(event["parties"]))
            case kind if kind == WORD_EVENT:
                said = text(
                    "submitting.said_yes" if event["approved"] else "submitting.said_no", party=event["party"]
                )
                self._progress.console.print(said)
            case "inviting":
                self._describe(text("server.waiting"))
            case "joined":
                self._progress.console.print(text("server.joined", party=event["party"]))
            case "stage_started":
                self._finish()
                name = text(f"server.stage.{event['stage']}")
                self._stage = f"{event['number']}/{event['of']} {name}"
                self._task = self._progress.add_task(self._stage, total=None)
            case "progress" if event["total"]:
                step = catalogue(current_language()).get(f"steps.{event['step']}")
                description = f"{self._stage}: {step}" if step else self._stage
                self._progress.update(
                    self._task, description=description, completed=event["done"], total=event["total"]
                )
            case "stage_finished" | "job_done" | "job_failed":
                self._finish()

    def _describe(self, description: str) -> None:
        if self._task is not None:
            self._progress.update(self._task, description=description)

    def _finish(self) -> None:
        if self._task is not None:
            task = next(task for task in self._progress.tasks if task.id == self._task)
            self._progress.update(self._task, completed=task.total or 1, total=task.total or 1)
            self._progress.stop_task(self._task)


def _waiting(parties: list[str]) -> str:
    if not parties:
        return text("submitting.queued")
    return text("submitting.waiting_for", parties=", ".join(parties))
