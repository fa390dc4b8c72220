"""Whether a job may use a table at all, and on what terms: every rule that needs no row (PIPL articles 6 to 56).

`decide` looks at the policy, the catalogue and what the job asks for, and returns *all* failing reasons, or what the
loading of rows must then observe: which consents each subject must have given, how each field is minimised. It is a
pure function of its arguments, asked again before every stage and on every new day, so that an agreement that ends at
midnight ends the job.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from privacy.catalog import Action, Catalog, Consent, FieldClass, Treatment
from privacy.consent import CROSSBORDER, PROVIDE, SENSITIVE, ConsentKind, Need
from privacy.policy import (
    Agreement,
    Basis,
    Mechanism,
    MechanismKind,
    Notice,
    Policy,
    Purpose,
    PurposeClass,
    Recipient,
    Relation,
)
from privacy.reasons import Finding, Findings, Reason
from privacy.testing_columns import testable_columns

CHILD_AGE: Final = 14
"""Below it a guardian consents, under rules of their own (PIPL 31)."""
COORDINATOR: Final = "coordinator"

_REFUSED: Final = {
    Action.PROHIBITED: Reason.FIELD_PROHIBITED,
    Action.DROP: Reason.FIELD_EXCEEDS_MINIMUM,
    Action.TOKEN: Reason.FIELD_EXCEEDS_MINIMUM,
    Action.LOCAL: Reason.FIELD_EXCEEDS_MINIMUM,
}
"""What a trainer may never see. TOKEN: for matching alone; LOCAL: not even as part of an aggregate."""
REFUSED_ACTIONS: Final = frozenset(_REFUSED)


@dataclass(frozen=True, slots=True)
class Request:
    """What a job asks of one data holder.

    parties: all data holders in the job, the holder itself among them; fields: the holder's columns that the job
    names, with the field class that the table's registration declares for it ("" for none); methods: the kinds of
    processing; coordinator: fingerprint of the coordinator's keys; tested: by attribute, columns by which the holder
    would test its model for fairness (`privacy.testing_columns`).
    """

    purpose: str
    own: str
    label_holder: str
    parties: tuple[str, ...]
    fields: Mapping[str, str]
    methods: tuple[str, ...]
    coordinator: str
    today: date
    tested: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Terms:
    """What an admitted job must observe. needs: consents that every subject must have given, the general one first;
    field_needs: those that only some fields ask for; notices: ids whose consents hold; tested: those of the request
    that may be read.
    """

    purpose: Purpose
    treatments: Mapping[str, Treatment]
    classes: Mapping[str, FieldClass]
    needs: tuple[Need, ...]
    field_needs: Mapping[str, tuple[Need, ...]]
    notices: frozenset[str]
    abroad: tuple[tuple[Recipient, Mechanism], ...] = ()
    tested: Mapping[str, FieldClass] = field(default_factory=dict)

    @property
    def retention_days(self) -> int:
        """The shortest period among the purpose's and its fields'."""
        return min([self.purpose.retention_days, *(item.retention_days for item in self.classes.values())])


@dataclass(slots=True)
class _Collector:
    """All findings of one decision."""

    found: list[Finding] = field(default_factory=list)

    def add(self, reason: Reason, about: str = "") -> None:
        self.found.append(Finding(reason, about))

    def check(self, holds: bool, reason: Reason, about: str = "") -> None:
        if not holds:
            self.add(reason, about)


def decide(policy: Policy, catalog: Catalog, request: Request) -> tuple[Findings, Terms | None]:
    """(all failing reasons, the terms); the terms are None when anything fails.

    catalog: with the policy's overrides applied.
    """
    purpose = policy.purpose(request.purpose)
    if purpose is None:
        return Findings.of([Finding(Reason.PURPOSE_UNREGISTERED, request.purpose)]), None
    out = _Collector()
    classes = _classify(catalog, request, out)
    categories = {item.category for item in classes.values()}
    _check_purpose(policy, purpose, request, out)
    notice = _check_notice(policy, purpose, request, classes, out)
    _check_pipia(policy, purpose, request, categories, out)
    abroad = _check_recipients(policy, purpose, request, categories, out)
    treatments = _check_fields(purpose, request, classes, out)
    if out.found or notice is None:
        return Findings.of(out.found), None
    field_needs = {name: _needs_of_field(purpose, item, treatments[name]) for name, item in classes.items()}
    return Findings(), Terms(
        purpose=purpose,
        treatments=treatments,
        classes=classes,
        needs=_needs(purpose, request, abroad),
        field_needs={name: needs for name, needs in field_needs.items() if needs},
        notices=frozenset({notice.id, *notice.still_valid}),
        abroad=abroad,
        tested=testable_columns(policy, catalog, purpose, notice, request.tested),
    )


def _classify(catalog: Catalog, request: Request, out: _Collector) -> dict[str, FieldClass]:
    """The field class of every column that has one; an unknown column is refused."""
    classes = {}
    for name, declared in request.fields.items():
        found = catalog.of_column(name, declared)
        if found is None:
            out.add(Reason.FIELD_UNCLASSIFIED, name)
        else:
            classes[name] = found
    return classes


def _check_purpose(policy: Policy, purpose: Purpose, request: Request, out: _Collector) -> None:
    """Basis (13), methods (6), retention (19), automated decisions (24), minors (31), lending (征信业管理条例 7)."""
    out.check(policy.party == request.own, Reason.POLICY_UNAVAILABLE, policy.party)
    needs_reference = purpose.basis is not Basis.CONSENT
    is_profiling = purpose.treatment is PurposeClass.MARKETING
    out.check(not needs_reference or bool(purpose.basis_reference), Reason.BASIS_MISSING, purpose.basis.value)
    out.check(not (is_profiling and needs_reference), Reason.BASIS_MISSING, purpose.name)
    for method in request.methods:
        out.check(method in purpose.methods, Reason.PURPOSE_MISMATCH, method)
    out.check(purpose.retention_days > 0, Reason.RETENTION_MISSING, purpose.name)
    routed = not purpose.automated_decision or bool(purpose.human_route)
    out.check(routed, Reason.ADM_NO_HUMAN_PATH, purpose.name)
    ruled = purpose.minimum_age >= CHILD_AGE or purpose.minor_rules is not None
    out.check(ruled, Reason.MINOR_RULES_MISSING, purpose.name)
    lends_on_others = purpose.treatment is PurposeClass.CREDIT_RISK and len(request.parties) > 1
    licensed = purpose.licensed_bureau is not None or purpose.legal_opinion is not None
    out.check(not lends_on_others or licensed, Reason.CREDIT_LICENCE, purpose.name)


def _others(request: Request) -> list[str]:
    return [*(party for party in request.parties if party != request.own), COORDINATOR]


def _check_notice(
    policy: Policy,
    purpose: Purpose,
    request: Request,
    classes: Mapping[str, FieldClass],
    out: _Collector,
) -> Notice | None:
    """The notice exists and covers what the job does (7, 14, 17); sensitive fields have their reasons in it (30)."""
    notice = policy.notice(purpose.notice)
    if notice is None or notice.published > request.today:
        out.add(Reason.NOTICE_MISSING, purpose.notice)
        return None
    covered = purpose.name in notice.purposes and set(request.methods) <= set(notice.methods)
    out.check(covered, Reason.NOTICE_VERSION_STALE, notice.id)
    for party in _others(request):
        out.check(party in notice.recipients, Reason.NOTICE_VERSION_STALE, party)
    for name, item in classes.items():
        out.check(item.category in notice.categories, Reason.FIELD_NOT_IN_NOTICE, name)
        if item.is_sensitive:
            out.check(item.category in purpose.sensitive_necessity, Reason.NOTICE_MISSING, item.category)
    return notice


def _check_pipia(
    policy: Policy, purpose: Purpose, request: Request, categories: Iterable[str], out: _Collector
) -> None:
    """Every federated job provides or entrusts data, so every one needs an assessment before it starts (55)."""
    pipia = None if purpose.pipia is None else policy.pipia(purpose.pipia)
    if pipia is None or purpose.name not in pipia.purposes:
        out.add(Reason.PIPIA_MISSING, purpose.name)
        return
    approved = pipia.approved_by and pipia.approved is not None and pipia.approved <= request.today
    out.check(bool(approved), Reason.PIPIA_UNAPPROVED, pipia.id)
    out.check(request.today <= pipia.valid_until, Reason.PIPIA_STALE, pipia.id)
    for method in request.methods:
        out.check(method in pipia.models, Reason.PIPIA_STALE, method)
    for category in sorted(set(categories) - set(pipia.categories)):
        out.add(Reason.PIPIA_STALE, category)


def _check_recipients(
    policy: Policy, purpose: Purpose, request: Request, categories: Iterable[str], out: _Collector
) -> tuple[tuple[Recipient, Mechanism], ...]:
    """Every other party is a known recipient under an agreement in force (20 to 23), at home or with a mechanism."""
    abroad = []
    for party in _others(request):
        recipient = purpose.recipient(party)
        if recipient is None:
            out.add(Reason.RECIPIENT_UNKNOWN, party)
            continue
        agreement = policy.agreement(recipient.agreement)
        if agreement is None:
            out.add(Reason.AGREEMENT_MISSING, party)
        else:
            _check_agreement(agreement, recipient, purpose, request, categories, out)
        if recipient.region != policy.region:
            mechanism = _mechanism(policy, recipient, request.today)
            if mechanism is None:
                out.add(Reason.CROSSBORDER_NO_MECHANISM, party)
            else:
                abroad.append((recipient, mechanism))
    return tuple(abroad)


def _check_agreement(
    agreement: Agreement,
    recipient: Recipient,
    purpose: Purpose,
    request: Request,
    categories: Iterable[str],
    out: _Collector,
) -> None:
    out.check(agreement.valid_from <= request.today, Reason.AGREEMENT_MISSING, agreement.id)
    out.check(request.today <= agreement.valid_until, Reason.AGREEMENT_EXPIRED, agreement.id)
    within = (
        agreement.relation is recipient.relation
        and recipient.party in agreement.parties
        and purpose.name in agreement.purposes
        and set(request.methods) <= set(agreement.methods)
        and set(categories) <= set(agreement.categories)
    )
    out.check(within, Reason.AGREEMENT_SCOPE, agreement.id)
    if recipient.party == COORDINATOR:
        out.check(
            request.coordinator in agreement.coordinator_fingerprints,
            Reason.SUBDELEGATION_UNAPPROVED,
            agreement.id,
        )


def _mechanism(policy: Policy, recipient: Recipient, today: date) -> Mechanism | None:
    """What allows the flow to a recipient abroad (38); a critical operator needs the assessment (40)."""
    for item in policy.mechanisms:
        enough = item.kind is MechanismKind.ASSESSMENT or not policy.critical_infrastructure
        fits = item.region == recipient.region and recipient.party in item.parties
        if fits and enough and today <= item.valid_until:
            return item
    return None


def _check_fields(
    purpose: Purpose, request: Request, classes: Mapping[str, FieldClass], out: _Collector
) -> dict[str, Treatment]:
    """Every column that the job names is allowed for the purpose and by the catalogue (6)."""
    treatments = {}
    for name, item in classes.items():
        treatment = item.treatment(purpose.treatment.value)
        treatments[name] = treatment
        out.check(name in purpose.fields, Reason.PURPOSE_MISMATCH, name)
        reason = _REFUSED.get(treatment.action)
        if reason is not None:
            out.add(reason, name)
        else:
            out.check(item.retention_days > 0, Reason.RETENTION_MISSING, name)
    return treatments


def _needs(
    purpose: Purpose, request: Request, abroad: tuple[tuple[Recipient, Mechanism], ...]
) -> tuple[Need, ...]:
    """The consents that the job asks of every subject."""
    needs = [Need(purpose.name)] if purpose.basis is Basis.CONSENT else []
    for party in _others(request):
        recipient = purpose.recipient(party)
        if recipient is None:
            continue
        if recipient.relation is Relation.PROVIDE and recipient.legal_opinion is None:
            needs.append(Need(purpose.name, ConsentKind.SEPARATE, PROVIDE, party))
    needs += [
        Need(purpose.name, ConsentKind.SEPARATE, CROSSBORDER, recipient.party) for recipient, _ in abroad
    ]
    return tuple(needs)


def _needs_of_field(purpose: Purpose, item: FieldClass, treatment: Treatment) -> tuple[Need, ...]:
    """The consents that one field asks for beside the general one (28, 29)."""
    if purpose.basis is not Basis.CONSENT or treatment.consent is Consent.NONE:
        return ()
    kind = ConsentKind.WRITTEN if treatment.consent is Consent.WRITTEN else ConsentKind.SEPARATE
    return (Need(purpose.name, kind, SENSITIVE + item.category),)


PEOPLE_CONTRACT: Final = 1_000_000
"""From so many people on since 1 January, an assessment (促进和规范数据跨境流动规定 article 7)."""
PEOPLE_SENSITIVE_CONTRACT: Final = 10_000
"""The same for sensitive information."""


def check_crossborder_count(terms: Terms, people_before: int, people_now: int) -> Findings:
    """Whether the people whose data goes abroad this year stay below what the mechanism allows (40).

    people_before: already counted since 1 January, each once; people_now: those of this job who come on top.
    """
    sensitive = any(item.is_sensitive for item in terms.classes.values())
    limit = PEOPLE_SENSITIVE_CONTRACT if sensitive else PEOPLE_CONTRACT
    over = people_before + people_now >= limit
    return Findings.of(
        Finding(Reason.CROSSBORDER_THRESHOLD, recipient.party)
        for recipient, mechanism in terms.abroad
        if over and mechanism.kind is not MechanismKind.ASSESSMENT
    )
