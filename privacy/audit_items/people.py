"""Sensitive information (13), children (14), deletion (16), rights (17), incidents (25)."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

from privacy.audit import Event
from privacy.audit_items.guideline import Holds, Item
from privacy.audit_items.ledger import Ledger, label, subjects_of
from privacy.audit_items.requests import ANSWERS, MANY, answers
from privacy.audit_items.requests import traces as traces_of_requests
from privacy.catalog import Consent
from privacy.consent import SENSITIVE, ConsentKind, Need
from privacy.decision import CHILD_AGE
from privacy.documents.material import sensitive_categories
from privacy.policy import Basis, Purpose

_REQUESTS: Final = (
    "dsr.received",
    "dsr.ack",
    "dsr.verified",
    "dsr.scoped",
    "dsr.restricted",
    "dsr.task_sent",
    "dsr.task_result",
    "dsr.completed",
    "dsr.partial",
    "dsr.rejected",
    "dsr.reopened",
    "dsr.receipt_issued",
)
_REMOVALS: Final = ("retention.expired", "key.shredded", "tag.deleted", "restore.replayed")
_INCIDENTS: Final = ("incident.opened", "incident.classified", "incident.reported", "incident.closed")


def sensitive(ledger: Ledger) -> Item:
    """Item 13: per category the necessity, the consent, the assessment."""
    rows: list[dict[str, Any]] = []
    consents: dict[str, Holds] = {}
    order: dict[str, Holds] = {}
    found: list[Purpose] = []
    told: dict[str, bool] = {}
    covered: dict[str, bool] = {}
    for purpose in ledger.policy.purposes:
        categories = sensitive_categories(ledger.material.uses(purpose))
        if not categories:
            continue
        found.append(purpose)
        pipia = None if purpose.pipia is None else ledger.policy.pipia(purpose.pipia)
        event = ledger.approval(purpose)
        needs = _needs(ledger, purpose)
        order[purpose.name] = ledger.assessed(purpose)
        if needs:
            consents[purpose.name] = ledger.consented(purpose, needs)
        given = [_has_necessity(purpose, category) for category in categories]
        told[purpose.name] = all(given)
        covered[purpose.name] = pipia is not None and set(categories) <= set(pipia.categories)
        rows.append(
            {
                "purpose": purpose.name,
                "categories": dict(zip(categories, given, strict=True)),
                "consents": {label(need): ledger.words().get(label(need), {}) for need in needs},
                "when_missing": purpose.when_separate_consent_is_missing.value,
                "pipia": purpose.pipia,
                "pipia_seq": None if event is None else event.seq,
            }
        )
    checks: dict[str, Holds] = {
        "necessity_given": ledger.judge(lambda item: told[item.name], found),
        "pipia_covers": ledger.judge(lambda item: covered[item.name], found),
        "pipia_before_use": ledger.settle(order),
    }
    if consents:
        checks["sensitive_consent_first"] = ledger.settle(consents)
    reasons = ("R-SEPARATE-CONSENT-SENSITIVE", "R-WRITTEN-CONSENT", "R-FIELD-PROHIBITED")
    result = {"purposes": rows, "left_out_or_refused": ledger.reasons(*reasons)}
    events = ledger.of("pipia.approved") + ledger.refusals(*reasons)
    left = ("necessity_judged",) if rows else ("nothing_sensitive",)
    return Item(13, checks if rows else {}, result, events, left, applies=bool(rows))


def _needs(ledger: Ledger, purpose: Purpose) -> list[Need]:
    """The consents beside the general one that the purpose's fields ask for (`privacy.decision`)."""
    if purpose.basis is not Basis.CONSENT:
        return []
    kinds = {Consent.SEPARATE: ConsentKind.SEPARATE, Consent.WRITTEN: ConsentKind.WRITTEN}
    found = [
        Need(purpose.name, kinds[use.treatment.consent], SENSITIVE + use.kind.category)
        for use in ledger.material.uses(purpose)
        if use.kind and use.treatment and use.treatment.consent in kinds
    ]
    return list(dict.fromkeys(found))


def _has_necessity(purpose: Purpose, category: str) -> bool:
    wording = purpose.sensitive_necessity.get(category)
    return wording is not None and bool(wording.zh.strip() and wording.en.strip())


def children(ledger: Ledger) -> Item:
    """Item 14: nobody under fourteen, or a guardian's consent under rules of their own."""
    purposes = ledger.policy.purposes
    admitting = [item for item in purposes if item.minimum_age < CHILD_AGE]
    vague = [item.name for item in purposes if item.keep_unknown_age]
    checks: dict[str, Holds] = {
        "minor_rules_named": ledger.judge(
            lambda item: item.minimum_age >= CHILD_AGE or item.minor_rules is not None
        ),
        "age_known": None if vague else True,
    }
    if admitting:
        checks["guardian_consent_first"] = ledger.settle(
            {item.name: ledger.consented(item, [Need(item.name, ConsentKind.GUARDIAN)]) for item in admitting}
        )
    reasons = ("R-GUARDIAN", "R-MINOR", "R-AGE-")
    result = {
        "minimum_age": {item.name: item.minimum_age for item in purposes},
        "minor_rules": {item.name: item.minor_rules for item in admitting},
        "keeps_unknown_age": vague,
        "left_out_or_refused": ledger.reasons(*reasons),
    }
    left = ["children_counted"] + ["rules_judged"] * bool(admitting)
    return Item(14, checks, result, ledger.refusals(*reasons), tuple(left))


