"""Joint processing (5), entrustment (6), provision to other handlers (8)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from privacy.audit_items.flows import Flow, consent_first, flows_of, over, separate_need
from privacy.audit_items.guideline import Holds, Item
from privacy.audit_items.ledger import Ledger, is_past, label
from privacy.consent import PROVIDE
from privacy.decision import COORDINATOR
from privacy.documents.material import categories_of
from privacy.policy import Agreement, Purpose, Recipient, Relation

CONTENTS: Final = ("purposes", "term", "methods", "categories", "measures", "duties")
"""What article 21 wants an agreement to say; term: its two days."""
_ENDS: Final = ("agreement.expired", "agreement.terminated")
_AGREEMENTS: Final = ("agreement.activated", *_ENDS, "agreement.inspected")


def joint(ledger: Ledger) -> Item:
    """Item 5: joint handlers' agreements."""
    flows = flows_of(ledger, lambda party: party.relation is Relation.JOINT)
    checks, result = _agreements(ledger, flows)
    return _item(ledger, 5, flows, checks, result, ("no_joint_handler",), ("clauses", "any_door"))


def entrusted(ledger: Ledger) -> Item:
    """Item 6: agreements with their six contents, assessment before, nothing after the end, supervision."""
    flows = flows_of(ledger, lambda party: party.relation is Relation.ENTRUSTED)
    checks, result = _agreements(ledger, flows)
    if flows:
        checks |= {
            "pipia_before_use": ledger.settle({item.name: ledger.assessed(item) for item, _ in flows}),
            "nothing_after_end": _nothing_after_end(ledger, flows),
            "coordinator_named": _judge(ledger, flows, _names_keys),
        }
    result["refused"] = ledger.reasons("R-AGREEMENT", "R-SUBDELEGATION")
    left = ["clauses"]
    left += ["inspections"] * (not ledger.of("agreement.inspected"))
    left += ["returned"] * bool(ledger.of(*_ENDS))
    return _item(ledger, 6, flows, checks, result, ("no_entrusted_party",), tuple(left))


def provided(ledger: Ledger) -> Item:
    """Item 8: agreement, notice, assessment and separate consents before the first use."""
    flows = flows_of(ledger, lambda party: party.relation is Relation.PROVIDE)
    checks, result = _agreements(ledger, flows)
    asked = [flow for flow in flows if flow[1].legal_opinion is None]
    if flows:
        checks |= {
            "recipient_in_notice": _judge(ledger, flows, _is_told),
            "pipia_before_use": ledger.settle({item.name: ledger.assessed(item) for item, _ in flows}),
        }
    if asked:
        checks["separate_consent_first"] = consent_first(ledger, asked, PROVIDE)
    words = ledger.words()
    result["separate_consents"] = {
        name: words.get(name, {}) for name in (label(separate_need(*flow, PROVIDE)) for flow in asked)
    }
    result["refused"] = ledger.reasons("R-SEPARATE-CONSENT-PROVIDE", "R-RECIPIENT", "R-CREDIT")
    left = ["recipient_told"] + ["legal_opinion"] * (len(asked) < len(flows))
    return _item(ledger, 8, flows, checks, result, ("no_recipient",), tuple(left))


# --- agreements


def _found(ledger: Ledger, flows: list[Flow]) -> dict[str, Agreement]:
    """The agreements of these flows that the policy has, by id."""
    found = {party.agreement: ledger.policy.agreement(party.agreement) for _, party in flows}
    return {number: agreement for number, agreement in found.items() if agreement is not None}


