"""The draft of an impact assessment for one purpose, with the three contents of PIPL article 56 (PIPIA, article 55).

Software fills in what the policy, the catalogue and the protocols say; what weighs one thing against another is left to
a human.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from privacy.documents.gaps import notice_gaps
from privacy.documents.material import (
    METHODS,
    FieldUse,
    Material,
    category_name,
    category_names,
    kept,
    kind_name,
    method_name,
    party_names,
    sensitive_categories,
    sensitivity,
    treatment_name,
)
from privacy.documents.notice import recipients_table
from privacy.documents.page import Document, Markup, Page, name, names
from privacy.policy import Policy, Purpose, PurposeClass
from privacy.reasons import Finding
from privacy.texts import text

LEAKAGES: Final = {
    "matching": ("match_lists", "match_absent", "match_sizes"),
    "kmeans": ("segments_distance", "segments_rows"),
    "scorecard": ("bins_counts", "bins_correlation", "fit_deviate"),
    "secureboost": ("risk_roots", "risk_nested", "risk_nodes"),
    "scoring": ("score_points", "score_sides"),
    "enterprise": ("enterprise_topics", "enterprise_bits"),
    "": ("aggregates", "repetition", "traffic"),
}
"""What is known to leak, by method, from docs/limitations.md; under "" what leaks in every job."""
MEASURES: Final = ("gate", "minimise", "tokens", "encryption", "sealed", "k_min", "noise", "log")
KEYS: Final = ("matching", "paillier", "identity", "vault")
SIGNERS: Final = ("assessor", "officer", "approver")


def assessment_of(material: Material, purpose: Purpose, language: str) -> Document:
    """The draft for one purpose in one language."""
    policy, uses, page = material.policy, material.uses(purpose), Page(language)
    page.title("pipia.title", title=page.given(purpose.title.in_language(language), "title"))
    _basics(page, policy, purpose)
    _why(page, policy, purpose, uses)
    _what(page, material, purpose, uses)
    _lawful(page, material, purpose, uses)
    _impact(page, purpose)
    _protect(page, material)
    page.heading("pipia.residual")
    page.paragraph("pipia.residual_is", risk=page.place("residual"))
    _result(page)
    return page.finish(f"pipia-{purpose.name}.{language}.md", policy.digest)


def _basics(page: Page, policy: Policy, purpose: Purpose) -> None:
    page.heading("pipia.basics")
    handler = policy.handler
    rows = {
        "handler": page.given(handler.name, "holder_name"),
        "contact": page.given(handler.contact, "holder_contact"),
        "officer": handler.officer or Markup("–"),
        "purpose": Markup(f"{plain_title(page, purpose)} ({name(purpose.name)})"),
        "basis": page.phrase(f"basis.{purpose.basis.value}"),
        "number": name(purpose.pipia) if purpose.pipia else page.place("pipia_number"),
        "notice": name(purpose.notice),
        "period": page.place("period"),
    }
    page.table(("item", "content"), [(page.phrase(f"pipia.{key}"), value) for key, value in rows.items()])
    page.paragraph("pipia.keep")


def plain_title(page: Page, purpose: Purpose) -> str:
    """The purpose's title, escaped, or a place for it."""
    return page.given(purpose.title.in_language(page.language), "title")


def _why(page: Page, policy: Policy, purpose: Purpose, uses: tuple[FieldUse, ...]) -> None:
    page.heading("pipia.why")
    lines = []
    categories = sensitive_categories(uses)
    if categories:
        lines.append(page.phrase("pipia.why_sensitive", categories=category_names(page, categories)))
    if purpose.automated_decision:
        lines.append(page.phrase("pipia.why_automated"))
    if purpose.recipients:
        lines.append(page.phrase("pipia.why_recipients", recipients=party_names(page, purpose.recipients)))
    abroad = [item for item in purpose.recipients if item.region != policy.region]
    if abroad:
        lines.append(page.phrase("pipia.why_abroad", recipients=party_names(page, abroad)))
    lines.append(page.phrase("pipia.why_other", other=page.place("other")))
    page.items(lines)


