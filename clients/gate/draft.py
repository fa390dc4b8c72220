"""A first policy from what a node has registered and what a job asks for: to be completed, and for rehearsals."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

import msgspec

from clients.tables import TableSpec
from federation.jobs import Job, Method
from federation.messages import COORDINATOR
from privacy.catalog import Catalog
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

REHEARSAL: Final = "rehearsal"
RETENTION_DAYS: Final = 180
VALID_DAYS: Final = 365
CREDIT_PURPOSE: Final = "credit"
"""A purpose with this in its name is about lending."""
ALL_METHODS: Final = tuple(method.value for method in Method)


def draft_policy(party: str, spec: TableSpec, job: Job, coordinator: str, today: date) -> Policy:
    """What the job needs of one party's policy, with every document named `rehearsal` and nothing approved by anybody.

    coordinator: fingerprint of the coordinator's keys. Consent is the basis where the table has a consent log; without
    one a contract is assumed, and that provision has been looked into. Fields that the catalogue does not know stay
    refused.
    """
    catalog = Catalog.load()
    kinds = {field.name: field.kind for field in spec.fields}
    if party == job.roles.label_holder and job.needs_label:
        kinds |= {column: kinds.get(column, "") for column in spec.tested_columns.values()}
    found = [catalog.of_column(name, kind) for name, kind in kinds.items()]
    classes = [item for item in found if item is not None]
    categories = tuple(sorted({item.category for item in classes}))
    asks = spec.consents is not None
    others = [name for name in job.roles.all if name != party]
    treatment = PurposeClass.CREDIT_RISK if CREDIT_PURPOSE in job.purpose else PurposeClass.MARKETING
    todo = Titles(zh="演练草稿，待补充。", en="Draft of a rehearsal, to be completed.")
    contact = Contact(name=party, contact=REHEARSAL)
    recipients = [_recipient(name, Relation.PROVIDE, asks) for name in others]
    recipients.append(_recipient(COORDINATOR, Relation.ENTRUSTED, asks))
    purpose = Purpose(
        name=job.purpose,
        title=todo,
        necessity=todo,
        basis=Basis.CONSENT if asks else Basis.CONTRACT,
        basis_reference="" if asks else REHEARSAL,
        treatment=treatment,
        fields=tuple(kinds),
        methods=ALL_METHODS,
        recipients=tuple(recipients),
        notice=notice_of(spec),
        pipia=REHEARSAL,
        retention_days=RETENTION_DAYS,
        keep_unknown_age=spec.age_column is None and spec.birth_date_column is None,
        sensitive_necessity={item.category: todo for item in classes if item.is_sensitive},
        legal_opinion=REHEARSAL,
    )
    until = today + timedelta(days=VALID_DAYS)
    return Policy(
        party=party,
        handler=contact,
        purposes=(purpose,),
        notices=(
            Notice(
                id=purpose.notice,
                published=today,
                purposes=(job.purpose,),
                categories=categories,
                recipients=(*others, COORDINATOR),
                methods=ALL_METHODS,
            ),
        ),
        assessments=(
            Pipia(
                id=REHEARSAL,
                purposes=(job.purpose,),
                models=ALL_METHODS,
                categories=categories,
                approved_by=REHEARSAL,
                approved=today,
                valid_until=until,
            ),
        ),
        agreements=tuple(
            Agreement(
                id=_agreement(relation),
                relation=relation,
                parties=parties,
                purposes=(job.purpose,),
                methods=ALL_METHODS,
                categories=categories,
                measures=REHEARSAL,
                duties=REHEARSAL,
                valid_from=today,
                valid_until=until,
                coordinator_fingerprints=fingerprints,
            )
            for relation, parties, fingerprints in (
                (Relation.PROVIDE, tuple(others), ()),
                (Relation.ENTRUSTED, (COORDINATOR,), (coordinator,)),
            )
        ),
        is_draft=True,
    )


def for_approval(draft: Policy) -> Policy:
    """A draft for people to complete: nobody has approved its assessments yet, and it relies on nobody's opinion."""
    replace = msgspec.structs.replace
    purposes = (
        replace(
            purpose,
            basis_reference="",
            legal_opinion=None,
            recipients=tuple(replace(item, legal_opinion=None) for item in purpose.recipients),
        )
        for purpose in draft.purposes
    )
    assessments = (replace(item, approved_by="", approved=None) for item in draft.assessments)
    return replace(draft, purposes=tuple(purposes), assessments=tuple(assessments))


def notice_of(spec: TableSpec) -> str:
    """The notice that the consents of this table answer."""
    return (spec.consents.notice if spec.consents is not None else "") or REHEARSAL


def _agreement(relation: Relation) -> str:
    return f"{REHEARSAL}-{relation.value}"


def _recipient(party: str, relation: Relation, asks: bool) -> Recipient:
    return Recipient(
        party=party,
        relation=relation,
        agreement=_agreement(relation),
        contact=Contact(name=party, contact=REHEARSAL),
        legal_opinion=None if asks else REHEARSAL,
    )
