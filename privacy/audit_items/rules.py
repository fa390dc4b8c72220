"""Basis and consent (2), processing rules (3), notice (4), public data (12), explanation (18), internal rules (19)."""

from __future__ import annotations

from typing import Any

from privacy.audit_items.guideline import Holds, Item
from privacy.audit_items.ledger import IMPORTED, Ledger, label
from privacy.audit_items.requests import explanations
from privacy.consent import Need
from privacy.documents import notice_gaps
from privacy.policy import Basis, Notice, Purpose, PurposeClass, Titles


def basis(ledger: Ledger) -> Item:
    """Item 2: a basis for every purpose, consents before use, renewal, withdrawal."""
    purposes = ledger.policy.purposes
    words = ledger.words()
    asking = [item for item in purposes if item.basis is Basis.CONSENT]
    checks: dict[str, Holds] = {
        "basis_named": ledger.judge(_has_basis),
        "policy_first": _policy_first(ledger),
    }
    if asking:
        checks["consent_first"] = ledger.settle(
            {item.name: ledger.consented(item, [Need(item.name)]) for item in asking}
        )
    consents = ledger.of("consent.granted", "consent.renewed", "consent.withdrawn", "consent.expired")
    result: dict[str, Any] = {
        "purposes": [_basis_row(ledger, item) for item in purposes],
        "consents": words,
        "left_out_or_refused": ledger.reasons(
            "R-BASIS", "R-CONSENT", "R-NOTICE-VERSION", "R-PROMPT", "R-PURPOSE", "R-SEPARATE"
        ),
        "uses": len(ledger.admitted),
        "uses_under_other_policies": len(ledger.of("dataset.admitted")) - len(ledger.admitted),
        "last_use": _coverage(ledger),
    }
    left = ["capture"]
    left += ["imported"] * (IMPORTED in words) + ["use_purpose"] * _is_vague(ledger)
    return Item(2, checks, result, consents + ledger.of("dataset.admitted"), tuple(left))


def _has_basis(purpose: Purpose) -> bool:
    """The rules of `privacy.decision`: consent alone for marketing, and a reference for anything else."""
    if purpose.basis is Basis.CONSENT:
        return True
    return bool(purpose.basis_reference.strip()) and purpose.treatment is not PurposeClass.MARKETING


def _policy_first(ledger: Ledger) -> Holds:
    """Whether every use names a policy that had been put in force before."""
    activated: set[str] = set()
    found = []
    for event in ledger.of("policy.activated", "dataset.admitted"):
        if event.type.value == "policy.activated":
            activated.add(event.policy)
        else:
            found.append(event.policy in activated)
    return all(found) if found else None


def _basis_row(ledger: Ledger, purpose: Purpose) -> dict[str, Any]:
    return {
        "purpose": purpose.name,
        "basis": purpose.basis.value,
        "has_reference": bool(purpose.basis_reference.strip()),
        "general_consent": label(Need(purpose.name)) if purpose.basis is Basis.CONSENT else None,
        "notice": purpose.notice,
        "uses": len(ledger.uses(purpose)),
    }


def _coverage(ledger: Ledger) -> dict[str, int] | None:
    """Rows of the table and eligible rows at the last use, as the event has them."""
    if not ledger.admitted:
        return None
    numbers = ledger.admitted[-1].numbers
    return {name: numbers[name] for name in ("rows", "eligible") if name in numbers}


def _is_vague(ledger: Ledger) -> bool:
    """Whether some use does not say which of several purposes it was for."""
    return len(ledger.policy.purposes) > 1 and any(not event.artefact for event in ledger.admitted)


def processing_rules(ledger: Ledger) -> Item:
    """Item 3: what the notices must contain, and whether they are the ones of the policy in force."""
    policy = ledger.policy
    gaps = {item.name: notice_gaps(ledger.material, item) for item in policy.purposes}
    notices = {item.name: policy.notice(item.notice) for item in policy.purposes}
    logged = {
        name: found is not None and ledger.announced("notice.published", found.id, found) is not None
        for name, found in notices.items()
    }
    covers = {item.name: _covers(ledger, item, notices[item.name]) for item in policy.purposes}
    recorded = [bool(item.digest) for item in notices.values() if item is not None]
    checks: dict[str, Holds] = {
        "notice_complete": ledger.judge(lambda item: not gaps[item.name]),
        "notice_covers": ledger.judge(lambda item: covers[item.name]),
        "notice_logged": ledger.judge(lambda item: logged[item.name]),
        "notice_text_recorded": True if recorded and all(recorded) else None,
    }
    rows = [
        {
            "purpose": item.name,
            "notice": item.notice,
            "gaps": [gap.about for gap in gaps[item.name]],
            "covers": covers[item.name],
            "logged": logged[item.name],
        }
        for item in policy.purposes
    ]
    result = {"purposes": rows, "refused": ledger.reasons("R-NOTICE", "R-FIELD-NOT-IN-NOTICE")}
    return Item(3, checks, result, ledger.of("notice.published", "policy.activated"), ("notice_reading",))


