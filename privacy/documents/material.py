"""What documents are made from, and how the parts that they share are worded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from privacy.catalog import Catalog, Consent, FieldClass, Treatment
from privacy.documents.page import Markup, Page, name, names
from privacy.policy import Basis, Policy, Purpose, Recipient
from privacy.texts import text

METHODS: Final = ("matching", "kmeans", "scorecard", "secureboost", "scoring", "enterprise")
"""The kinds of processing that have a text (`federation.jobs.Method`)."""
COORDINATOR: Final = "coordinator"


@dataclass(frozen=True, slots=True)
class Flow:
    """One thing that a role learns while a method runs. told: a text's name under `disclosures.`"""

    method: str
    learner: str
    told: str


@dataclass(frozen=True, slots=True)
class Material:
    """What documents are made from.

    catalog: with the policy's overrides applied. k_min, key_bits: of the security profile that jobs use
    (`privacy.parameters`). flows: what the protocols declare. declared: the class that the table's registration gives
    a column, by column.
    """

    policy: Policy
    catalog: Catalog
    k_min: int
    key_bits: int
    flows: tuple[Flow, ...] = ()
    declared: Mapping[str, str] = field(default_factory=dict)

    def uses(self, purpose: Purpose) -> tuple[FieldUse, ...]:
        """The purpose's fields, in its order. The shorter retention period holds, the purpose's or the field's."""
        found = []
        for column in purpose.fields:
            kind = self.catalog.of_column(column, self.declared.get(column, ""))
            treatment = None if kind is None else kind.treatment(purpose.treatment.value)
            days = (
                purpose.retention_days if kind is None else min(purpose.retention_days, kind.retention_days)
            )
            found.append(FieldUse(column, kind, treatment, days))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class FieldUse:
    """One column and how it may be used for a purpose; kind and treatment are None for an unknown column."""

    column: str
    kind: FieldClass | None
    treatment: Treatment | None
    retention_days: int


def categories_of(uses: Iterable[FieldUse]) -> tuple[str, ...]:
    """The categories of the fields, each once, in order."""
    return tuple(dict.fromkeys(use.kind.category for use in uses if use.kind))


def sensitive_categories(uses: Iterable[FieldUse]) -> tuple[str, ...]:
    """The categories of sensitive personal information among the fields, each once, in order."""
    return tuple(dict.fromkeys(use.kind.category for use in uses if use.kind and use.kind.is_sensitive))


def consent_form(page: Page, purpose: Purpose, uses: Iterable[FieldUse], category: str) -> Markup:
    """On what ground information of a sensitive category is used (articles 28, 29)."""
    asked = {
        use.treatment.consent for use in uses if use.kind and use.treatment and use.kind.category == category
    }
    if purpose.basis is Basis.CONSENT and Consent.WRITTEN in asked:
        return page.phrase("consent_written")
    if purpose.basis is Basis.CONSENT and Consent.SEPARATE in asked:
        return page.phrase("consent_separate")
    return page.phrase("consent_none")


# --- wording


def category_names(page: Page, categories: Iterable[str]) -> Markup:
    """Categories in plain words."""
    return _listed(page, (category_name(page, item) for item in categories))


def category_name(page: Page, category: str) -> str:
    return text(f"catalog.category.{category}", language=page.language)


def method_names(page: Page, methods: Iterable[str]) -> Markup:
    """Methods in plain words; one that has none keeps its name."""
    return _listed(page, (method_name(page, item) for item in methods))


def method_name(page: Page, method: str) -> Markup:
    if method in METHODS:
        return page.phrase(f"method.{method}")
    return page.phrase("method.unknown", name=name(method))


def recipient_name(page: Page, recipient: Recipient) -> str:
    """The recipient's name as subjects may know it, with its short name in the policy."""
    called = page.given(recipient.contact.name, "recipient_name", party=recipient.party)
    return Markup(f"{called} ({name(recipient.party)})")


def treatment_name(page: Page, use: FieldUse) -> str:
    """How a field is used, in plain words."""
    if use.treatment is None:
        return page.phrase("unknown_field")
    treatment = use.treatment
    if treatment.minimise == "none":
        return text(f"catalog.action.{treatment.action.value}", language=page.language)
    coarser = text(f"catalog.minimise.{treatment.minimise}", language=page.language)
    return f"{coarser} ({treatment.number})" if treatment.number else coarser


def kind_name(page: Page, use: FieldUse) -> str:
    if use.kind is None:
        return page.phrase("unknown_field")
    return text(f"catalog.field.{use.kind.key}", language=page.language)


def sensitivity(page: Page, use: FieldUse) -> Markup:
    return page.phrase("yes" if use.kind and use.kind.is_sensitive else "no")


def kept(page: Page, use: FieldUse) -> str:
    """The retention period of a field's derived copy, or a place for it."""
    if use.retention_days > 0:
        return page.phrase("days", days=use.retention_days)
    return page.place("retention", field=name(use.column))


def party_names(page: Page, recipients: Iterable[Recipient]) -> Markup:
    return names(item.party for item in recipients)


def _listed(page: Page, items: Iterable[str]) -> Markup:
    separator = "；" if page.language.startswith("zh") else "; "
    return Markup(separator.join(items) or "–")
