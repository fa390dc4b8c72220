"""How the synthetic tables are registered: the same `TableSpec` a data holder would write."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from clients.sample.consents import notice_of
from clients.sample.dirt import PHONE_PREFIX
from clients.sample.people import FEATURES
from clients.sample.titles import PUBLISHED
from clients.tables import ConsentSpec, FieldSpec, TableSpec
from privacy.identifiers import IdentifierKind

_AGE_COLUMN: Final = {"bank": "age", "telecom": "age"}
_BIRTH_DATE_COLUMN: Final = {"ecommerce": "birth_date"}
_GENDER_COLUMN: Final = {"bank": "gender"}
_REGION_COLUMN: Final = {"bank": "city_tier"}
_LABEL_COLUMN: Final = {"bank": "default_12m"}


def segment_fields(party: str) -> tuple[str, ...]:
    """The columns of one party that segmentation uses."""
    return tuple(feature.name for feature in FEATURES if feature.party == party and feature.segmenting)


def risk_fields(party: str) -> tuple[str, ...]:
    """The columns of one party that the risk model uses: all features, and the age at the bank."""
    names = tuple(feature.name for feature in FEATURES if feature.party == party)
    return (*names, "age") if party == "bank" else names


def sample_table(folder: Path, party: str) -> TableSpec:
    """The registration of one party's files as `write_world` lays them out in `folder`."""
    fields = [
        FieldSpec(
            name=feature.name,
            transform=feature.transform,
            minimum=feature.minimum,
            maximum=feature.maximum,
            published=PUBLISHED[feature.name],
        )
        for feature in FEATURES
        if feature.party == party
    ]
    if party == "bank":
        fields.append(FieldSpec(name="age", minimum=0, maximum=120, published=PUBLISHED["age"]))
    return TableSpec(
        path=str(folder / party / "customers.csv"),
        id_column="phone",
        id_kind=IdentifierKind.PHONE,
        extra_prefixes=(PHONE_PREFIX,),
        fields=tuple(fields),
        label_column=_LABEL_COLUMN.get(party),
        consents=ConsentSpec(
            path=str(folder / party / "consents.csv"),
            id_column="phone",
            kind_column="kind",
            scope_column="scope",
            recipient_column="recipient",
            notice_column="notice",
            notice=notice_of(party),
        ),
        age_column=_AGE_COLUMN.get(party),
        birth_date_column=_BIRTH_DATE_COLUMN.get(party),
        gender_column=_GENDER_COLUMN.get(party),
        region_column=_REGION_COLUMN.get(party),
    )
