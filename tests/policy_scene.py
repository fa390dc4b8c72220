"""A small policy with everything in it that documents are made from, for tests."""

from datetime import date

from privacy.catalog import Catalog, Consent, Override
from privacy.documents import Flow, Material
from privacy.policy import (
    Agreement,
    Basis,
    Contact,
    Notice,
    Pipia,
    Policy,
    Purpose,
    PurposeClass,
    Recipient,
    Relation,
    Titles,
)

METHODS = ("matching", "kmeans")


def titles(zh="目的", en="Purpose"):
    return Titles(zh=zh, en=en)


def recipient(party="shop", relation=Relation.PROVIDE, **changes):
    given = {
        "agreement": f"{party}-1",
        "contact": Contact(name=f"{party} company", contact=f"privacy@{party}.example"),
        **changes,
    }
    return Recipient(party=party, relation=relation, **given)


def purpose(name="marketing", **changes):
    given = {
        "title": titles("营销分群", "Segments for marketing"),
        "necessity": titles("没有分群就只能向所有人推送。", "Without segments everybody is sent everything."),
        "basis": Basis.CONSENT,
        "treatment": PurposeClass.MARKETING,
        "fields": ("monthly_income", "tenure_months"),
        "methods": METHODS,
        "recipients": (recipient(), recipient("coordinator", Relation.ENTRUSTED)),
        "notice": "notice-1",
        "retention_days": 90,
        "pipia": "pipia-1",
        **changes,
    }
    return Purpose(name=name, **given)


def agreement(party="shop", relation=Relation.PROVIDE, **changes):
    given = {
        "purposes": ("marketing",),
        "methods": METHODS,
        "categories": categories(("monthly_income", "tenure_months")),
        "measures": "Encryption.",
        "duties": "As the law says.",
        "valid_from": date(2026, 1, 1),
        "valid_until": date(2026, 12, 31),
        "coordinator_fingerprints": ("0123456789abcdef",) if party == "coordinator" else (),
        **changes,
    }
    return Agreement(id=f"{party}-1", relation=relation, parties=("bank", party), **given)


def categories(columns):
    """The categories of some columns in the catalogue."""
    catalog = Catalog.load()
    return tuple(dict.fromkeys(catalog.of_column(column, "").category for column in columns))


def policy(*purposes, **changes):
    purposes = purposes or (purpose_with_necessity(),)
    given = {
        "handler": Contact(name="Bank of the Example", contact="95000", officer="Officer"),
        "purposes": purposes,
        "notices": (
            Notice(
                id="notice-1",
                published=date(2026, 1, 1),
                purposes=tuple(item.name for item in purposes),
                categories=categories(("monthly_income", "tenure_months")),
                recipients=("shop", "coordinator"),
                methods=METHODS,
            ),
        ),
        "assessments": (
            Pipia(
                id="pipia-1",
                purposes=("marketing",),
                models=METHODS,
                categories=(),
                valid_until=date(2026, 12, 31),
            ),
        ),
        "agreements": (agreement(), agreement("coordinator", Relation.ENTRUSTED)),
        "overrides": override(Consent.SEPARATE),
        **changes,
    }
    return Policy(party="bank", **given)


def override(consent):
    """Which consent income asks for beside the general one."""
    return (Override(field="monthly_income", consent=consent, reason="For the tests of documents."),)


def purpose_with_necessity(**changes):
    """A purpose that says for every sensitive category of its fields why it is needed."""
    made = purpose(**changes)
    catalog = Catalog.load()
    kinds = [catalog.of_column(column, "") for column in made.fields]
    needed = {
        kind.category: titles(
            "判断消费能力所必需；可能影响所见内容。", "Needed to tell means apart; may change what you see."
        )
        for kind in kinds
        if kind is not None and kind.is_sensitive
    }
    return purpose(**{"sensitive_necessity": needed, **changes})


def material(made=None, **changes):
    made = policy() if made is None else made
    given = {
        "k_min": 50,
        "key_bits": 2048,
        "flows": (
            Flow("matching", "coordinator", "align.sizes_and_overlap"),
            Flow("kmeans", "label_holder", "kmeans.distance_differences"),
            Flow("kmeans", "feature_holder", "kmeans.assignments"),
            Flow("secureboost", "label_holder", "boosting.candidate_sums"),
        ),
        **changes,
    }
    return Material(policy=made, catalog=Catalog.load().with_overrides(made.overrides), **given)
