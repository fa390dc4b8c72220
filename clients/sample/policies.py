"""The policies of the synthetic parties: what a compliance officer of each would have in force.

Companies, officers, notices, assessments and agreements are invented, and nobody has approved anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from datetime import date
from pathlib import Path
from typing import Final

import msgspec
import tomli_w

from clients.gate.draft import draft_policy
from clients.home import for_toml
from clients.sample.people import PARTIES
from clients.sample.registration import sample_table
from federation.jobs import Job
from privacy.catalog import Catalog
from privacy.decision import REFUSED_ACTIONS
from privacy.policy import Contact, Policy, Purpose, PurposeClass, Titles

IN_FORCE: Final = date(2026, 1, 1)
VALID_UNTIL: Final = date(2099, 12, 31)
"""A sample world is the same in every year."""
APPROVED_BY: Final = "sample officer"
HUMAN_ROUTE: Final = "示例银行信贷复核岗 credit review desk of the sample bank, privacy@bank.example"
"""Who reviews what the bank's decision policy proposes."""
_HANDLERS: Final = {
    "bank": "示例银行 Sample Bank",
    "ecommerce": "示例商城 Sample Shop",
    "telecom": "示例电信 Sample Telecom",
}
_SENSITIVE: Final = Titles(
    zh="直接反映还款能力，没有它们就无法公平地评估；评估结果可能影响您能否获得贷款及额度。",
    en="It bears directly on who can repay; it may affect whether you get a loan, and how much.",
)
_COORDINATOR_NAME: Final = "示例协调方 Sample Coordinator"
_TITLES: Final = {
    "credit_risk": Titles(zh="个人信贷风险评估", en="Assessing the risk of loans to individuals"),
    "marketing": Titles(zh="客户分群与营销", en="Customer segments and marketing"),
}
_NECESSITY: Final = {
    "credit_risk": Titles(
        zh="仅凭一方数据无法可靠判断还款能力；只使用与还款能力直接相关的字段，并以分箱值参与计算。",
        en="One holder's data does not tell reliably who can repay; only fields that bear on it are used, in buckets.",
    ),
    "marketing": Titles(
        zh="用于识别群体偏好，不针对个人定价；只使用消费与使用习惯的分箱值。",
        en="To learn what groups prefer, never to price for one person; only habits are used, in buckets.",
    ),
}


def sample_policy(party: str, job: Job, folder: Path) -> Policy:
    """One party's policy for the sample job; agreements name no coordinator keys yet, a rehearsal fills them in."""
    spec = sample_table(folder, party)
    draft = draft_policy(party, spec, job, "", IN_FORCE)
    lending = _purpose(draft.purposes[0], "credit_risk")
    marketing = _marketing(lending, {field.name for field in spec.fields})
    if party == job.roles.label_holder:
        lending = msgspec.structs.replace(lending, automated_decision=True, human_route=HUMAN_ROUTE)
    return in_force(draft, (lending, marketing), contact_of(party, _HANDLERS))


def in_force(draft: Policy, purposes: tuple[Purpose, ...], handler: Contact) -> Policy:
    """A drafted policy with these purposes, as if a sample officer had approved it."""
    names = tuple(purpose.name for purpose in purposes)
    return msgspec.structs.replace(
        draft,
        handler=handler,
        purposes=purposes,
        notices=tuple(msgspec.structs.replace(item, purposes=names) for item in draft.notices),
        assessments=tuple(
            msgspec.structs.replace(item, purposes=names, approved_by=APPROVED_BY, valid_until=VALID_UNTIL)
            for item in draft.assessments
        ),
        agreements=tuple(
            msgspec.structs.replace(
                item, purposes=names, coordinator_fingerprints=(), valid_until=VALID_UNTIL
            )
            for item in draft.agreements
        ),
        is_draft=False,
    )


def _purpose(draft: Purpose, name: str) -> Purpose:
    return msgspec.structs.replace(
        draft,
        name=name,
        title=_TITLES[name],
        necessity=_NECESSITY[name],
        sensitive_necessity=dict.fromkeys(draft.sensitive_necessity, _SENSITIVE),
        recipients=tuple(
            msgspec.structs.replace(item, contact=contact_of(item.party, _HANDLERS))
            for item in draft.recipients
        ),
    )


def contact_of(party: str, handlers: Mapping[str, str]) -> Contact:
    """How an invented company can be reached; who is not among the handlers is the coordinator."""
    name = handlers.get(party, _COORDINATOR_NAME)
    return Contact(name=name, contact=f"privacy@{party}.example", officer=APPROVED_BY)


def _marketing(lending: Purpose, fields: Set[str]) -> Purpose:
    """Marketing beside lending: of these fields, those that the catalogue does not keep from it."""
    catalog = Catalog.load()
    allowed = []
    for name in lending.fields:
        item = catalog.of_column(name, "")
        if item is None or name not in fields:
            continue
        if item.treatment(PurposeClass.MARKETING.value).action not in REFUSED_ACTIONS:
            allowed.append(name)
    return msgspec.structs.replace(
        _purpose(lending, "marketing"),
        treatment=PurposeClass.MARKETING,
        fields=tuple(allowed),
        legal_opinion=None,
    )


def write_policies(folder: Path, job: Job) -> None:
    """Write `policy.toml` into each party's folder."""
    for party in PARTIES:
        policy = sample_policy(party, job, folder)
        (folder / party / "policy.toml").write_text(tomli_w.dumps(for_toml(policy)), "utf-8")
