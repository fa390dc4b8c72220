"""Automated decisions (9), publication (10), technical measures (20), impact assessments (23)."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any, Final

from privacy.audit_items.guideline import Holds, Item
from privacy.audit_items.ledger import Ledger
from privacy.documents.material import categories_of
from privacy.policy import Pipia, Purpose

CRYPTOGRAPHY: Final = {
    "audit_log": "SHA-256 tree (RFC 9162), Ed25519 signatures (RFC 8032)",
    "audit_log_subjects": "HMAC references and salted commitments, keys outside the log",
    "matching": "keyed or Diffie-Hellman tokens, never plain hashes",
    "messages": "HPKE X25519, HKDF-SHA256, AES-256-GCM (RFC 9180); Ed25519 signatures",
    "sums": "Paillier, secret key at the label holder alone",
    "vault": "AES-256-GCM",
}
"""What this software uses. From its code, not from events: which parts ran is in the events."""
_DECISIONS: Final = (
    "adm.decided",
    "adm.explained",
    "adm.refused_by_subject",
    "adm.human_reviewed",
    "parity.tested",
    "optout.set",
    "model.registered",
    "model.released",
)
_ACCESS: Final = ("access.granted", "access.denied", "access.breakglass")
_PUBLIC: Final = ("audience.exported", "export.approved")


def automated_decisions(ledger: Ledger) -> Item:
    """Item 9: a person to turn to, notice and assessment before the first use."""
    deciding = [item for item in ledger.policy.purposes if item.automated_decision]
    reviewed, refused = len(ledger.of("adm.human_reviewed")), len(ledger.of("adm.refused_by_subject"))
    checks: dict[str, Holds] = {
        "human_route_named": ledger.judge(lambda item: bool(item.human_route.strip()), deciding),
        "notice_before_use": ledger.settle({item.name: ledger.told(item)[1] for item in deciding}),
        "pipia_before_use": ledger.settle({item.name: ledger.assessed(item) for item in deciding}),
        "refusals_reviewed": None if reviewed < refused else True,
    }
    result = {
        "purposes": [item.name for item in deciding],
        "events": ledger.count(*_DECISIONS),
        "refused": ledger.reasons("R-ADM", "R-PRICE", "R-FAIRNESS", "R-MARKETING"),
    }
    left = ["decisions_elsewhere"] * (not ledger.of("adm.decided"))
    left += ["parity"] * (not ledger.of("parity.tested"))
    absent = ("no_automated_decision",)
    return Item(
        9,
        checks if deciding else {},
        result,
        ledger.of(*_DECISIONS),
        tuple(left) if deciding else absent,
        applies=bool(deciding),
    )


def publication(ledger: Ledger) -> Item:
    """Item 10: the log has nothing that makes information public."""
    exported = ledger.of(*_PUBLIC)
    result = {
        "events": ledger.count(*_PUBLIC, "audience.refused", "export.refused"),
        "refused": ledger.reasons("R-COHORT", "R-DIFFERENCING", "R-SEPARATE-CONSENT-PUBLISH"),
    }
    checks: dict[str, Holds] = {
        "something_logged": True if ledger.events else None,
        "nothing_exported": None if exported else True,
    }
    return Item(10, checks, result, exported, ("published_elsewhere",))


def measures(ledger: Ledger) -> Item:
    """Item 20: minimisation at each use, a log that others have signed, keys and accesses."""
    decrypted: Counter[str] = Counter()
    for event in ledger.of("key.decrypt"):
        decrypted[event.stage or "-"] += max(0, event.numbers.get("ciphertexts", 0))
    minimised: Counter[str] = Counter()
    for event in ledger.of("minimise.applied"):
        minimised.update({kind: max(0, count) for kind, count in event.numbers.items()})
    checks: dict[str, Holds] = {
        "minimised": _minimised(ledger),
        "log_numbered": _is_numbered(ledger),
        "others_logs_continue": not ledger.of("log.verify_failed"),
        "log_cosigned": _cosigned(ledger),
    }
    result = {
        "cryptography": CRYPTOGRAPHY,
        "decrypted": dict(decrypted),
        "columns_minimised": dict(minimised),
        "witnessed_for_others": dict(Counter(event.artefact or "-" for event in ledger.of("log.witnessed"))),
        "own_checkpoints": _coverage(ledger),
        "events": ledger.count(*_ACCESS, "log.verify_failed", "key.shredded"),
        "refused": ledger.reasons(
            "R-KEY", "R-COHORT", "R-LOG", "R-ROLE", "R-FIELD-EXCEEDS", "R-POLICY", "R-JOB"
        ),
    }
    left = ["measures_judged"] + ["permissions"] * (not ledger.of(*_ACCESS))
    left += ["checkpoints_not_given"] * (ledger.cosigned is None)
    events = ledger.of("minimise.applied", "key.decrypt", "log.verify_failed", "log.witnessed", *_ACCESS)
    return Item(20, checks, result, events, tuple(left))


def _minimised(ledger: Ledger) -> Holds:
    """Whether each use is followed, in its session, by what was minimised, over the same columns."""
    if not ledger.admitted:
        return None
    applied: dict[tuple[str, str], int] = {}
    for event in ledger.of("minimise.applied"):
        applied[event.session, event.digests.get("schema", "")] = event.seq
    return all(
        applied.get((event.session, event.digests.get("schema", "")), -1) > event.seq
        for event in ledger.admitted
    )


def _is_numbered(ledger: Ledger) -> Holds:
    """Whether numbers have no gap and times do not go back."""
    if not ledger.events:
        return None
    numbers = [event.seq for event in ledger.events]
    times = [event.time for event in ledger.events]
    return numbers == list(range(len(numbers))) and all(one <= other for one, other in pairwise(times))


def _everyone(ledger: Ledger) -> set[str]:
    return {party.party for purpose in ledger.policy.purposes for party in purpose.recipients}


def _coverage(ledger: Ledger) -> dict[str, Any] | None:
    if ledger.cosigned is None:
        return None
    everyone = _everyone(ledger)
    by_all = [made.size for made in ledger.cosigned if everyone <= made.witnesses]
    return {
        "checkpoints": len(ledger.cosigned),
        "cosigned_by_anyone": sum(bool(made.witnesses) for made in ledger.cosigned),
        "cosigned_by_all_recipients": len(by_all),
        "recipients": sorted(everyone),
        "events_under_the_last_one": max(by_all, default=0),
        "events": len(ledger.events),
    }


def _cosigned(ledger: Ledger) -> Holds:
    """Whether everybody who may take part has signed a state of the log that holds the last use."""
    if not ledger.admitted or not ledger.cosigned:
        return None
    everyone = _everyone(ledger)
    sizes = [made.size for made in ledger.cosigned if everyone and everyone <= made.witnesses]
    return True if max(sizes, default=0) > ledger.admitted[-1].seq else None


def assessments(ledger: Ledger) -> Item:
    """Item 23: an approved assessment that covers the purpose, before the first use, and in force at each."""
    rows = []
    named, approved, covered = {}, {}, {}
    order, force = {}, {}
    for purpose in ledger.policy.purposes:
        found = None if purpose.pipia is None else ledger.policy.pipia(purpose.pipia)
        named[purpose.name] = found is not None
        approved[purpose.name] = found is not None and found.approved is not None and bool(found.approved_by)
        covered[purpose.name] = found is not None and _covers(ledger, purpose, found)
        order[purpose.name] = ledger.assessed(purpose)
        force[purpose.name] = _in_force(ledger, purpose, found)
        rows.append(
            {
                "purpose": purpose.name,
                "pipia": purpose.pipia,
                "why": _why(ledger, purpose),
                "approved": None if found is None or found.approved is None else found.approved.isoformat(),
                "until": None if found is None else found.valid_until.isoformat(),
                "covers": covered[purpose.name],
                "before_use": order[purpose.name],
                "report_recorded": found is not None and bool(found.digest),
            }
        )
    checks: dict[str, Holds] = {
        "pipia_named": ledger.judge(lambda item: named[item.name]),
        "pipia_approved": ledger.judge(lambda item: approved[item.name]),
        "pipia_covers": ledger.judge(lambda item: covered[item.name]),
        "pipia_before_use": ledger.settle(order),
        "pipia_in_force": ledger.settle(force),
    }
    result = {"purposes": rows, "refused": ledger.reasons("R-PIPIA")}
    events = ledger.of("pipia.approved", "pipia.expired") + ledger.refusals("R-PIPIA")
    return Item(23, checks, result, events, ("pipia_content", "pipia_kept"))


def _in_force(ledger: Ledger, purpose: Purpose, found: Pipia | None) -> Holds:
    if found is None:
        return False if ledger.uses(purpose) else None
    return ledger.within(purpose, found.approved, found.valid_until)


def _covers(ledger: Ledger, purpose: Purpose, found: Pipia) -> bool:
    return (
        purpose.name in found.purposes
        and set(purpose.methods) <= set(found.models)
        and set(categories_of(ledger.material.uses(purpose))) <= set(found.categories)
    )


def _why(ledger: Ledger, purpose: Purpose) -> list[str]:
    """Which cases of article 55 the policy shows."""
    kinds = [use.kind for use in ledger.material.uses(purpose)]
    cases = {
        "sensitive": any(kind is not None and kind.is_sensitive for kind in kinds),
        "automated_decision": purpose.automated_decision,
        "other_parties": bool(purpose.recipients),
        "abroad": any(party.region != ledger.policy.region for party in purpose.recipients),
    }
    return [name for name, applies in cases.items() if applies]
