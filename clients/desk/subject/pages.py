"""What the subject's page shows and does. Nothing here reads a request or a cookie: `routes` does."""

from __future__ import annotations

import io
import zipfile
from typing import Final, NamedTuple

import numpy as np

from clients.consents.holding import held
from clients.consents.subjects import kind_label
from clients.desk.subject.sessions import Session
from clients.gate.policy import active_policy, catalog_of
from clients.home import NodeHome
from clients.rights import access, copies, explanation, receipts
from clients.rights.cases import Case, Correction
from clients.rights.held import purposes_of, title_of
from clients.rights.intake import Intake, Request
from clients.rights.locating import locate
from clients.rights.store import CaseStore
from clients.rights.views import view
from clients.rights.wording import Wording, render
from federation.pace import utc_now
from privacy.errors import ConfigInvalid, Denied
from privacy.identifiers import Identifiers
from privacy.rights import RequestKind

PACKAGE: Final = "clients.desk.subject"
APPEAL: Final = "appeal"
"""What the form says for "I want a person to look at it": no kind of request, but a step of its own."""
LOGIN: Final = "login"


class File(NamedTuple):
    """Something to download."""

    name: str
    media_type: str
    content: bytes


class SubjectPages:
    """The pages of one node."""

    def __init__(self, home: NodeHome) -> None:
        self._home = home
        self._intake, self._store = Intake(home, "api"), CaseStore(home.vault)

    def plain(self, template: str, t: Wording, **values: object) -> str:
        """A page that shows nothing of a subject."""
        return render(PACKAGE, template, t, handler=self._handler(), **values)

    def overview(self, session: Session, t: Wording) -> str:
        """Who uses what for which purpose, and what can be asked for. Raises `Denied` without a policy."""
        policy, spec = active_policy(self._home), self._home.settings.table
        catalog, kinds = catalog_of(policy), {item.name: item.kind for item in spec.fields}
        tokens = self._home.consents.tokens(kind_label(spec), _identifiers(session.identifier))
        (words,) = held(self._home.consents, tokens, utc_now())
        purposes = purposes_of(self._home, policy, words)
        titles = {
            item.name: [title_of(catalog, name, kinds.get(name, "")) for name in item.fields]
            for item in purposes
        }
        fields = [(item.name, title_of(catalog, item.name, item.kind)) for item in spec.fields]
        return render(
            PACKAGE,
            "overview.html.j2",
            t,
            handler=policy.handler.name,
            session=session,
            purposes=purposes,
            titles=titles,
            fields=fields,
        )

    def ask(self, session: Session, t: Wording, kind: str, purpose: str, field: str, value: str) -> str:
        """File a request of the subject and show it. Raises `ConfigInvalid` for one that does not fit together."""
        if kind == APPEAL:
            return self._appeal(session, t)
        try:
            asked = RequestKind(kind)
        except ValueError:
            raise ConfigInvalid("rights_purpose") from None
        correction = Correction(field, value) if asked is RequestKind.CORRECT else None
        request = Request(kind=asked, verified_by=LOGIN, purpose=purpose, correction=correction)
        case = self._intake.file(request, session.identifier.decode()).case
        session.cases.add(case.number)
        return self._case(session, t, case, access.give(self._home, case.number))

    def case(self, session: Session, t: Wording, number: str) -> str:
        """How far one of the session's cases is."""
        return self._case(session, t, self._own(session, number))

    def check(self, number: str, code: str) -> None:
        """Raises `Denied` for a wrong code."""
        access.check(self._home, number, code)

    def file(self, session: Session, t: Wording, number: str, what: str) -> File:
        """What belongs to one of the session's cases. Raises `ConfigInvalid` when there is none."""
        self._own(session, number)
        if what == "copy":
            return File(f"copy-{number}.zip", "application/zip", _zipped(copies.take(self._home, number)))
        data = receipts.kept(self._home, number)
        if data is None:
            raise ConfigInvalid("copy_missing", case=number)
        if what == "receipt-page":
            page = receipts.page(data, t.language).encode()
            return File(f"receipt-{number}.html", "text/html; charset=utf-8", page)
        return File(f"receipt-{number}.json", "application/json", data)

    def _case(self, session: Session, t: Wording, case: Case, code: str = "", appeal: object = None) -> str:
        found = explanation.kept(self._home, case.number)
        return render(
            PACKAGE,
            "case.html.j2",
            t,
            handler=self._handler(),
            here=f"/s/case/{case.number}",
            session=session,
            case=view(case, t.language),
            access=code,
            appeal=appeal,
            explanation=found,
            has_copy=found is None and copies.is_there(self._home, case.number),
            has_receipt=receipts.kept(self._home, case.number) is not None,
        )

    def _appeal(self, session: Session, t: Wording) -> str:
        """A person looks at the last decision, and a case keeps it: the number of both is shown."""
        (subject,) = locate(self._home, [session.identifier])
        appeal = explanation.appeal(self._home, subject)
        request = Request(kind=RequestKind.EXPLAIN, verified_by=LOGIN)
        case = self._intake.file(request, session.identifier.decode()).case
        session.cases.add(case.number)
        return self._case(session, t, case, access.give(self._home, case.number), appeal)

    def _own(self, session: Session, number: str) -> Case:
        """A case of this session; of another's nothing is told, not even whether there is one."""
        case = self._store.get(number) if number in session.cases else None
        if case is None:
            raise ConfigInvalid("rights_case_unknown", case=number)
        return case

    def _handler(self) -> str:
        try:
            return active_policy(self._home).handler.name
        except Denied:
            return self._home.settings.name


def _identifiers(identifier: bytes) -> Identifiers:
    return np.array([identifier], dtype=np.bytes_)


def _zipped(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(files.items()):
            archive.writestr(name, content)
    return stream.getvalue()