def deletion(ledger: Ledger) -> Item:
    """Item 16: periods are set, what was to go went, nothing was completed without having been restricted."""
    purposes = ledger.policy.purposes
    shortest = {
        item.name: min([use.retention_days for use in ledger.material.uses(item)] or [item.retention_days])
        for item in purposes
    }
    removed: Counter[str] = Counter()
    for event in ledger.of("retention.expired"):
        removed[event.artefact or "-"] += max(0, event.numbers.get("removed", 0))
    traces = ledger.of(*_REMOVALS, *_REQUESTS)
    checks: dict[str, Holds] = {
        "retention_set": ledger.judge(lambda item: item.retention_days > 0),
        "restricted_first": _restricted_first(ledger),
        "deletion_traced": True if traces else None,
    }
    withdrawn = ledger.of("consent.withdrawn")
    more, found, left = traces_of_requests(ledger)
    result = {
        "shortest_days": shortest,
        "removed": dict(removed),
        "restrictions": _restrictions(ledger),
        "withdrawals": {"events": len(withdrawn), "subjects": sum(map(subjects_of, withdrawn))},
        "rounds_voided": len(ledger.of("round.voided")),
        "agreements_over": len(ledger.of("agreement.expired", "agreement.terminated")),
        "events": ledger.count(*_REMOVALS, *_REQUESTS),
        "refused": ledger.reasons("R-RETENTION", "R-RESTRICTED", "R-MODEL", "R-RESTORE", "R-STATUTORY"),
    }
    left += ["requests_elsewhere"] * (not ledger.of("dsr.received"))
    left += ["sweep_due"] * _is_sweep_due(ledger, shortest)
    return Item(16, checks | more, result | found, traces + withdrawn, tuple(left))


def _restrictions(ledger: Ledger) -> dict[str, dict[str, int]]:
    """By reason: subjects put under a restriction, and subjects freed of it."""
    found: dict[str, Counter[str]] = {}
    for event in ledger.of("dsr.restricted"):
        is_lifted = event.numbers.get("restricted", 1) == 0
        found.setdefault(event.artefact or "-", Counter())["lifted" if is_lifted else "restricted"] += (
            subjects_of(event)
        )
    return {reason: dict(count) for reason, count in found.items()}


def _restricted_first(ledger: Ledger) -> bool:
    """Whether no request was completed whose subject had not been put under a restriction before.

    A request by whom nobody here was meant names no subject, and there was nothing to restrict.
    """
    restricted: set[str] = set()
    for event in ledger.of("dsr.restricted", "dsr.completed"):
        if event.type.value == "dsr.restricted":
            restricted |= {event.sref, event.artefact}
        elif event.sref and not {event.sref, event.artefact} & restricted:
            return False
    return True


def _is_sweep_due(ledger: Ledger, days: dict[str, int]) -> bool:
    """Whether a use is so long ago that something of it has expired, and nothing was ever removed."""
    if not ledger.admitted or ledger.of("retention.expired"):
        return False
    oldest = datetime.fromisoformat(ledger.admitted[0].time).date().toordinal()
    return oldest + max(days.values(), default=0) < ledger.last_day


def rights(ledger: Ledger) -> Item:
    """Item 17: what was asked, how long the answer took, whether refusals have reasons."""
    opened: dict[str, Event] = {}
    days: list[int] = []
    for event in ledger.of("dsr.received", *ANSWERS):
        case = event.artefact or event.sref
        if case == MANY:
            continue
        if event.type.value == "dsr.received":
            opened.setdefault(case, event)
        elif case in opened:
            days.append(_days_between(opened.pop(case), event))
    rejected = ledger.of("dsr.rejected")
    checks: dict[str, Holds] = {
        "requests_logged": True if ledger.of("dsr.received") else None,
        "requests_answered": None if opened else True,
        "refusals_reasoned": all(event.reasons for event in rejected),
    }
    result = {
        "events": ledger.count(*_REQUESTS, "optout.set", "consent.withdrawn"),
        "answered": len(days),
        "longest_days": max(days, default=None),
        "open": len(opened),
        "longest_open_days": max(
            (
                ledger.last_day - datetime.fromisoformat(event.time).date().toordinal()
                for event in opened.values()
            ),
            default=None,
        ),
        "refused": ledger.reasons("R-IDENTITY", "R-AGENT"),
        "refusal_reasons": dict(Counter(code for event in rejected for code in event.reasons)),
    }
    more, found = answers(ledger)
    left = ["time_limits"] + ["requests_elsewhere"] * (not ledger.of("dsr.received"))
    return Item(17, checks | more, result | found, ledger.of(*_REQUESTS, "optout.set"), tuple(left))


def _days_between(one: Event, other: Event) -> int:
    return (datetime.fromisoformat(other.time) - datetime.fromisoformat(one.time)).days


def incidents(ledger: Ledger) -> Item:
    """Item 25: every incident was classified, reported and closed, in this order."""
    cases: dict[str, list[str]] = {}
    for event in ledger.of(*_INCIDENTS):
        cases.setdefault(event.artefact, []).append(event.type.value)
    checks: dict[str, Holds] = {
        "incidents_in_order": all(map(_is_ordered, cases.values())),
        "incidents_closed": True if all(_INCIDENTS[-1] in kinds for kinds in cases.values()) else None,
    }
    result = {"incidents": len(cases), "events": ledger.count(*_INCIDENTS, "access.breakglass")}
    left = ("incident_content",) if cases else ("no_incident",)
    return Item(25, checks if cases else {}, result, ledger.of(*_INCIDENTS), left, applies=bool(cases))


def _is_ordered(kinds: list[str]) -> bool:
    """Whether each step comes after the one before it in `_INCIDENTS`, none left out before a later one."""
    first = [kinds.index(kind) if kind in kinds else None for kind in _INCIDENTS]
    return all(after is None or (before is not None and before < after) for before, after in pairwise(first))
