"""The desk's HTTP interface, for the data holder's own systems on the same machine.

POST /v1/consents            one word, or {"statements": [...]}
POST /v1/consents/withdraw   what is taken back: everything, unless a purpose is named
POST /v1/consents/status     what is held about subjects (article 45)
POST /v1/prompts             whether subjects may be asked for consent to a purpose now
POST /v1/restrictions        restrict processing (article 47), or lift a restriction
POST /v1/requests            a request of a subject (articles 44 to 50): its number, due date, codes
GET  /v1/requests/{case}     how far it is
POST /v1/requests/{case}/verify  who asks has been made sure of
POST /v1/subjects/sessions   a link, good once, to the page of a subject that is logged in at the holder's own system
GET  /v1/status              whose desk this is, and the version of its store

Every call carries the bearer token of `clients.desk.desk_token`; a subject's browser sees its own page
(`clients.desk.subject`), which has sessions of its own, and those who work here have theirs
(`clients.desk.console`). What is answered holds as soon as it is answered: a
running job drops the subject before its next message. Identifiers are read from the body, used and forgotten: they
stand in no path, answer or log.
"""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from clients.consents.changes import Changes
from clients.consents.node import bring_in_for_withdrawal, changes_of
from clients.consents.prompts import ask
from clients.consents.tables import Restriction, Source
from clients.desk.console.app import add_console
from clients.desk.handling import Work, handler
from clients.desk.problems import DeskError, problem_of
from clients.desk.requests import Prompting, Question, Restraint, Said, Told, Withdrawal, read
from clients.desk.rights import RightsDesk
from clients.desk.serving import desk_token
from clients.desk.subject.routes import add_subject_page
from clients.desk.subject.sessions import Sessions
from clients.home import NodeHome
from federation.web.problems import answer
from privacy.rights import ARTICLES_OF_KIND, RequestKind


def make_desk(home: NodeHome) -> FastAPI:
    """The application over one node's consent store."""
    changes, token = changes_of(home, Source.API), desk_token(home)
    app = FastAPI(
        title="Silhouette consent desk",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    desk, sessions = _Desk(changes, home), Sessions(home)
    rights = RightsDesk(home, sessions)
    posts: dict[str, Work] = {
        "/v1/consents": desk.told,
        "/v1/consents/withdraw": desk.withdrawn,
        "/v1/consents/status": desk.asked,
        "/v1/prompts": desk.prompted,
        "/v1/restrictions": desk.restrained,
        "/v1/requests": rights.filed,
        "/v1/requests/{case}/verify": rights.verified,
        "/v1/subjects/sessions": rights.session,
    }
    for path, work in posts.items():
        app.add_api_route(path, handler(token, work), methods=["POST"])
    app.add_api_route("/v1/status", handler(token, desk.status), methods=["GET"])
    app.add_api_route("/v1/requests/{case}", handler(token, rights.shown), methods=["GET"])
    add_subject_page(app, home, sessions)
    add_console(app, home)

    @app.exception_handler(HTTPException)
    async def unknown(_request: Request, _problem: Exception) -> Response:
        return answer(problem_of(DeskError("not_found")))

    return app


class _Desk:
    """What each route does with the body of a request."""

    def __init__(self, changes: Changes, home: NodeHome) -> None:
        self._changes, self._home = changes, home

    def told(self, body: bytes) -> dict[str, Any]:
        """Every word of a call is checked before the first is stored."""
        plain = msgspec.json.decode(body)
        is_list = isinstance(plain, dict) and "statements" in plain
        said = read(body, Told).statements if is_list else (read(body, Said),)
        if any(one.granted and not one.affirmative_action for one in said):
            raise DeskError("no_action")
        checked = [
            (self._changes.identifiers(one.identifiers), self._changes.checked(one.statement)) for one in said
        ]
        version = self._changes.store.version
        for one, (identifiers, statement) in zip(said, checked, strict=True):
            version = self._changes.give(identifiers, [statement], one.capture)
        return {"version": version, "subjects": sum(len(one.identifiers) for one in said)}

    def withdrawn(self, body: bytes) -> dict[str, Any]:
        """What a file says that was not imported yet is withdrawn too. Raises `SchemaMismatch` for one that cannot be
        read: the withdrawal holds for every need that is known, and is to be said again."""
        asked = read(body, Withdrawal)
        identifiers = self._changes.identifiers(asked.identifiers)
        named = (asked.purpose, asked.kind, asked.scope, asked.recipient)
        try:
            bring_in_for_withdrawal(self._home)
        finally:
            version = self._changes.withdraw(identifiers, *named)
        return {"version": version, "subjects": len(identifiers)}

    def asked(self, body: bytes) -> dict[str, Any]:
        return {"subjects": self._changes.held(read(body, Question).identifiers)}

    def prompted(self, body: bytes) -> dict[str, Any]:
        """In the order of the identifiers; whoever may be asked counts as asked."""
        asked = read(body, Prompting)
        return {"answers": ask(self._home, asked.identifiers, asked.purpose, Source.API)}

    def restrained(self, body: bytes) -> dict[str, Any]:
        asked = read(body, Restraint)
        identifiers = self._changes.identifiers(asked.identifiers)
        if asked.lift and asked.reason is None:
            # What a law or technique keeps shut, and what is being deleted, is lifted by its name alone.
            self._changes.lift(identifiers, Restriction.DISPUTE)
            deletion = ARTICLES_OF_KIND[RequestKind.DELETE]
            version = self._changes.lift(identifiers, Restriction.REQUEST, deletion)
        elif asked.lift:
            version = self._changes.lift(identifiers, asked.reason)
        elif asked.reason is None:
            raise DeskError("malformed", "$.reason")
        else:
            version = self._changes.restrict(identifiers, asked.reason, asked.law, asked.review)
        return {"version": version, "subjects": len(identifiers)}

    def status(self, _body: bytes) -> dict[str, Any]:
        return {"party": self._home.settings.name, "version": self._changes.store.version}
