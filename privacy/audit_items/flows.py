"""Flows to other parties: one purpose and one of its recipients each."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from privacy.audit_items.guideline import Holds, all_hold
from privacy.audit_items.ledger import Ledger
from privacy.consent import ConsentKind, Need
from privacy.decision import COORDINATOR
from privacy.policy import Purpose, Recipient

Flow = tuple[Purpose, Recipient]


def flows_of(ledger: Ledger, wanted: Callable[[Recipient], bool]) -> list[Flow]:
    """The flows to those recipients."""
    return [
        (purpose, party)
        for purpose in ledger.policy.purposes
        for party in purpose.recipients
        if wanted(party)
    ]


def over(ledger: Ledger, flows: Iterable[Flow], found: Callable[[Purpose, Recipient], Holds]) -> Holds:
    """One answer of several flows'.

    Events do not say which recipients took part in a use: what is wrong with one of several is a doubt. The coordinator
    always takes part.
    """
    by_purpose: dict[str, list[tuple[Recipient, Holds]]] = {}
    for purpose, party in flows:
        by_purpose.setdefault(purpose.name, []).append((party, found(purpose, party)))
    return ledger.settle({name: _of_parties(answers) for name, answers in by_purpose.items()})


def _of_parties(answers: list[tuple[Recipient, Holds]]) -> Holds:
    always = [holds for party, holds in answers if party.party == COORDINATOR]
    others = [holds for party, holds in answers if party.party != COORDINATOR]
    if not all(holds is False for holds in others):
        others = [None if holds is False else holds for holds in others]
    return all_hold([*always, *others])


def consent_first(ledger: Ledger, flows: Iterable[Flow], scope: str) -> Holds:
    """Whether separate consents with this scope were in the log before the first use."""
    return over(
        ledger,
        flows,
        lambda purpose, party: ledger.consented(purpose, [separate_need(purpose, party, scope)]),
    )


def separate_need(purpose: Purpose, party: Recipient, scope: str) -> Need:
    """The separate consent that a flow asks for."""
    return Need(purpose.name, ConsentKind.SEPARATE, scope, party.party)
