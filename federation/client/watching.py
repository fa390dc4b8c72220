"""How a job that is watched is shown, at a terminal or in a notebook."""

from __future__ import annotations

from rich.console import Console as Terminal
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from federation.client.job_records import JobEvent
from federation.client.jobs import Job
from privacy.texts import catalogue, current_language, text


def shown(job: Job, timeout: float | None = None, terminal: Terminal | None = None) -> None:
    """Show a job's progress until it has ended; raises what `Job.watch` does."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=terminal or Terminal()) as progress:
        view = View(progress)
        for event in job.watch(timeout):
            view.take(event)


class View:
    """A bar for the parties' words, then one for each stage, moved by whoever has told of its progress last."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task(text("client.watch.waiting"), total=None)
        self._stage = ""

    def take(self, event: JobEvent) -> None:
        """Show one event; kinds of a newer coordinator are passed over."""
        data = event.data
        match event.kind:
            case "state":
                self._say(text("client.watch.state", state=_known("web.state", data.get("state"))))
            case "word":
                answer = text("client.word.approved" if data.get("approved") else "client.word.refused")
                self._say(text("client.watch.word", party=data.get("party", ""), answer=answer))
            case "joined":
                self._say(text("client.watch.joined", party=data.get("party", "")))
            case "stage_started":
                self._finish()
                name = _known("server.stage", data.get("stage"))
                self._stage = f"{data.get('number', '')}/{data.get('of', '')} {name}"
                self._task = self._progress.add_task(escape(self._stage), total=None)
            case "progress" if data.get("total"):
                step = catalogue(current_language()).get(f"steps.{data.get('step', '')}", "")
                described = f"{self._stage}: {step}" if step else self._stage
                self._progress.update(
                    self._task,
                    description=escape(described),
                    completed=data.get("done", 0),
                    total=data["total"],
                )
            case "stage_finished" | "job_done" | "job_failed":
                self._finish()

    def _say(self, line: str) -> None:
        self._progress.console.print(escape(line))

    def _finish(self) -> None:
        task = next(task for task in self._progress.tasks if task.id == self._task)
        total = task.total or 1
        self._progress.update(self._task, completed=total, total=total)
        self._progress.stop_task(self._task)


def _known(area: str, name: object) -> str:
    """A word of ours in the process's language, or itself where a newer coordinator knows more of them."""
    return catalogue(current_language()).get(f"{area}.{name}", str(name))
