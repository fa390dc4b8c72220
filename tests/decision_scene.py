"""A job that is admitted, and every way in which something about it may be wrong, for tests of the decision."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import msgspec
from policy_scene import METHODS, agreement, categories, policy, purpose_with_necessity, recipient

from privacy.catalog import Catalog
from privacy.decision import Request, decide
from privacy.policy import (
    Basis,
    Mechanism,
    MechanismKind,
    Notice,
    Pipia,
    Policy,
    Relation,
)
from privacy.reasons import Reason

TODAY = date(2026, 6, 1)
FIELDS = ("monthly_income", "tenure_months")
KEYS = "0123456789abcdef"
"""The coordinator's fingerprint, as the agreement with it names it."""


@dataclass
class Case:
    """Changes to the parts of the policy and of the request, each empty in a job that is admitted."""

    purpose: dict[str, Any] = field(default_factory=dict)
    notice: dict[str, Any] = field(default_factory=dict)
    pipia: dict[str, Any] = field(default_factory=dict)
    shop: dict[str, Any] = field(default_factory=dict)
    shop_agreement: dict[str, Any] = field(default_factory=dict)
    coordinator: dict[str, Any] = field(default_factory=dict)
    coordinator_agreement: dict[str, Any] = field(default_factory=dict)
    policy: dict[str, Any] = field(default_factory=dict)
    request: dict[str, Any] = field(default_factory=dict)

    def change(self, part: str, **changes: Any) -> Case:
        getattr(self, part).update(changes)
        return self

    def built(self) -> tuple[Policy, Request]:
        covered = categories(FIELDS)
        notice = Notice(
            id="notice-1",
            published=date(2026, 1, 1),
            purposes=("marketing",),
            categories=covered,
            recipients=("shop", "coordinator"),
            methods=METHODS,
        )
        pipia = Pipia(
            id="pipia-1",
            purposes=("marketing",),
            models=METHODS,
            categories=covered,
            valid_until=date(2026, 12, 31),
            approved_by="Officer",
            approved=date(2026, 1, 1),
        )
        recipients = (
            recipient(**self.shop),
            recipient(**{"party": "coordinator", "relation": Relation.ENTRUSTED, **self.coordinator}),
        )
        agreements = (
            msgspec.structs.replace(agreement(), **self.shop_agreement),
            msgspec.structs.replace(
                agreement("coordinator", Relation.ENTRUSTED), **self.coordinator_agreement
            ),
        )
        given = {
            "notices": (msgspec.structs.replace(notice, **self.notice),),
            "assessments": (msgspec.structs.replace(pipia, **self.pipia),),
            "agreements": agreements,
            "overrides": (),
            **self.policy,
        }
        request = {
            "purpose": "marketing",
            "own": "bank",
            "label_holder": "bank",
            "parties": ("bank", "shop"),
            "fields": dict.fromkeys(FIELDS, ""),
            "methods": METHODS,
            "coordinator": KEYS,
            "today": TODAY,
            **self.request,
        }
        made = purpose_with_necessity(**{"recipients": recipients, **self.purpose})
        return policy(made, **given), Request(**request)

    def decided(self):
        """(findings, terms)"""
        made, request = self.built()
        return decide(made, Catalog.load().with_overrides(made.overrides), request)


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: changes by part, and the findings that they alone cause."""

    name: str
    changes: dict[str, dict[str, Any]]
    findings: tuple[tuple[Reason, str], ...]

    def __str__(self) -> str:
        return self.name


def fault(name: str, findings: Iterable[tuple[Reason, str]], **changes: dict[str, Any]) -> Fault:
    return Fault(name, changes, tuple(findings))


ABROAD = {"region": "SG"}
CONTRACT = Mechanism(
    id="m-1",
    kind=MechanismKind.STANDARD_CONTRACT,
    region="SG",
    parties=("shop",),
    valid_until=date(2026, 12, 31),
)
FAULTS: dict[str, tuple[Fault, ...]] = {
    "basis": (
        fault(
            "no reference",
            [(Reason.BASIS_MISSING, "contract"), (Reason.BASIS_MISSING, "marketing")],
            purpose={"basis": Basis.CONTRACT},
        ),
        fault(
            "profiling without consent",
            [(Reason.BASIS_MISSING, "marketing")],
            purpose={"basis": Basis.CONTRACT, "basis_reference": "contract 7"},
        ),
    ),
    "methods": (
        fault(
            "a method of no purpose",
            [(Reason.PURPOSE_MISMATCH, "kmeans")],
            purpose={"methods": ("matching",)},
        ),
    ),
    "retention": (
        fault("no period", [(Reason.RETENTION_MISSING, "marketing")], purpose={"retention_days": 0}),
    ),
    "decisions": (
        fault(
            "nobody reviews", [(Reason.ADM_NO_HUMAN_PATH, "marketing")], purpose={"automated_decision": True}
        ),
    ),
    "minors": (
        fault(
            "no rules for children", [(Reason.MINOR_RULES_MISSING, "marketing")], purpose={"minimum_age": 13}
        ),
    ),
    "party": (
        fault(
            "a policy of somebody else",
            [(Reason.POLICY_UNAVAILABLE, "bank")],
            request={"own": "insurer", "parties": ("insurer", "shop")},
        ),
    ),
    "notice": (
        fault("no notice", [(Reason.NOTICE_MISSING, "notice-2")], purpose={"notice": "notice-2"}),
        fault(
            "a notice of tomorrow",
            [(Reason.NOTICE_MISSING, "notice-1")],
            notice={"published": date(2026, 6, 2)},
        ),
        fault(
            "a notice for another purpose",
            [(Reason.NOTICE_VERSION_STALE, "notice-1")],
            notice={"purposes": ("lending",)},
        ),
        fault(
            "a notice without a method",
            [(Reason.NOTICE_VERSION_STALE, "notice-1")],
            notice={"methods": ("matching",)},
        ),
        fault(
            "a notice without a party",
            [(Reason.NOTICE_VERSION_STALE, "shop")],
            notice={"recipients": ("coordinator",)},
        ),
        fault(
            "a notice without the coordinator",
            [(Reason.NOTICE_VERSION_STALE, "coordinator")],
            notice={"recipients": ("shop",)},
        ),
        fault(
            "a notice without the fields",
            [(Reason.FIELD_NOT_IN_NOTICE, name) for name in FIELDS],
            notice={"categories": ()},
        ),
    ),
    "pipia": (
        fault("no assessment", [(Reason.PIPIA_MISSING, "marketing")], purpose={"pipia": None}),
        fault("an unknown assessment", [(Reason.PIPIA_MISSING, "marketing")], purpose={"pipia": "pipia-2"}),
        fault(
            "an assessment of another purpose",
            [(Reason.PIPIA_MISSING, "marketing")],
            pipia={"purposes": ("lending",)},
        ),
        fault("approved by nobody", [(Reason.PIPIA_UNAPPROVED, "pipia-1")], pipia={"approved_by": ""}),
        fault("approved at no time", [(Reason.PIPIA_UNAPPROVED, "pipia-1")], pipia={"approved": None}),
        fault(
            "approved tomorrow", [(Reason.PIPIA_UNAPPROVED, "pipia-1")], pipia={"approved": date(2026, 6, 2)}
        ),
        fault(
            "an assessment of the past",
            [(Reason.PIPIA_STALE, "pipia-1")],
            pipia={"valid_until": date(2026, 5, 31)},
        ),
        fault(
            "a model that was not assessed", [(Reason.PIPIA_STALE, "kmeans")], pipia={"models": ("matching",)}
        ),
        fault(
            "a category that was not assessed",
            [(Reason.PIPIA_STALE, name) for name in sorted(categories(FIELDS))],
            pipia={"categories": ()},
        ),
    ),
    "partner": (
        fault("no agreement", [(Reason.AGREEMENT_MISSING, "shop")], shop={"agreement": "shop-9"}),
        fault(
            "an agreement of the past",
            [(Reason.AGREEMENT_EXPIRED, "shop-1")],
            shop_agreement={"valid_until": date(2026, 5, 31)},
        ),
        fault(
            "an agreement of the future",
            [(Reason.AGREEMENT_MISSING, "shop-1")],
            shop_agreement={"valid_from": date(2026, 6, 2)},
        ),
        fault(
            "an agreement on something else",
            [(Reason.AGREEMENT_SCOPE, "shop-1")],
            shop_agreement={"purposes": ("lending",)},
        ),
        fault(
            "an agreement without a method",
            [(Reason.AGREEMENT_SCOPE, "shop-1")],
            shop_agreement={"methods": ("matching",)},
        ),
        fault(
            "an agreement without the fields",
            [(Reason.AGREEMENT_SCOPE, "shop-1")],
            shop_agreement={"categories": ()},
        ),
        fault(
            "an agreement of another kind",
            [(Reason.AGREEMENT_SCOPE, "shop-1")],
            shop={"relation": Relation.JOINT},
        ),
        fault("abroad", [(Reason.CROSSBORDER_NO_MECHANISM, "shop")], shop=ABROAD),
        fault(
            "abroad under a contract of the past",
            [(Reason.CROSSBORDER_NO_MECHANISM, "shop")],
            shop=ABROAD,
            policy={"mechanisms": (msgspec.structs.replace(CONTRACT, valid_until=date(2026, 5, 31)),)},
        ),
        fault(
            "abroad under somebody else's contract",
            [(Reason.CROSSBORDER_NO_MECHANISM, "shop")],
            shop=ABROAD,
            policy={"mechanisms": (msgspec.structs.replace(CONTRACT, parties=("telecom",)),)},
        ),
        fault(
            "in another country than the contract",
            [(Reason.CROSSBORDER_NO_MECHANISM, "shop")],
            shop=ABROAD,
            policy={"mechanisms": (msgspec.structs.replace(CONTRACT, region="DE"),)},
        ),
        fault(
            "critical infrastructure abroad without an assessment",
            [(Reason.CROSSBORDER_NO_MECHANISM, "shop")],
            shop=ABROAD,
            policy={"mechanisms": (CONTRACT,), "critical_infrastructure": True},
        ),
    ),
    "coordinator": (
        fault(
            "no agreement with the coordinator",
            [(Reason.AGREEMENT_MISSING, "coordinator")],
            coordinator={"agreement": "coordinator-9"},
        ),
        fault(
            "a coordinator with other keys",
            [(Reason.SUBDELEGATION_UNAPPROVED, "coordinator-1")],
            coordinator_agreement={"coordinator_fingerprints": ("f" * 16,)},
        ),
        fault(
            "a coordinator without keys",
            [(Reason.SUBDELEGATION_UNAPPROVED, "coordinator-1")],
            coordinator_agreement={"coordinator_fingerprints": ()},
        ),
    ),
    "fields": (
        fault(
            "a field of no purpose",
            [(Reason.PURPOSE_MISMATCH, "tenure_months")],
            purpose={"fields": ("monthly_income",)},
        ),
    ),
}
"""By group: of one group at most one fault can show at a time."""


def case_of(faults: Iterable[Fault]) -> Case:
    """A case with all of these faults."""
    made = Case()
    for one in faults:
        for part, changes in one.changes.items():
            made.change(part, **changes)
    return made
