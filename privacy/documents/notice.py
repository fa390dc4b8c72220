"""The notice to subjects for one purpose, as lists (PIPL articles 17, 23, 24, 30, 39; 网络数据安全管理条例 21)."""

from __future__ import annotations

from typing import Final

from privacy.documents.material import (
    FieldUse,
    Material,
    categories_of,
    category_name,
    category_names,
    consent_form,
    kept,
    kind_name,
    method_name,
    method_names,
    party_names,
    recipient_name,
    sensitive_categories,
    sensitivity,
    treatment_name,
)
from privacy.documents.page import Document, Markup, Page, name
from privacy.policy import Basis, Policy, Purpose, PurposeClass, Recipient, Relation

RIGHTS: Final = ("know", "access", "transfer", "correct", "delete", "explain", "account", "kin", "court")
CHILD_AGE: Final = 14
"""Below it a guardian consents (PIPL article 31)."""


def notice_of(material: Material, purpose: Purpose, language: str) -> Document:
    """The notice of one purpose in one language."""
    policy, uses, page = material.policy, material.uses(purpose), Page(language)
    page.title("notice.title", title=_title(page, purpose))
    _handler(page, policy)
    _purpose(page, purpose)
    _information(page, purpose, uses)
    _sensitive(page, purpose, uses)
    _recipients(page, policy, purpose, uses)
    _automated(page, purpose)
    _rights(page, policy, purpose)
    _minors(page, purpose)
    _changes(page, policy, purpose)
    return page.finish(f"notice-{purpose.name}.{language}.md", policy.digest)


def _title(page: Page, purpose: Purpose) -> str:
    return page.given(purpose.title.in_language(page.language), "title")


def _contact(page: Page, policy: Policy) -> str:
    return page.given(policy.handler.contact, "holder_contact")


def _handler(page: Page, policy: Policy) -> None:
    page.heading("notice.handler")
    rows = [
        (page.phrase("notice.handler_name"), page.given(policy.handler.name, "holder_name")),
        (page.phrase("notice.handler_contact"), _contact(page, policy)),
    ]
    if policy.handler.officer:
        rows.append((page.phrase("notice.handler_officer"), policy.handler.officer))
    page.table(("item", "content"), rows)


def _purpose(page: Page, purpose: Purpose) -> None:
    page.heading("notice.purpose")
    necessity = page.given(purpose.necessity.in_language(page.language), "necessity")
    page.paragraph("notice.purpose_is", title=_title(page, purpose), necessity=necessity)
    reference = Markup("")
    if purpose.basis is not Basis.CONSENT:
        reference = Markup(page.given(purpose.basis_reference, "basis_reference"))
    basis = page.phrase(f"basis.{purpose.basis.value}")
    page.paragraph("notice.basis_is", basis=basis, reference=reference)
    page.heading("notice.methods")
    page.items(method_name(page, method) for method in purpose.methods)


def _information(page: Page, purpose: Purpose, uses: tuple[FieldUse, ...]) -> None:
    page.heading("notice.information")
    rows = [
        (
            kind_name(page, use),
            name(use.column),
            sensitivity(page, use),
            treatment_name(page, use),
            kept(page, use),
        )
        for use in uses
    ]
    page.table(("kind", "field", "sensitive", "used", "kept"), rows)
    page.paragraph("notice.retention")


def _sensitive(page: Page, purpose: Purpose, uses: tuple[FieldUse, ...]) -> None:
    page.heading("notice.sensitive")
    categories = sensitive_categories(uses)
    if not categories:
        page.paragraph("none")
        return
    rows = []
    for category in categories:
        wording = purpose.sensitive_necessity.get(category)
        given = "" if wording is None else wording.in_language(page.language)
        shown = category_name(page, category)
        necessity = page.given(given, "sensitive_necessity", category=shown)
        rows.append((shown, necessity, consent_form(page, purpose, uses, category)))
    page.table(("category", "necessity", "form"), rows)


def recipients_table(page: Page, policy: Policy, purpose: Purpose, uses: tuple[FieldUse, ...]) -> None:
    """Every recipient with name, contact, relation, purpose, methods, categories and region (article 23)."""
    rows = []
    for item in purpose.recipients:
        agreement = policy.agreement(item.agreement)
        methods, categories = purpose.methods, categories_of(uses)
        if agreement is not None:
            methods = tuple(method for method in methods if method in agreement.methods)
            categories = tuple(category for category in categories if category in agreement.categories)
        contact = page.given(item.contact.contact, "recipient_contact", party=item.party)
        rows.append(
            (
                recipient_name(page, item),
                contact,
                page.phrase(f"relation.{item.relation.value}"),
                purpose.title.in_language(page.language),
                method_names(page, methods),
                category_names(page, categories),
                item.region,
            )
        )
    page.table(("recipient", "contact", "relation", "purpose", "methods", "categories", "region"), rows)


def _recipients(page: Page, policy: Policy, purpose: Purpose, uses: tuple[FieldUse, ...]) -> None:
    page.heading("notice.recipients")
    if not purpose.recipients:
        page.paragraph("none")
        return
    recipients_table(page, policy, purpose, uses)
    page.paragraph("notice.recipients_scope")
    consented = [item for item in purpose.recipients if _asks_consent(item)]
    if consented:
        page.paragraph("notice.provide_consent", recipients=party_names(page, consented))
    for item in purpose.recipients:
        if item.relation is Relation.PROVIDE and item.legal_opinion is not None:
            opinion = name(item.legal_opinion)
            page.paragraph("notice.legal_opinion", recipients=name(item.party), opinion=opinion)
    if any(item.relation is Relation.JOINT for item in purpose.recipients):
        page.paragraph("notice.joint_rights")
    for item in purpose.recipients:
        if item.region != policy.region:
            way = page.place("abroad", party=item.party)
            page.paragraph("notice.abroad", recipient=name(item.party), region=item.region, way=way)


def _asks_consent(recipient: Recipient) -> bool:
    return recipient.relation is Relation.PROVIDE and recipient.legal_opinion is None


def _automated(page: Page, purpose: Purpose) -> None:
    page.heading("notice.automated")
    if purpose.automated_decision:
        page.paragraph("notice.automated_yes", route=page.given(purpose.human_route, "route"))
    else:
        page.paragraph("notice.automated_no")
    if purpose.treatment is PurposeClass.MARKETING:
        page.paragraph("notice.marketing")


def _rights(page: Page, policy: Policy, purpose: Purpose) -> None:
    page.heading("notice.rights")
    page.items(page.phrase(f"right.{right}") for right in RIGHTS)
    page.paragraph("notice.rights_how", contact=_contact(page, policy))
    page.heading("notice.withdraw")
    given = purpose.basis is Basis.CONSENT
    page.paragraph("notice.withdraw_how" if given else "notice.withdraw_none", contact=_contact(page, policy))


def _minors(page: Page, purpose: Purpose) -> None:
    page.heading("notice.minors")
    if purpose.minimum_age:
        page.paragraph("notice.minors_excluded", age=purpose.minimum_age)
    if purpose.minimum_age < CHILD_AGE:
        rules = name(purpose.minor_rules or "–")
        page.paragraph("notice.minors_rules", rules=rules)
    page.paragraph("notice.age_unknown_kept" if purpose.keep_unknown_age else "notice.age_unknown")


def _changes(page: Page, policy: Policy, purpose: Purpose) -> None:
    page.heading("notice.changes")
    notice = policy.notice(purpose.notice)
    published = page.place("published") if notice is None else Markup(notice.published.isoformat())
    page.paragraph("notice.changes_how", number=name(purpose.notice), published=published)
