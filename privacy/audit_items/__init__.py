"""Evidence for the items of the audit guideline (个人信息保护合规审计指引), from one log and its policy (PIPL 54, 69).

What it does not promise. A file says what was found in events and policy, and whether that agrees with what the item
asks for; it is no statement that the law is complied with. What neither shows is named as open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from privacy.audit import Event
from privacy.audit_items.abroad import abroad
from privacy.audit_items.guideline import Item
from privacy.audit_items.ledger import Cosigned, Ledger
from privacy.audit_items.parties import entrusted, joint, provided
from privacy.audit_items.people import children, deletion, incidents, rights, sensitive
from privacy.audit_items.rules import (
    basis,
    explanation,
    internal_rules,
    notice,
    processing_rules,
    public_information,
)
from privacy.audit_items.technology import assessments, automated_decisions, measures, publication
from privacy.audit_items.writing import item_file, overview_file, summary_file
from privacy.catalog import Catalog
from privacy.policy import Policy
from privacy.texts import LANGUAGES

__all__ = ["Cosigned", "findings_of", "items_of"]

_ITEMS: Final[tuple[Callable[[Ledger], Item], ...]] = (
    basis,
    processing_rules,
    notice,
    joint,
    entrusted,
    provided,
    automated_decisions,
    publication,
    public_information,
    sensitive,
    children,
    abroad,
    deletion,
    rights,
    explanation,
    internal_rules,
    measures,
    assessments,
    incidents,
)
"""By number: 2 to 6, 8 to 10, 12 to 20, 23, 25."""


def findings_of(
    events: Iterable[Event], policy: Policy, catalog: Catalog, cosigned: Sequence[Cosigned] | None = None
) -> tuple[Ledger, list[Item]]:
    """What events and policy say together, and what is found about each item, by number; see `items_of`."""
    ledger = Ledger(events, policy, catalog, cosigned)
    return ledger, [find(ledger) for find in _ITEMS]


def items_of(
    events: Iterable[Event], policy: Policy, catalog: Catalog, cosigned: Sequence[Cosigned] | None = None
) -> dict[str, bytes]:
    """The files of evidence by name, under `items/`: an item each as canonical JSON (RFC 8785), an overview, summaries.

    catalog: with the policy's overrides applied. cosigned: the log's own checkpoints, in order of size; None where they
    are not known. Never raises, whatever the events are.
    """
    ledger, items = findings_of(events, policy, catalog, cosigned)
    files = {f"items/item_{item.number:02}.json": item_file(ledger, item) for item in items}
    files["items/overview.json"] = overview_file(ledger, items)
    for language in LANGUAGES:
        files[f"items/summary.{language}.md"] = summary_file(ledger, items, language)
    return files
