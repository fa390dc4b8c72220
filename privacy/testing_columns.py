"""Which columns may be read to test a model for fairness: by the policy in force and the field catalogue.

A trainer never sees a gender (the catalogue drops it for credit), yet whether a model treats people alike cannot be
told without it (PIPL 24 (1)). Testing is processing as well, so a column has to be registered for the purpose, and the
notice and the impact assessment have to cover its category (PIPL 6, 17, 55). What is sensitive, or asks for a consent
of its own, is not read for this. A column that may not be read is left out; the job goes on without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from privacy.catalog import Catalog, Consent, FieldClass
from privacy.policy import Notice, Policy, Purpose

TESTABLE: Final[Mapping[str, frozenset[str]]] = {
    "age_band": frozenset({"age", "birth_date"}),
    "gender": frozenset({"gender"}),
    "region": frozenset({"branch", "city_tier"}),
}
"""By attribute, the classes of the catalogue that tell it."""


def testable_columns(
    policy: Policy, catalog: Catalog, purpose: Purpose, notice: Notice, columns: Mapping[str, str]
) -> dict[str, FieldClass]:
    """Of `columns`, by attribute, those that may be read, with their classes."""
    pipia = None if purpose.pipia is None else policy.pipia(purpose.pipia)
    if pipia is None:
        return {}
    categories = set(notice.categories) & set(pipia.categories)
    found = {}
    for key, column in columns.items():
        item = catalog.of_column(column, "")
        if item is None or item.key not in TESTABLE.get(key, frozenset()) or item.is_sensitive:
            continue
        asks = item.treatment(purpose.treatment.value).consent is not Consent.NONE
        if column in purpose.fields and item.category in categories and not asks and not item.is_prohibited:
            found[key] = item
    return found
