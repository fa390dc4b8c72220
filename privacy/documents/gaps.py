"""What a notice still lacks (PIPL articles 17, 23, 24, 30, 39; 网络数据安全管理条例 article 21)."""

from __future__ import annotations

from collections.abc import Iterator

from privacy.documents.material import Material, sensitive_categories
from privacy.policy import Basis, Contact, Purpose, Titles
from privacy.reasons import Finding, Findings, Reason


def notice_gaps(material: Material, purpose: Purpose) -> Findings:
    """Everything that the notice of a purpose must say and the policy does not know; empty when it is complete.

    Software finds what is missing, not what is wrong or hard to understand. `about` names the policy's key.
    """
    return Findings.of(
        Finding(Reason.NOTICE_MISSING, f"{purpose.name}.{key}") for key in _missing(material, purpose)
    )


def _missing(material: Material, purpose: Purpose) -> Iterator[str]:
    policy, uses = material.policy, material.uses(purpose)
    yield from (f"handler.{key}" for key in _missing_contact(policy.handler))
    yield from _missing_languages("title", purpose.title)
    if not purpose.methods:
        yield "methods"
    if not purpose.fields:
        yield "fields"
    if purpose.basis is not Basis.CONSENT and not purpose.basis_reference.strip():
        yield "basis_reference"
    for use in uses:
        if use.kind is None:
            yield f"fields.{use.column}"
        elif use.retention_days < 1:
            yield f"retention_days.{use.column}"
    for category in sensitive_categories(uses):
        wording = purpose.sensitive_necessity.get(category)
        if wording is None:
            yield f"sensitive_necessity.{category}"
        else:
            yield from _missing_languages(f"sensitive_necessity.{category}", wording)
    for recipient in purpose.recipients:
        yield from (f"recipients.{recipient.party}.{key}" for key in _missing_contact(recipient.contact))
    if purpose.automated_decision and not purpose.human_route.strip():
        yield "human_route"
    notice = policy.notice(purpose.notice)
    if notice is None or purpose.name not in notice.purposes:
        yield "notice"


def _missing_contact(contact: Contact) -> list[str]:
    return [key for key in ("name", "contact") if not getattr(contact, key).strip()]


def _missing_languages(key: str, wording: Titles) -> list[str]:
    return [f"{key}.{language}" for language in ("zh", "en") if not wording.in_language(language).strip()]
