"""Who may be on a list for marketing now: by what each person has said last, asked anew every time (PIPL 15, 23, 24).

Who refuses personalised marketing says so as a withdrawal of `PERSONALISED_MARKETING`, by any way that the node takes
words of subjects, or withdraws consent to the list's own purpose: both are an opt-out here (article 24, paragraph 2;
算法推荐管理规定 article 17: at once).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from clients.consents.node import bring_in, changes_of
from clients.consents.subjects import kind_label
from clients.consents.tables import Source
from clients.home import NodeHome
from federation.pace import utc_now
from privacy.audit import EventType
from privacy.consent import PROVIDE, Answer, ConsentKind, Need, reason_of
from privacy.errors import Denied
from privacy.parameters import STANDARD, TESTING_ONLY
from privacy.policy import Policy, Purpose, PurposeClass, Recipient, Relation
from privacy.reasons import Finding, Reason

PERSONALISED_MARKETING: Final = "personalised-marketing"
"""The purpose under which a subject's word on personalised marketing is kept; only a withdrawal counts."""
COUNTED_BY: Final = 10
"""Counts in the log are rounded down to a multiple, so that the difference of two lists does not tell of one."""


def marketing_purpose(policy: Policy, name: str) -> Purpose:
    """A purpose for which lists may be made. Raises `Denied` for one that is not registered or not for marketing."""
    purpose = policy.purpose(name)
    if purpose is None:
        raise Denied.of([Finding(Reason.PURPOSE_UNREGISTERED, name)])
    if purpose.treatment is not PurposeClass.MARKETING:
        raise Denied.of([Finding(Reason.PURPOSE_MISMATCH, name)])
    return purpose


def recipient_of(purpose: Purpose, party: str) -> Recipient | None:
    """Whom the purpose registers under that name; None for the node's own use, which has no name. Raises `Denied`."""
    if not party:
        return None
    found = purpose.recipient(party)
    if found is None:
        raise Denied.of([Finding(Reason.RECIPIENT_UNKNOWN, party)])
    return found


def fewest_members(home: NodeHome) -> int:
    """A list of fewer people is about single ones."""
    return (TESTING_ONLY if home.settings.allow_testing_profile else STANDARD).k_min


def objections(
    home: NodeHome,
    policy: Policy,
    purpose: Purpose,
    identifiers: Sequence[str],
    recipient: Recipient | None = None,
) -> list[Reason | None]:
    """(n,): why each person may not be on a list for a purpose and a recipient, or None.

    identifiers: as the node's table has them. Raises `IdentifierInvalid` when one is none.
    """
    if not identifiers:
        return []
    bring_in(home)
    store, now = home.consents, utc_now()
    known = changes_of(home, Source.CLI).identifiers(identifiers)
    tokens = store.tokens(kind_label(home.settings.table), known)
    notice = policy.notice(purpose.notice)
    valid = () if notice is None else (notice.id, *notice.still_valid)
    found: list[Reason | None] = [None] * len(identifiers)
    for need in _needs(purpose, recipient):
        for place, answer in enumerate(store.answers(tokens, need, valid, now).tolist()):
            if answer != Answer.YES:
                found[place] = found[place] or _reason(purpose, need, Answer(answer))
    refused = store.answers(tokens, Need(PERSONALISED_MARKETING), (), now) == Answer.WITHDRAWN
    for place in np.flatnonzero(refused).tolist():
        found[place] = Reason.MARKETING_OPTOUT
    for place in np.flatnonzero(store.restricted(tokens, now)).tolist():
        found[place] = Reason.RESTRICTED_STATE
    return found


def opt_out(home: NodeHome, cells: Sequence[str], source: Source) -> int:
    """Record that subjects refuse personalised marketing, effective at once; the store's new version.

    Their names leave the lists that are here (`clients.audiences.lists.take_out`). Raises `IdentifierInvalid`.
    """
    from clients.audiences.lists import take_out

    changes = changes_of(home, source)
    identifiers = changes.identifiers(cells)
    version = changes.withdraw(identifiers, PERSONALISED_MARKETING)
    home.audit.append(
        EventType.OPTOUT_SET,
        actor=source.value,
        artefact=PERSONALISED_MARKETING,
        numbers={"people": counted(len(identifiers))},
    )
    take_out(home, {cell.decode() for cell in identifiers.tolist()})
    return version


def counted(people: int) -> int:
    """A count of people as the log may hold it."""
    return people // COUNTED_BY * COUNTED_BY


def _needs(purpose: Purpose, recipient: Recipient | None) -> tuple[Need, ...]:
    """Marketing rests on consent alone; a recipient asks for the separate one (23) unless an opinion says otherwise."""
    needs = [Need(purpose.name)]
    if recipient is not None and recipient.relation is Relation.PROVIDE and recipient.legal_opinion is None:
        needs.append(Need(purpose.name, ConsentKind.SEPARATE, PROVIDE, recipient.party))
    return tuple(needs)


def _reason(purpose: Purpose, need: Need, answer: Answer) -> Reason:
    if answer is Answer.WITHDRAWN and need == Need(purpose.name):
        return Reason.MARKETING_OPTOUT
    return reason_of(need, answer)
