"""Lists for marketing at the desk: how large one would be, building it, giving it out with two persons."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final, NamedTuple

from fastapi import FastAPI, Form, Request, Response

from clients.audiences import lists
from clients.audiences.exporting import export, exports
from clients.desk.console.requests import download
from clients.desk.console.results import folder_named, names_of, result_of
from clients.desk.console.rules import policy_or_none
from clients.desk.console.second_person import CONFIRMATIONS, Standing, may_now, standing, what_of
from clients.desk.console.services import Desk
from federation.web.guard import Current, needs
from federation.web.languages import language_of
from privacy.access import Permission
from privacy.policy import PurposeClass
from privacy.texts import text

_LIST: Final = "/desk/audiences"


class Line(NamedTuple):
    """One list. people: rounded down to a multiple of k_min; recipients: who may be given it, "" for the node itself;
    standing: how far giving it to each of them is."""

    audience: lists.Audience
    people: int | None
    recipients: dict[str, Standing]


def add_audiences(app: FastAPI, desk: Desk) -> None:
    """The routes."""
    home = desk.home

    def purposes() -> list[str]:
        policy = policy_or_none(home)
        known = () if policy is None else policy.purposes
        return [item.name for item in known if item.treatment is PurposeClass.MARKETING]

    def recipients(purpose: str) -> list[str]:
        policy = policy_or_none(home)
        found = None if policy is None else policy.purpose(purpose)
        return ["", *(() if found is None else (item.party for item in found.recipients))]

    def what(audience: lists.Audience, recipient: str) -> str:
        return what_of("audiences.export", audience.name, audience.built.isoformat(), recipient)

    @app.get(_LIST, dependencies=[needs(Permission.AUDIENCES_READ)])
    def list_page(request: Request, caller: Current) -> Response:
        found = []
        for name in lists.names(home):
            audience = lists.read(home, name)
            states = {
                one: standing(desk, caller, Permission.AUDIENCES_EXPORT, what(audience, one))
                for one in recipients(audience.purpose)
            }
            found.append(Line(audience, desk.people(len(lists.members_of(home, name))), states))
        return desk.pages.render(
            request,
            "clients.desk.console:audiences.html.j2",
            found=found,
            given=[*reversed(exports(home))],
            k_min=desk.k_min,
        )

    @app.get(_LIST + "/new", dependencies=[needs(Permission.AUDIENCES_BUILD)])
    def new(request: Request) -> Response:
        results = [result_of(desk, name) for name in names_of(home)]
        return desk.pages.render(
            request,
            "clients.desk.console:audience_new.html.j2",
            # A segment of too few people is no list, and is not offered.
            sources=[
                (f"{one.name}/{segment}", one.name, segment, people)
                for one in results
                for segment, people in one.segments.items()
                if people is not None
            ],
            purposes=purposes(),
            longest=lists.LONGEST_DAYS,
            k_min=desk.k_min,
        )

    @app.post(_LIST + "/new", dependencies=[needs(Permission.AUDIENCES_BUILD)])
    def build(
        request: Request,
        source: Annotated[str, Form(pattern=r"^[^/]{1,150}/\d{1,4}$")],
        purpose: Annotated[str, Form(max_length=32)],
        name: Annotated[str, Form(max_length=40)],
        days: Annotated[int, Form(ge=1, le=lists.LONGEST_DAYS)] = lists.LONGEST_DAYS,
    ) -> Response:
        folder, _, segment = source.rpartition("/")
        made = lists.build(home, folder_named(home, folder), int(segment), purpose, name, days)
        return desk.pages.lead_on(
            request, _LIST, key="desk.audiences.built", name=name, people=desk.people(made.people) or 0
        )

    @app.post(_LIST + "/{name}/export", dependencies=[needs(Permission.AUDIENCES_EXPORT)])
    def give_out(
        request: Request, caller: Current, name: str, recipient: Annotated[str, Form(max_length=40)] = ""
    ) -> Response:
        audience = lists.read(home, name)
        language = language_of(request)
        if recipient:
            detail = text("desk.second.audience", language=language, name=name, party=recipient)
        else:
            detail = text("desk.second.audience_own", language=language, name=name)
        if not may_now(desk, caller, Permission.AUDIENCES_EXPORT, what(audience, recipient), detail):
            return desk.pages.lead_on(request, CONFIRMATIONS, "note", "desk.second.asked")
        with TemporaryDirectory(dir=home.folder) as folder:
            file = Path(folder) / f"{name}.csv"
            export(home, name, file, recipient)
            content = file.read_bytes()
        return download(content, "text/csv; charset=utf-8", f"{name}.csv")
