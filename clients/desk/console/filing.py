"""Filing a request of a data subject at the desk: who asks, what for, and on what authority.

The identifier and a corrected value are read from the body, used and forgotten. A paper that shows an authority is
hashed and not kept. The code for the subject is shown this once.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec
from fastapi import FastAPI, Request, Response
from starlette.datastructures import FormData, UploadFile

from clients.desk.console.rules import policy_or_none
from clients.desk.console.services import Desk, Form, word
from clients.rights.cases import Authority, Correction
from clients.rights.intake import VOUCHES, Intake
from clients.rights.intake import Request as Asked
from clients.rights.views import view
from federation.web.guard import Current, needs
from federation.web.languages import language_of
from privacy.access import Permission
from privacy.errors import ConfigInvalid
from privacy.rights import Requester, RequestKind

_NEW: Final = "/desk/requests/new"


def add_filing(app: FastAPI, desk: Desk) -> None:
    """The routes."""
    home = desk.home

    @app.get(_NEW, dependencies=[needs(Permission.REQUESTS_FILE)])
    def form_page(request: Request) -> Response:
        policy = policy_or_none(home)
        return desk.pages.render(
            request,
            "clients.desk.console:request_new.html.j2",
            kinds=[*RequestKind],
            requesters=[*Requester],
            vouches=VOUCHES,
            purposes=() if policy is None else policy.purposes,
            fields=home.settings.table.fields,
        )

    @app.post(_NEW, dependencies=[needs(Permission.REQUESTS_FILE)])
    def file(request: Request, caller: Current, form: Form) -> Response:
        made = Intake(home).file(_asked(form, caller.name), word(form, "identifier"))
        return desk.pages.render(
            request,
            "clients.desk.console:request_filed.html.j2",
            case=view(made.case, language_of(request)),
            code=made.code,
        )


def _asked(form: FormData, who: str) -> Asked:
    """Raises `ConfigInvalid` for what does not fit together."""
    field = word(form, "field")
    plain = {
        "kind": word(form, "kind"),
        "requester": word(form, "requester") or Requester.SUBJECT.value,
        "verified_by": word(form, "verified_by"),
        "purpose": word(form, "purpose"),
    }
    try:
        asked = msgspec.convert(plain, Asked)
    except msgspec.ValidationError:
        raise ConfigInvalid("rights_purpose") from None
    return msgspec.structs.replace(
        asked,
        authority=_authority(form, who),
        correction=Correction(field, word(form, "value")) if field else None,
    )


def _authority(form: FormData, who: str) -> Authority | None:
    paper, kind = form.get("document"), word(form, "document_kind")
    content = paper.file.read() if isinstance(paper, UploadFile) else b""
    if not content:
        return None
    plain = {
        "document": hashlib.sha256(content).hexdigest(),
        "kind": kind,
        "checked_by": who,
        "arranged_otherwise": word(form, "arranged_otherwise") == "yes",
    }
    try:
        return msgspec.convert(plain, Authority)
    except msgspec.ValidationError:
        raise ConfigInvalid("rights_document") from None
