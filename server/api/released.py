"""What finished jobs released, job by job, in pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final, TypeVar

import msgspec

from federation.proposals import JobState
from federation.web.paging import Page, Wanted
from server.api.services import Services
from server.jobs.views import JobView

_AT_ONCE: Final = 50
_Record = TypeVar("_Record", bound=msgspec.Struct)


def released_page(
    services: Services, paging: Wanted, make: Callable[[JobView, dict[str, Any]], _Record | None]
) -> Page[_Record]:
    """Records of finished jobs, those of the newest first. make: of a job and its figures; None: it has none."""
    after = paging.after(str)
    found = (
        (job.number, made)
        for job in _done(services, str(after[0]) if after else "")
        if (report := services.results.report(job)) is not None and (made := make(job, report)) is not None
    )
    page = paging.page(list(islice(found, paging.limit + 1)), lambda row: (row[0],))
    return Page([made for _, made in page.items], page.next)


def _done(services: Services, after: str) -> Iterator[JobView]:
    while jobs := services.jobs.page(states=[JobState.DONE], after=after, limit=_AT_ONCE):
        yield from jobs
        after = jobs[-1].number
