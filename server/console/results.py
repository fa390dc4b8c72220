"""What finished jobs released, as the report has it: read once from the disk, then from memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any, Final

from federation.proposals import JobState
from server.jobs.looking import KnownJobs
from server.jobs.views import JobView
from server.report import build_report, render_page

_MOST: Final = 64
"""Reports of so many jobs are kept; one has some hundred kilobytes."""

Report = dict[str, Any]


class Results:
    """Any thread may use it."""

    def __init__(self, jobs: KnownJobs) -> None:
        self._jobs = jobs
        self._kept: OrderedDict[tuple[str, str], Report] = OrderedDict()
        self._mutex = threading.Lock()

    def report(self, job: JobView) -> Report | None:
        """A done job's figures (`server.report.figures`); None for a job without a result."""
        if job.state is not JobState.DONE or not job.record:
            return None
        key = (job.number, job.record)
        with self._mutex:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        outcome = self._jobs.outcome(job)
        if outcome is None or not outcome.result:
            return None
        report = build_report(job.job, outcome.result, None, {}, created=job.ended)
        with self._mutex:
            self._kept[key] = report
            while len(self._kept) > _MOST:
                self._kept.popitem(last=False)
        return report

    def page(self, job: JobView, language: str) -> str | None:
        """The self-contained report, as a file for people."""
        report = self.report(job)
        return None if report is None else render_page(report, language)
