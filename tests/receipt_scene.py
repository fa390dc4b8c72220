"""A bank's home with one subject, a case of it, and a witness: what receipts are made of."""

from __future__ import annotations

from datetime import UTC, date, datetime

import msgspec
import numpy as np
from audit_scene import IDENTITIES, KEYS
from consent_desk import PHONES, make_home

from clients.consents.rows import as_bytes
from clients.consents.subjects import sref
from clients.rights import receipts
from clients.rights.courier import sign_answer
from federation.audit_log import AuditLog
from federation.roster import Enrolment, Roster
from privacy.audit import EventType
from privacy.receipts import AffectedModel, CaseSection, PartyAnswer
from privacy.rights import Artefact, CaseState, Outcome, Requester, RequestKind, Result, TaskAnswer

NUMBER = "0123456789abcdef" * 2
AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
KEPT = Outcome(
    artefact=Artefact.DECISION, result=Result.RESTRICTED_LAW, law="电子商务法 31", until=date(2029, 3, 2)
)
DONE = (
    Outcome(artefact=Artefact.SEGMENT, result=Result.ERASED),
    KEPT,
    Outcome(artefact=Artefact.SUBJECT, result=Result.CRYPTO_SHREDDED),
)


def section(**changes):
    given = {
        "number": NUMBER,
        "party": "bank",
        "kind": RequestKind.DELETE,
        "requester": Requester.SUBJECT,
        "state": CaseState.COMPLETED,
        "received": AT,
        "due": date(2026, 3, 23),
        "restricted": AT,
        "completed": AT,
        **changes,
    }
    return CaseSection(**given)


def answer_of(party="shop", **changes):
    given = {"case": NUMBER, "party": party, "at": AT, "state": CaseState.COMPLETED, "outcomes": DONE[:1]}
    answer = TaskAnswer(**{**given, **changes})
    return PartyAnswer(party=party, answer=answer, signature=sign_answer(IDENTITIES[party], answer))


def case_of(**changes):
    model = AffectedModel(model="ab" * 16, kind="boosting", plan="relearn", until=date(2026, 4, 1))
    given = {"section": section(), "outcomes": DONE, "answers": (answer_of(),), "models": (model,), **changes}
    return receipts.ReceiptCase(**given)


def roster_for(home):
    """The home has joined a federation with the shop and a coordinator."""
    enrolments = [
        Enrolment(name, keys.to_text(), "")
        for name, keys in (("bank", home.identity.public), ("shop", KEYS["shop"]))
    ]
    home.roster_file.write_bytes(
        msgspec.json.encode(
            Roster(
                url="https://coordinator.example",
                certificate="",
                coordinator=KEYS["coordinator"].to_text(),
                parties=tuple(enrolments),
            )
        )
    )


class Scene:
    """The home, its subject's token, and the log of another party that cosigns."""

    def __init__(self, folder):
        self.home = make_home(folder)
        roster_for(self.home)
        self.witness = AuditLog(folder / "shop", "shop", IDENTITIES["shop"])
        self.tokens = self.home.consents.tokens("phone/plain", np.array([PHONES[0].encode()], "S11"))
        self.token = as_bytes(self.tokens)[0]
        (self.key,) = self.home.consents.openings(self.tokens)
        self.sref = sref(self.key.tobytes(), receipts.RIGHTS, datetime.now(UTC).year)

    def log_case(self, number=NUMBER):
        for kind in (EventType.DSR_RECEIVED, EventType.DSR_RESTRICTED, EventType.DSR_COMPLETED):
            self.home.audit.append(kind, actor="node", artefact=number, sref=self.sref)
            self.home.audit.append(EventType.ROUND_OPENED, actor="node")

    def cosign(self):
        log = self.home.audit
        made = log.checkpoint()
        proof = log.consistency(log.cosigned_size("shop"), made.size)
        log.add_cosignature(
            made.size, self.witness.witness(made, self.home.identity.public, proof), KEYS["shop"]
        )

    def receipt(self, **changes):
        self.log_case()
        receipts.prepare(self.home, {NUMBER: self.token})
        self.cosign()
        return receipts.issue(self.home, [case_of(**changes)])[NUMBER]
