"""One holder's policy and log in which every item of the audit guideline has something to show, for tests."""

import hashlib
from datetime import date
from functools import cache

import msgspec
import policy_scene as scene

from privacy.audit import Event
from privacy.audit_items import Cosigned, items_of
from privacy.catalog import Catalog, Consent
from privacy.policy import Mechanism, MechanismKind, Notice, Pipia, Relation

FIELDS = ("monthly_income", "tenure_months")
RECIPIENTS = ("shop", "bureau", "twin", "coordinator")
HASH = "ab" * 32
SREF = "cd" * 32
CATEGORIES = scene.categories(FIELDS)
SENSITIVE = "marketing/separate/sensitive:" + scene.categories(FIELDS[:1])[0]
CONSENTS = (
    "marketing",
    "marketing/separate/provide/shop",
    "marketing/separate/provide/bureau",
    "marketing/separate/crossborder/bureau",
    "marketing/guardian",
    SENSITIVE,
)


def purpose(**changes):
    given = {
        "recipients": (
            scene.recipient(),
            scene.recipient("bureau", region="SG"),
            scene.recipient("twin", Relation.JOINT),
            scene.recipient("coordinator", Relation.ENTRUSTED),
        ),
        "automated_decision": True,
        "human_route": "The branch decides anew on request.",
        "minimum_age": 12,
        "minor_rules": "minors-1",
    }
    return scene.purpose_with_necessity(**{**given, **changes})


def policy(*purposes, **changes):
    purposes = purposes or (purpose(),)
    names = tuple(item.name for item in purposes)
    relations = {"shop": Relation.PROVIDE, "bureau": Relation.PROVIDE, "twin": Relation.JOINT}
    given = {
        "notices": (
            Notice(
                id="notice-1", published=date(2026, 1, 1), purposes=names, categories=CATEGORIES,
                recipients=RECIPIENTS, methods=scene.METHODS, digest=HASH,
            ),
        ),
        "assessments": (
            Pipia(
                id="pipia-1", purposes=names, models=scene.METHODS, categories=CATEGORIES,
                valid_until=date(2026, 12, 31), approved_by="Officer", approved=date(2026, 1, 2),
            ),
        ),
        "agreements": tuple(
            scene.agreement(party, relations.get(party, Relation.ENTRUSTED), purposes=names)
            for party in RECIPIENTS
        ),
        "mechanisms": (
            Mechanism(
                id="contract-1", kind=MechanismKind.STANDARD_CONTRACT, region="SG", parties=("bureau",),
                valid_until=date(2026, 12, 31),
            ),
        ),
        "overrides": scene.override(Consent.SEPARATE),
    }  # fmt: skip
    return scene.policy(*purposes, **{**given, **changes})


def parts(made):
    """What announces each document of a policy, as `clients.gate.policy` does."""
    named = (
        ("purpose.registered", made.purposes, "name"),
        ("notice.published", made.notices, "id"),
        ("pipia.approved", made.assessments, "id"),
        ("agreement.activated", made.agreements, "id"),
    )
    for kind, items, key in named:
        for item in items:
            digest = hashlib.sha256(msgspec.json.encode(item, order="deterministic")).hexdigest()
            yield {"type": kind, "artefact": getattr(item, key), "digests": {"document": digest}}


def activation(made):
    return [{"type": "policy.activated"}, *parts(made)]


def use(session="s1", **changes):
    """One job's use of the table, with what belongs to it."""
    return [
        {"type": "counter.snapshot", "session": session, "numbers": {"before": 100, "new": 50}},
        {
            "type": "dataset.admitted",
            "session": session,
            "numbers": {"rows": 1000, "eligible": 900},
            "digests": {"schema": HASH},
            **changes,
        },
        {
            "type": "minimise.applied",
            "session": session,
            "numbers": {"quantiles": 2},
            "digests": {"schema": HASH},
        },
    ]


def consents(*needs):
    return [
        {"type": "consent.granted", "artefact": need, "numbers": {"subjects": 900}}
        for need in needs or CONSENTS
    ]


AFTERWARDS = [
    {"type": "key.decrypt", "stage": "segments", "numbers": {"ciphertexts": 7}},
    {"type": "log.witnessed", "artefact": "shop"},
    {"type": "dsr.received", "artefact": "case-1", "sref": SREF},
    {"type": "dsr.restricted", "artefact": "case-1", "sref": SREF, "numbers": {"restricted": 1}},
    {"type": "dsr.completed", "artefact": "case-1", "sref": SREF},
    {"type": "retention.expired", "artefact": "job", "numbers": {"removed": 12}},
    {"type": "incident.opened", "artefact": "i-1"},
    {"type": "incident.classified", "artefact": "i-1"},
    {"type": "incident.reported", "artefact": "i-1"},
    {"type": "incident.closed", "artefact": "i-1"},
]


def told(made=None):
    """Everything in its order: the policy, consents, a use, and what came of it."""
    made = policy() if made is None else made
    return [*activation(made), *consents(), *use(), *AFTERWARDS]


def log(entries, made, day="2026-03-01"):
    """Events from what is said of each; those of jobs and policies name the policy."""
    events = []
    for seq, entry in enumerate(entries):
        given = {
            "seq": seq, "time": f"{day}T08:00:00.000Z", "origin": "bank", "actor": "node", "policy": made.digest,
        }  # fmt: skip
        events.append(msgspec.convert(given | entry, Event))
    return events


def signed(events):
    """Checkpoints that everybody has cosigned."""
    return [Cosigned(2, frozenset({"shop"})), Cosigned(len(events), frozenset(RECIPIENTS))]


@cache
def _catalog(overrides):
    return Catalog.load().with_overrides(overrides)


def evidence(entries, made=None, *, cosigned=True, **options):
    """The items, decoded, by file name without folder and suffix."""
    made = policy() if made is None else made
    events = log(entries, made, **options)
    files = items_of(events, made, _catalog(made.overrides), signed(events) if cosigned else None)
    return {
        name.removeprefix("items/").removesuffix(".json"): msgspec.json.decode(content)
        for name, content in files.items()
        if name.endswith(".json")
    }


def checks(item):
    return {check["check"]: check["holds"] for check in item["checks"]}
