"""The job file that goes with the synthetic enterprises, how their tables are registered, and each party's policy."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec
import tomli_w

from clients.gate.draft import draft_policy
from clients.home import for_toml
from clients.sample.enterprise_consents import ENTERPRISE_PURPOSE, NOTICE
from clients.sample.enterprises import COLUMNS, ENTERPRISE_PARTIES, electricity_columns, enterprise_fields
from clients.sample.policies import IN_FORCE, contact_of, in_force
from clients.tables import ConsentSpec, FieldSpec, TableSpec
from federation.enterprise.health import TOPICS
from federation.enterprise.kinds import COLUMNS as KIND_COLUMNS
from federation.enterprise.levels import RULES
from federation.jobfile import read_job_file
from federation.jobs import Job
from privacy.catalog import Action, Override
from privacy.identifiers import IdentifierKind
from privacy.policy import Missing, Policy, Purpose, Titles

_LABEL_HOLDER: Final = "bank"
_LABEL: Final = "default_12m"
_HANDLERS: Final = {
    "bank": "示例银行 Sample Bank",
    "platform": "示例供应链平台 Sample Supply Chain",
    "utility": "示例公用事业 Sample Utility",
}
_CONTRACT: Final = "Supply contract, clause on credit assessment (sample)"
_TITLE: Final = Titles(zh="企业信贷风险评估", en="Assessing the risk of loans to firms")
_NECESSITY: Final = Titles(
    zh="仅凭财务报表无法可靠判断企业的还款能力；只使用与经营和还款直接相关的字段，并以分箱值参与计算。",
    en="Statements alone do not tell reliably which firm can repay; only fields that bear on it are used, in buckets.",
)
_OWNER: Final = Titles(
    zh="企业主的信用与小企业的还款直接相关；未取得本人书面同意的，不使用该项，企业的申请照常评估。",
    en="An owner's credit bears on a small firm's repayment; without the owner's written consent it is not used, and "
    "the firm's application is assessed all the same.",
)


_EXACT: Final = tuple(rule.column for rule in RULES)
_EXACT_REASON: Final = (
    "The column's holder applies a published rule to the count itself; one bit per firm leaves it."
)


def judged_fields(party: str) -> tuple[str, ...]:
    """The columns of one party by which firms are judged: health, rules, type, and the utility's panel."""
    wanted = {*_EXACT, *KIND_COLUMNS, *(name for topic in TOPICS for name in topic.columns)}
    own = tuple(column.name for column in COLUMNS if column.party == party and column.name in wanted)
    return (*own, *electricity_columns()) if party == "utility" else own


def enterprise_table(folder: Path, party: str) -> TableSpec:
    """The registration of one party's files as `write_enterprises` lays them out in `folder`."""
    fields = [
        FieldSpec(
            name=column.name,
            transform=column.transform,
            minimum=column.minimum,
            maximum=column.maximum,
        )
        for column in COLUMNS
        if column.party == party
    ]
    if party == "utility":
        fields += [FieldSpec(name=name, minimum=0.0) for name in electricity_columns()]
    consents = ConsentSpec(
        path=str(folder / party / "consents.csv"),
        id_column="uscc",
        kind_column="kind",
        scope_column="scope",
        recipient_column="recipient",
        notice_column="notice",
        notice=NOTICE,
    )
    return TableSpec(
        path=str(folder / party / "firms.csv"),
        id_column="uscc",
        id_kind=IdentifierKind.USCC,
        fields=tuple(fields),
        label_column=_LABEL if party == _LABEL_HOLDER else None,
        consents=consents if party == _LABEL_HOLDER else None,
    )


def enterprise_policy(party: str, job: Job, folder: Path) -> Policy:
    """One party's policy for the sample job.

    The bank's basis is consent, because it alone holds personal information, the owners' credit; the partners' is their
    contract with the firm, whose `basis_reference` a deployment has to fill in truthfully.
    """
    draft = draft_policy(party, enterprise_table(folder, party), job, "", IN_FORCE)
    purpose = draft.purposes[0]
    overrides = tuple(
        Override(field=name, reason=_EXACT_REASON, action=Action.USE)
        for name in judged_fields(party)
        if name in _EXACT
    )
    draft = msgspec.structs.replace(draft, overrides=overrides)
    return in_force(draft, (_completed(purpose),), contact_of(party, _HANDLERS))


def _completed(draft: Purpose) -> Purpose:
    return msgspec.structs.replace(
        draft,
        title=_TITLE,
        necessity=_NECESSITY,
        basis_reference=_CONTRACT if draft.basis_reference else "",
        sensitive_necessity=dict.fromkeys(draft.sensitive_necessity, _OWNER),
        when_separate_consent_is_missing=Missing.BLANK_CELLS,
        recipients=tuple(
            msgspec.structs.replace(item, contact=contact_of(item.party, _HANDLERS))
            for item in draft.recipients
        ),
    )


FEWEST_FOR_SCORECARD: Final = 3_000
"""With fewer firms in all, under a thousand rows train: no batch of a scorecard (`clients.plans.SMALLEST_BATCH`)."""


def write_enterprise_job(folder: Path, *, with_scorecard: bool = True) -> Path:
    """Write `job.toml` beside the party folders of `folder`, and a policy into each; paths are relative to it.

    with_scorecard: a scorecard gives the probabilities of default, else boosted trees do.
    """
    model = {"scorecard": {"degree": 3}} if with_scorecard else {"risk": {"trees": 20, "depth": 3}}
    job: dict[str, Any] = {
        "name": "enterprise-credit",
        "purpose": ENTERPRISE_PURPOSE,
        **model,
        "enterprise": {},
        "party": [
            {
                "name": party,
                "role": "label_holder" if party == _LABEL_HOLDER else "feature_holder",
                "risk_fields": list(enterprise_fields(party)),
                "enterprise_fields": list(judged_fields(party)),
                "table": for_toml(enterprise_table(Path(), party)),
                "policy": f"{party}/policy.toml",
            }
            for party in ENTERPRISE_PARTIES
        ],
    }
    file = folder / "job.toml"
    file.write_text(tomli_w.dumps(job), "utf-8")
    for party in ENTERPRISE_PARTIES:
        policy = enterprise_policy(party, read_job_file(file).job, folder)
        (folder / party / "policy.toml").write_text(tomli_w.dumps(for_toml(policy)), "utf-8")
    return file