def _agreements(ledger: Ledger, flows: list[Flow]) -> tuple[dict[str, Holds], dict[str, Any]]:
    """The checks that every relation has, and a row per agreement."""
    found = _found(ledger, flows)
    logged = {number: ledger.announced("agreement.activated", number, item) for number, item in found.items()}
    contents = {number: _contents(item) for number, item in found.items()}
    inspected = {event.artefact for event in ledger.of("agreement.inspected")}
    rows = [
        {
            "agreement": number,
            "parties": list(item.parties),
            "contents": contents[number],
            "from": item.valid_from.isoformat(),
            "until": item.valid_until.isoformat(),
            "over_at_last_event": item.valid_until.toordinal() < ledger.last_day,
            "logged_seq": None if (event := logged[number]) is None else event.seq,
            "text_recorded": bool(item.digest),
            "inspected": number in inspected,
        }
        for number, item in found.items()
    ]

    def dated(purpose: Purpose, party: Recipient) -> Holds:
        item = found.get(party.agreement)
        return None if item is None else ledger.within(purpose, item.valid_from, item.valid_until)

    checks: dict[str, Holds] = {
        "agreement_named": _judge(ledger, flows, lambda _ledger, _purpose, party: party.agreement in found),
        "agreement_scope": _judge(ledger, flows, _is_in_scope),
        "agreement_contents": _judge(
            ledger, flows, lambda _ledger, _purpose, party: all(contents.get(party.agreement, {}).values())
        ),
        "agreement_before_use": over(
            ledger, flows, lambda purpose, party: ledger.before_use(purpose, logged.get(party.agreement))
        ),
        "agreement_in_force": over(ledger, flows, dated),
    }
    return checks if flows else {}, {"agreements": rows}


def _judge(ledger: Ledger, flows: list[Flow], good: Callable[[Ledger, Purpose, Recipient], bool]) -> Holds:
    """Whether what the policy says of each flow is good."""
    return over(ledger, flows, lambda purpose, party: ledger.good(purpose, good(ledger, purpose, party)))


def _contents(agreement: Agreement) -> dict[str, bool]:
    found = {name: bool(getattr(agreement, name)) for name in ("purposes", "methods", "categories")} | {
        name: bool(getattr(agreement, name).strip()) for name in ("measures", "duties")
    }
    found["term"] = agreement.valid_from <= agreement.valid_until
    return {name: found[name] for name in CONTENTS}


def _is_in_scope(ledger: Ledger, purpose: Purpose, party: Recipient) -> bool:
    agreement = ledger.policy.agreement(party.agreement)
    return (
        agreement is not None
        and agreement.relation is party.relation
        and party.party in agreement.parties
        and purpose.name in agreement.purposes
        and set(purpose.methods) <= set(agreement.methods)
        and set(categories_of(ledger.material.uses(purpose))) <= set(agreement.categories)
    )


def _names_keys(ledger: Ledger, _purpose: Purpose, party: Recipient) -> bool:
    agreement = ledger.policy.agreement(party.agreement)
    return party.party != COORDINATOR or (agreement is not None and bool(agreement.coordinator_fingerprints))


def _nothing_after_end(ledger: Ledger, flows: list[Flow]) -> Holds:
    """Whether no table was used under an agreement after the log says that it is over.

    One with another text has been announced since; a refusal before its first day is no end.
    """
    if not ledger.admitted:
        return None
    over: set[str] = set()
    wanted = _found(ledger, flows)
    for event in ledger.of(*_ENDS, "agreement.activated", "dataset.admitted"):
        kind, item = event.type.value, wanted.get(event.artefact)
        if kind == "agreement.activated":
            over.discard(event.artefact)
        elif kind == "dataset.admitted":
            if over and event.policy == ledger.digest:
                return False
        elif item is not None and (kind != _ENDS[0] or is_past(event, item.valid_until)):
            over.add(event.artefact)
    return True


def _is_told(ledger: Ledger, purpose: Purpose, party: Recipient) -> bool:
    notice = ledger.policy.notice(purpose.notice)
    return notice is not None and party.party in notice.recipients and bool(party.contact.name.strip())


def _item(
    ledger: Ledger,
    number: int,
    flows: list[Flow],
    checks: dict[str, Holds],
    result: dict[str, Any],
    absent: tuple[str, ...],
    left: tuple[str, ...],
) -> Item:
    """An item about a relation; absent: what is left open where the policy has no such party."""
    result = {"recipients": sorted({party.party for _, party in flows}), **result}
    events = ledger.of(*_AGREEMENTS) + ledger.refusals("R-AGREEMENT", "R-SUBDELEGATION", "R-RECIPIENT")
    return Item(number, checks, result, events, left if flows else absent, applies=bool(flows))
