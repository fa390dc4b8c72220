"""Provision abroad (15)."""

from __future__ import annotations

from collections.abc import Mapping

from privacy.audit_items.flows import Flow, consent_first, flows_of, over
from privacy.audit_items.guideline import Holds, Item
from privacy.audit_items.ledger import Ledger
from privacy.consent import CROSSBORDER
from privacy.decision import PEOPLE_CONTRACT, PEOPLE_SENSITIVE_CONTRACT
from privacy.documents.material import sensitive_categories
from privacy.policy import Mechanism, MechanismKind, Purpose, Recipient


def abroad(ledger: Ledger) -> Item:
    """Item 15: regions, mechanisms, the year's count, consents."""
    policy = ledger.policy
    flows = flows_of(ledger, lambda party: party.region != policy.region)
    checks: dict[str, Holds] = {}
    if flows:
        mechanisms = {party.party: _mechanism(ledger, party) for _, party in flows}
        checks = {
            "mechanism_named": over(
                ledger, flows, lambda item, party: ledger.good(item, mechanisms[party.party] is not None)
            ),
            "mechanism_in_force": over(
                ledger, flows, lambda item, party: _in_force(ledger, item, mechanisms[party.party])
            ),
            "people_counted": _counted(ledger),
            "people_below_limit": _below_limit(ledger, flows, mechanisms),
            "crossborder_consent_first": consent_first(ledger, flows, CROSSBORDER),
        }
    counters = ledger.of("counter.snapshot")
    result = {
        "region": policy.region,
        "recipients": {
            party.party: party.region for purpose in policy.purposes for party in purpose.recipients
        },
        "mechanisms": [
            {
                "id": item.id,
                "kind": item.kind.value,
                "region": item.region,
                "until": item.valid_until.isoformat(),
            }
            for item in policy.mechanisms
        ],
        "counters": [{"seq": event.seq, **event.numbers} for event in counters[-1:]],
        "refused": ledger.reasons("R-CROSSBORDER", "R-SEPARATE-CONSENT-CROSSBORDER", "R-FOREIGN", "R-REGION"),
        "events": ledger.count("export.requested", "export.approved", "export.refused"),
    }
    events = counters + ledger.refusals("R-CROSSBORDER", "R-SEPARATE-CONSENT-CROSSBORDER", "R-FOREIGN")
    left = ("regions_declared", "remote_access") + (() if flows else ("nobody_abroad",))
    return Item(15, checks, result, events, left, applies=bool(flows))


def _mechanism(ledger: Ledger, party: Recipient) -> Mechanism | None:
    """What allows the flow to a recipient: the one that lasts longest."""
    fitting = [
        item
        for item in ledger.policy.mechanisms
        if item.region == party.region
        and party.party in item.parties
        and (item.kind is MechanismKind.ASSESSMENT or not ledger.policy.critical_infrastructure)
    ]
    return max(fitting, key=lambda item: item.valid_until, default=None)


def _in_force(ledger: Ledger, purpose: Purpose, mechanism: Mechanism | None) -> Holds:
    return None if mechanism is None else ledger.within(purpose, None, mechanism.valid_until)


def _counted(ledger: Ledger) -> Holds:
    """Whether every use comes after a count of people in its session."""
    if not ledger.admitted:
        return None
    counted: set[str] = set()
    found = []
    for event in ledger.of("counter.snapshot", "dataset.admitted"):
        if event.type.value == "counter.snapshot":
            counted.add(event.session)
        elif event.policy == ledger.digest:
            found.append(event.session in counted)
    if all(found):
        return True
    # A session for a purpose with nobody abroad needs no count, and the event may not say which it was.
    return False if not any(found) or len(ledger.policy.purposes) == 1 else None


def _below_limit(ledger: Ledger, flows: list[Flow], mechanisms: Mapping[str, Mechanism | None]) -> Holds:
    """Whether the counts since 1 January stayed under what a contract or a certification allows (40)."""
    if all(item is not None and item.kind is MechanismKind.ASSESSMENT for item in mechanisms.values()):
        return True
    used = {event.session for event in ledger.admitted}
    counts = [
        event.numbers.get("before", 0) + event.numbers.get("new", 0)
        for event in ledger.of("counter.snapshot")
        if event.session in used
    ]
    sensitive = any(sensitive_categories(ledger.material.uses(purpose)) for purpose, _ in flows)
    limit = PEOPLE_SENSITIVE_CONTRACT if sensitive else PEOPLE_CONTRACT
    return max(counts) < limit if counts else None
