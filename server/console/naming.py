"""How roles, states and permissions are called on the pages: keys of the catalogue, for templates too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from federation.jobs import Method
from federation.proposals import DecidedBy, Standing
from federation.web.wording import Wording
from privacy.access import Permission, Role
from privacy.catalog import Sensitivity
from privacy.policy import Basis, PurposeClass
from privacy.reasons import Reason
from privacy.rights import CaseState

ROLES: Final[Mapping[Role, str]] = {
    Role.MODELLER: "console.role.modeller",
    Role.OPERATOR: "console.role.operator",
    Role.ANALYST: "console.role.analyst",
    Role.AUDITOR: "console.role.auditor",
    Role.OFFICER: "console.role.officer",
    Role.ADMIN: "console.role.admin",
}
STANDINGS: Final[Mapping[Standing, str]] = {
    Standing.WAITING: "console.standing.waiting",
    Standing.APPROVED: "console.standing.approved",
    Standing.REFUSED: "console.standing.refused",
}
DECIDERS: Final[Mapping[DecidedBy, str]] = {
    DecidedBy.PERSON: "console.decider.person",
    DecidedBy.POLICY: "console.decider.policy",
}
PERMISSIONS: Final[Mapping[Permission, str]] = {
    Permission.AUDIT_EXPORT: "console.permission.audit_export",
    Permission.AUDIENCES_EXPORT: "console.permission.audiences_export",
    Permission.MODELS_RELEASE: "console.permission.models_release",
    Permission.RESULTS_DECRYPT: "console.permission.results_decrypt",
}
BASES: Final[Mapping[Basis, str]] = {
    Basis.CONSENT: "console.basis.consent",
    Basis.CONTRACT: "console.basis.contract",
    Basis.STATUTORY: "console.basis.statutory",
    Basis.EMERGENCY: "console.basis.emergency",
    Basis.NEWS: "console.basis.news",
    Basis.PUBLIC: "console.basis.public",
}
TREATMENTS: Final[Mapping[PurposeClass, str]] = {
    PurposeClass.MARKETING: "console.treatment.marketing",
    PurposeClass.CREDIT_RISK: "console.treatment.credit_risk",
}
CASES: Final[Mapping[CaseState, str]] = {
    CaseState.RECEIVED: "console.case.received",
    CaseState.ACKNOWLEDGED: "console.case.acknowledged",
    CaseState.IDENTIFIED: "console.case.identified",
    CaseState.SCOPED: "console.case.scoped",
    CaseState.RESTRICTED: "console.case.restricted",
    CaseState.EXECUTING: "console.case.executing",
    CaseState.CHECKED: "console.case.checked",
    CaseState.PARTIAL: "console.case.partial",
    CaseState.COMPLETED: "console.case.completed",
    CaseState.REJECTED: "console.case.rejected",
}
SENSITIVITIES: Final[Mapping[Sensitivity, tuple[str, str]]] = {
    Sensitivity.GENERAL: ("console.sensitivity.general", "plain"),
    Sensitivity.SENSITIVE: ("console.sensitivity.sensitive", "bad"),
    Sensitivity.CONSERVATIVE: ("console.sensitivity.conservative", "wait"),
}
"""Text and tone."""
METHODS: Final[Mapping[str, str]] = {
    "segments": "console.method.segments",
    "scorecard": "console.method.scorecard",
    "boosting": "console.method.boosting",
}
"""Kinds of models."""
PROCESSING: Final[Mapping[str, str]] = {
    Method.MATCHING.value: "console.method.matching",
    Method.KMEANS.value: "console.method.segments",
    Method.SCORECARD.value: "console.method.scorecard",
    Method.SECUREBOOST.value: "console.method.boosting",
    Method.SCORING.value: "console.method.scoring",
    Method.ENTERPRISE.value: "console.method.enterprise",
}
"""What policies allow."""
MODEL_STATES: Final[Mapping[str, tuple[str, str]]] = {
    "active": ("console.models.active", "good"),
    "tainted": ("console.models.tainted", "wait"),
    "superseded": ("console.models.was_superseded", "plain"),
    "retired": ("console.models.retired", "plain"),
}
"""Text and tone, as nodes call the states."""
FAMILIES: Final[Mapping[str, str]] = {
    "job": "console.family.job",
    "round": "console.family.round",
    "access": "console.family.access",
    "log": "console.family.log",
    "audit": "console.family.audit",
    "agreement": "console.family.agreement",
}
"""What the coordinator's log tells of, by how the types of events begin."""
PRESENCES: Final[Mapping[str, tuple[str, str]]] = {
    "online": ("console.presence.online", "good"),
    "offline": ("console.presence.offline", "plain"),
}
"""Text and tone; what is neither is unknown."""


def reason_of(code: str, t: Wording) -> tuple[str, str]:
    """(meaning, remedy) of a reason's code; an error's code stands for itself."""
    try:
        name = Reason(code).name
    except ValueError:
        return code, ""
    return t.known(f"reasons.{name}.meaning", code), t.known(f"reasons.{name}.remedy", "")


def presence_of(status: str) -> tuple[str, str]:
    """Text and tone of a node's status."""
    return PRESENCES.get(status, ("console.presence.unknown", "wait"))
