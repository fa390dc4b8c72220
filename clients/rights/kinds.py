"""What each kind of request comes to at a node, under the policy that is in force when the case is scoped."""

from __future__ import annotations

from typing import Final

from clients.audiences.standing import PERSONALISED_MARKETING
from clients.lending.automation import AUTOMATED_DECISION
from privacy.policy import Policy, PurposeClass
from privacy.rights import Artefact, RequestKind

ANSWERED: Final = frozenset(
    {RequestKind.ACCESS, RequestKind.COPY, RequestKind.PORTABILITY, RequestKind.EXPLAIN}
)
"""The subject is given something; nothing is changed, and nobody else is told."""
RESTRICTED: Final = frozenset({RequestKind.DELETE, RequestKind.RESTRICT})
REFUSING: Final = frozenset({RequestKind.WITHDRAW, RequestKind.REFUSE_AUTOMATION, RequestKind.OPT_OUT})
"""A word of the subject is recorded: a withdrawal."""
TOLD: Final = frozenset({*RESTRICTED, *REFUSING, RequestKind.CORRECT})
"""Every party that has matched the subject is told."""

_DERIVED: Final = (Artefact.AUDIENCE, Artefact.SEGMENT, Artefact.SCORE, Artefact.DECISION)
_COMPUTED: Final = (*_DERIVED, Artefact.UNFINISHED)
"""What was computed from the table's cells."""
_OF_TREATMENT: Final = {
    PurposeClass.MARKETING: (Artefact.AUDIENCE, Artefact.SEGMENT),
    PurposeClass.CREDIT_RISK: (Artefact.SCORE, Artefact.DECISION),
}
"""What is derived for a purpose (PIPL 47 (3): deleted when the consent to it is withdrawn)."""


def purposes_of(kind: RequestKind, asked: str, policy: Policy | None) -> tuple[str, ...]:
    """The purposes that a word is recorded for; () for a withdrawal from everything."""
    match kind:
        case RequestKind.WITHDRAW:
            return (asked,) if asked else ()
        case RequestKind.REFUSE_AUTOMATION:
            return (AUTOMATED_DECISION,)
        case RequestKind.OPT_OUT:
            known = () if policy is None else policy.purposes
            named = (item.name for item in known if item.treatment is PurposeClass.MARKETING)
            return (PERSONALISED_MARKETING, *named)
        case _:
            return ()


def artefacts_of(kind: RequestKind, asked: str, policy: Policy | None) -> tuple[Artefact, ...]:
    """What is erased, in the order of deletion."""
    match kind:
        case RequestKind.DELETE:
            return tuple(Artefact)
        case RequestKind.CORRECT:
            return _COMPUTED
        case RequestKind.OPT_OUT:
            return _OF_TREATMENT[PurposeClass.MARKETING]
        case RequestKind.WITHDRAW:
            purpose = None if policy is None or not asked else policy.purpose(asked)
            return _DERIVED if purpose is None else _OF_TREATMENT[purpose.treatment]
        case _:
            return ()
