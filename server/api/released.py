"""What finished jobs released, job by job, in pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final, TypeVar

import msgspec
from fastapi import Request, Response

from federation.proposals import JobState
from federation.web.etags import reply
from federation.web.paging import Page, Wanted, add_link
from privacy.errors import NotFound
from server.api.services import Services
from server.jobs.views import JobView

_AT_ONCE: Final = 50
_Record = TypeVar("_Record", bound=msgspec.Struct)
Make = Callable[[JobView, dict[str, Any]], _Record | None]
"""What a job and its figures come to; None: it has nothing of the kind."""


def answer_page(request: Request, services: Services, paging: Wanted, make: Make[_Record]) -> Response:
    """Records of finished jobs, those of the newest first."""
    page = _released_page(services, paging, make)
    response = reply(request, page)
    add_link(request, response, page)
    return response


def answer_one(request: Request, services: Services, number: str, make: Make[_Record]) -> Response:
    """The record of one job. Raises `NotFound` where it has none."""
    job = services.jobs.get(number)
    report = services.results.report(job)
    found = None if report is None else make(job, report)
    if found is None:
        raise NotFound("api_result_missing", job=number)
    return reply(request, found)


def _released_page(services: Services, paging: Wanted, make: Make[_Record]) -> Page[_Record]:
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