def _what(page: Page, material: Material, purpose: Purpose, uses: tuple[FieldUse, ...]) -> None:
    page.heading("pipia.what")
    page.items(method_name(page, method) for method in purpose.methods)
    page.paragraph("pipia.fields")
    rows = [
        (
            name(use.column),
            kind_name(page, use),
            sensitivity(page, use),
            "–" if use.kind is None else use.kind.jrt_class,
            treatment_name(page, use),
            kept(page, use),
        )
        for use in uses
    ]
    page.table(("field", "kind", "sensitive", "level", "used", "kept"), rows)
    page.paragraph("pipia.flows")
    flows = [flow for flow in material.flows if flow.method in purpose.methods]
    page.table(
        ("method", "learner", "learned"),
        [
            (
                method_name(page, flow.method),
                page.phrase(f"role.{flow.learner}"),
                text(f"disclosures.{flow.told}", language=page.language),
            )
            for flow in flows
        ],
    )
    page.paragraph("pipia.recipients")
    recipients_table(page, material.policy, purpose, uses)
    page.paragraph("pipia.keys")
    page.table(("key", "holder", "opens"), [_key(page, key, material.key_bits) for key in KEYS])


def _key(page: Page, key: str, bits: int) -> tuple[Markup, Markup, Markup]:
    called = page.phrase(f"key.{key}", bits=bits)
    return called, page.phrase(f"key.{key}_holder"), page.phrase(f"key.{key}_opens")


def _lawful(page: Page, material: Material, purpose: Purpose, uses: tuple[FieldUse, ...]) -> None:
    page.heading("pipia.lawful")
    page.paragraph(
        "pipia.necessity", necessity=page.given(purpose.necessity.in_language(page.language), "necessity")
    )
    categories = sensitive_categories(uses)
    if categories:
        page.items(_necessity(page, purpose, category) for category in categories)
    agreements = dict.fromkeys(item.agreement for item in purpose.recipients)
    page.paragraph("pipia.agreements", agreements=names(agreements))
    if purpose.treatment is PurposeClass.CREDIT_RISK and purpose.recipients:
        bureau, opinion = purpose.licensed_bureau, purpose.legal_opinion
        absent = Markup("–") if bureau or opinion else page.place("credit")
        page.paragraph(
            "pipia.credit",
            bureau=name(bureau) if bureau else absent,
            opinion=name(opinion) if opinion else Markup("–"),
        )
    gaps = notice_gaps(material, purpose)
    if gaps:
        page.paragraph("pipia.gaps")
        page.items(_gap_lines(gaps))
    else:
        page.paragraph("pipia.no_gaps")
    page.paragraph("pipia.conclude_lawful", conclusion=page.place("conclusion"))


def _necessity(page: Page, purpose: Purpose, category: str) -> Markup:
    wording = purpose.sensitive_necessity.get(category)
    shown = category_name(page, category)
    given = "" if wording is None else wording.in_language(page.language)
    necessity = page.given(given, "sensitive_necessity", category=shown)
    return page.phrase("pipia.necessity_sensitive", category=shown, necessity=necessity)


def _gap_lines(gaps: tuple[Finding, ...]) -> Iterator[str]:
    return (f"{name(gap.reason.value)} {name(gap.about)}" for gap in gaps)


def _impact(page: Page, purpose: Purpose) -> None:
    page.heading("pipia.impact")
    page.paragraph("pipia.impact_people", impact=page.place("impact"))
    page.paragraph("pipia.leakage")
    found = [
        item
        for method in (*METHODS, "")
        if not method or method in purpose.methods
        for item in LEAKAGES[method]
    ]
    page.table(
        ("risk", "likelihood", "severity"),
        [
            (page.phrase(f"leakage.{item}"), page.place("likelihood"), page.place("severity"))
            for item in found
        ],
    )
    page.paragraph("pipia.deletion")
    page.paragraph("pipia.fines")


def _protect(page: Page, material: Material) -> None:
    page.heading("pipia.protect")
    rows = [
        (
            page.phrase(f"measure.{measure}", bits=material.key_bits, k_min=material.k_min),
            page.phrase(f"measure.{measure}_against"),
        )
        for measure in MEASURES
    ]
    page.table(("measure", "against"), rows)
    page.paragraph("pipia.organisation", measures=page.place("organisation"))
    page.paragraph("pipia.conclude_measures", conclusion=page.place("conclusion"))


def _result(page: Page) -> None:
    page.heading("pipia.result")
    page.paragraph("pipia.result_is", result=page.place("result"))
    page.table(
        ("role", "signature", "date"),
        [
            (role, page.place("signature", role=role), page.place("date", role=role))
            for role in (page.phrase(f"sign.{signer}") for signer in SIGNERS)
        ],
    )