def _covers(ledger: Ledger, purpose: Purpose, notice: Notice | None) -> bool:
    """Whether subjects were told of everything that the purpose may do."""
    if notice is None:
        return False
    kinds = [use.kind for use in ledger.material.uses(purpose)]
    return (
        purpose.name in notice.purposes
        and set(purpose.methods) <= set(notice.methods)
        and {item.party for item in purpose.recipients} <= set(notice.recipients)
        and {kind.category for kind in kinds if kind} <= set(notice.categories)
    )


def notice(ledger: Ledger) -> Item:
    """Item 4: the notice came before the first use, in the log and by its date."""
    order, dates, rows = {}, {}, []
    for purpose in ledger.policy.purposes:
        found = ledger.policy.notice(purpose.notice)
        event, order[purpose.name] = ledger.told(purpose)
        dates[purpose.name] = ledger.within(purpose, None if found is None else found.published, None)
        rows.append(
            {
                "purpose": purpose.name,
                "notice": purpose.notice,
                "published": None if found is None else found.published.isoformat(),
                "logged_seq": None if event is None else event.seq,
                "first_use_seq": next((use.seq for use in ledger.uses(purpose)), None),
                "before_use": order[purpose.name],
            }
        )
    checks = {"notice_before_use": ledger.settle(order), "notice_dated": ledger.settle(dates)}
    result = {"purposes": rows, "events": ledger.count("notice.published", "notice.presented")}
    left = ["legibility"] + ["presented"] * (not ledger.of("notice.presented"))
    events = ledger.of("notice.published", "notice.presented") + ledger.admitted
    return Item(4, checks, result, events, tuple(left))


def public_information(ledger: Ledger) -> Item:
    """Item 12: no purpose rests on information being public."""
    public = [item.name for item in ledger.policy.purposes if item.basis is Basis.PUBLIC]
    result = {"purposes_on_public_information": public, "refused": ledger.reasons("R-FIELD-PROHIBITED")}
    events = ledger.refusals("R-FIELD-PROHIBITED")
    checks = {"no_public_basis": ledger.judge(lambda item: item.basis is not Basis.PUBLIC)}
    return Item(12, checks, result, events, ("sources",))


def explanation(ledger: Ledger) -> Item:
    """Item 18: what can be explained is there in both languages."""
    rows = [
        {"purpose": item.name, "title": _is_bilingual(item.title), "necessity": _is_bilingual(item.necessity)}
        for item in ledger.policy.purposes
    ]
    checks = {
        "plain_texts": ledger.judge(lambda item: _is_bilingual(item.title) and _is_bilingual(item.necessity))
    }
    found, left = explanations(ledger)
    result = {"purposes": rows, "events": ledger.count("adm.explained"), **found}
    return Item(18, checks, result, ledger.of("adm.explained"), tuple(left))


def _is_bilingual(titles: Titles) -> bool:
    return bool(titles.zh.strip() and titles.en.strip())


def internal_rules(ledger: Ledger) -> Item:
    """Item 19: classification is complete; everything else of it is paper."""
    levels: dict[str, Any] = {}
    unknown: dict[str, list[str]] = {}
    for purpose in ledger.policy.purposes:
        unknown[purpose.name] = []
        for use in ledger.material.uses(purpose):
            if use.kind is None:
                unknown[purpose.name].append(use.column)
            else:
                levels[use.column] = {
                    "class": use.kind.key,
                    "category": use.kind.category,
                    "sensitivity": use.kind.sensitivity.value,
                    "jrt": use.kind.jrt_class,
                }
    accesses = ("access.granted", "access.denied", "access.breakglass")
    result = {
        "fields": levels,
        "unclassified": unknown,
        "overrides": [item.field for item in ledger.policy.overrides],
        "catalog": ledger.catalog.digest,
        "refused": ledger.reasons("R-FIELD-UNCLASSIFIED", "R-ROLE", "R-DUAL"),
        "events": ledger.count("field.classified", *accesses),
    }
    checks = {"fields_classified": ledger.judge(lambda item: not unknown[item.name])}
    left = ["rules_on_paper"] + ["permissions"] * (not ledger.of(*accesses))
    events = ledger.of("field.classified", *accesses) + ledger.refusals("R-FIELD-UNCLASSIFIED")
    return Item(19, checks, result, events, tuple(left))
