"""Why something is refused: stable codes, each with the article that demands it.

A decision returns *all* failing reasons, because auditors and officers ask for them. What a code means and what to do
about it is in the texts (`reasons.<CODE>.meaning`, `reasons.<CODE>.remedy`, where `<CODE>` has underscores).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

import msgspec

from privacy.texts import text


class Reason(StrEnum):
    """The codes are an interface: reports, logs and other companies' programs rely on them."""

    BASIS_MISSING = "R-BASIS-MISSING"
    CONSENT_MISSING = "R-CONSENT-MISSING"
    CONSENT_WITHDRAWN = "R-CONSENT-WITHDRAWN"
    CONSENT_EXPIRED = "R-CONSENT-EXPIRED"
    CONSENT_STALE_SNAPSHOT = "R-CONSENT-STALE-SNAPSHOT"
    SEPARATE_CONSENT_SENSITIVE = "R-SEPARATE-CONSENT-SENSITIVE"
    SEPARATE_CONSENT_PROVIDE = "R-SEPARATE-CONSENT-PROVIDE"
    SEPARATE_CONSENT_CROSSBORDER = "R-SEPARATE-CONSENT-CROSSBORDER"
    WRITTEN_CONSENT_MISSING = "R-WRITTEN-CONSENT-MISSING"
    GUARDIAN_CONSENT_MISSING = "R-GUARDIAN-CONSENT-MISSING"
    MINOR_RULES_MISSING = "R-MINOR-RULES-MISSING"
    AGE_UNKNOWN = "R-AGE-UNKNOWN"
    NOTICE_MISSING = "R-NOTICE-MISSING"
    NOTICE_VERSION_STALE = "R-NOTICE-VERSION-STALE"
    PURPOSE_UNREGISTERED = "R-PURPOSE-UNREGISTERED"
    PURPOSE_MISMATCH = "R-PURPOSE-MISMATCH"
    FIELD_UNCLASSIFIED = "R-FIELD-UNCLASSIFIED"
    FIELD_NOT_IN_NOTICE = "R-FIELD-NOT-IN-NOTICE"
    FIELD_PROHIBITED = "R-FIELD-PROHIBITED"
    FIELD_EXCEEDS_MINIMUM = "R-FIELD-EXCEEDS-MINIMUM"
    RETENTION_MISSING = "R-RETENTION-MISSING"
    RETENTION_EXPIRED = "R-RETENTION-EXPIRED"
    RESTRICTED_STATE = "R-RESTRICTED-STATE"
    RESTORE_NOT_REPLAYED = "R-RESTORE-NOT-REPLAYED"
    AGREEMENT_MISSING = "R-AGREEMENT-MISSING"
    AGREEMENT_EXPIRED = "R-AGREEMENT-EXPIRED"
    AGREEMENT_SCOPE = "R-AGREEMENT-SCOPE"
    RECIPIENT_UNKNOWN = "R-RECIPIENT-UNKNOWN"
    SUBDELEGATION_UNAPPROVED = "R-SUBDELEGATION-UNAPPROVED"
    PIPIA_MISSING = "R-PIPIA-MISSING"
    PIPIA_STALE = "R-PIPIA-STALE"
    PIPIA_UNAPPROVED = "R-PIPIA-UNAPPROVED"
    CROSSBORDER_NO_MECHANISM = "R-CROSSBORDER-NO-MECHANISM"
    CROSSBORDER_THRESHOLD = "R-CROSSBORDER-THRESHOLD"
    FOREIGN_AUTHORITY_REQUEST = "R-FOREIGN-AUTHORITY-REQUEST"
    COHORT_TOO_SMALL = "R-COHORT-TOO-SMALL"
    KEY_COLOCATED = "R-KEY-COLOCATED"
    CREDIT_LICENCE = "R-CREDIT-LICENCE"
    ADM_NO_HUMAN_PATH = "R-ADM-NO-HUMAN-PATH"
    ADM_REFUSED_BY_SUBJECT = "R-ADM-REFUSED-BY-SUBJECT"
    PRICE_FEATURE_PROHIBITED = "R-PRICE-FEATURE-PROHIBITED"
    MARKETING_OPTOUT = "R-MARKETING-OPTOUT"
    DIFFERENCING_RISK = "R-DIFFERENCING-RISK"
    MODEL_CONTAINS_RECORDS = "R-MODEL-CONTAINS-RECORDS"
    MODEL_TAINTED = "R-MODEL-TAINTED"
    PROMPT_COOLDOWN = "R-PROMPT-COOLDOWN"
    IDENTITY_UNVERIFIED = "R-IDENTITY-UNVERIFIED"
    AGENT_AUTHORITY = "R-AGENT-AUTHORITY"
    STATUTORY_RETENTION = "R-STATUTORY-RETENTION"
    POLICY_UNAVAILABLE = "R-POLICY-UNAVAILABLE"
    LOG_UNAVAILABLE = "R-LOG-UNAVAILABLE"
    JOB_NOT_APPROVED = "R-JOB-NOT-APPROVED"


ARTICLES: Final[dict[Reason, str]] = {
    Reason.BASIS_MISSING: "PIPL 13",
    Reason.CONSENT_MISSING: "PIPL 13, 14",
    Reason.CONSENT_WITHDRAWN: "PIPL 15",
    Reason.CONSENT_EXPIRED: "PIPL 14, 19",
    Reason.CONSENT_STALE_SNAPSHOT: "PIPL 14, 15",
    Reason.SEPARATE_CONSENT_SENSITIVE: "PIPL 29",
    Reason.SEPARATE_CONSENT_PROVIDE: "PIPL 23",
    Reason.SEPARATE_CONSENT_CROSSBORDER: "PIPL 39",
    Reason.WRITTEN_CONSENT_MISSING: "PIPL 29; 征信业管理条例 14, 18",
    Reason.GUARDIAN_CONSENT_MISSING: "PIPL 31",
    Reason.MINOR_RULES_MISSING: "PIPL 31",
    Reason.AGE_UNKNOWN: "PIPL 31",
    Reason.NOTICE_MISSING: "PIPL 17",
    Reason.NOTICE_VERSION_STALE: "PIPL 7, 14, 17",
    Reason.PURPOSE_UNREGISTERED: "PIPL 6",
    Reason.PURPOSE_MISMATCH: "PIPL 6, 14",
    Reason.FIELD_UNCLASSIFIED: "PIPL 4, 51",
    Reason.FIELD_NOT_IN_NOTICE: "PIPL 17, 23",
    Reason.FIELD_PROHIBITED: "PIPL 6, 16, 28; JR/T 0171",
    Reason.FIELD_EXCEEDS_MINIMUM: "PIPL 6",
    Reason.RETENTION_MISSING: "PIPL 19",
    Reason.RETENTION_EXPIRED: "PIPL 19, 47",
    Reason.RESTRICTED_STATE: "PIPL 44, 47",
    Reason.RESTORE_NOT_REPLAYED: "PIPL 47",
    Reason.AGREEMENT_MISSING: "PIPL 20, 21, 23",
    Reason.AGREEMENT_EXPIRED: "PIPL 21",
    Reason.AGREEMENT_SCOPE: "PIPL 20, 21",
    Reason.RECIPIENT_UNKNOWN: "PIPL 22, 23",
    Reason.SUBDELEGATION_UNAPPROVED: "PIPL 21",
    Reason.PIPIA_MISSING: "PIPL 55",
    Reason.PIPIA_STALE: "PIPL 55, 56",
    Reason.PIPIA_UNAPPROVED: "PIPL 55, 56",
    Reason.CROSSBORDER_NO_MECHANISM: "PIPL 38",
    Reason.CROSSBORDER_THRESHOLD: "PIPL 40; 促进和规范数据跨境流动规定 5, 7, 8",
    Reason.FOREIGN_AUTHORITY_REQUEST: "PIPL 41",
    Reason.COHORT_TOO_SMALL: "PIPL 6, 51",
    Reason.KEY_COLOCATED: "PIPL 51",
    Reason.CREDIT_LICENCE: "征信业管理条例 7, 36",
    Reason.ADM_NO_HUMAN_PATH: "PIPL 24",
    Reason.ADM_REFUSED_BY_SUBJECT: "PIPL 24",
    Reason.PRICE_FEATURE_PROHIBITED: "PIPL 24",
    Reason.MARKETING_OPTOUT: "PIPL 24; 算法推荐管理规定 17",
    Reason.DIFFERENCING_RISK: "PIPL 47, 51",
    Reason.MODEL_CONTAINS_RECORDS: "PIPL 47",
    Reason.MODEL_TAINTED: "PIPL 47",
    Reason.PROMPT_COOLDOWN: "PIPL 14, 16; 网络数据安全管理条例 22",
    Reason.IDENTITY_UNVERIFIED: "PIPL 9, 50, 51",
    Reason.AGENT_AUTHORITY: "PIPL 31, 49",
    Reason.STATUTORY_RETENTION: "PIPL 19, 47",
    Reason.POLICY_UNAVAILABLE: "PIPL 9, 51",
    Reason.LOG_UNAVAILABLE: "PIPL 51, 69",
    Reason.JOB_NOT_APPROVED: "PIPL 20, 51",
}
"""The article behind each code; PIPL is 中华人民共和国个人信息保护法."""


class Finding(msgspec.Struct, frozen=True):
    """One failing reason. about: the field, party, purpose or document concerned, never a value of a row."""

    reason: Reason
    about: str = ""

    def render(self, language: str | None = None) -> str:
        """One line: code, article, what is wrong, what it is about, and the remedy."""
        key = self.reason.name
        about = f" ({self.about})" if self.about else ""
        meaning = text(f"reasons.{key}.meaning", language=language)
        remedy = text(f"reasons.{key}.remedy", language=language)
        return f"{self.reason.value} [{ARTICLES[self.reason]}]{about}: {meaning} {remedy}"


class Findings(tuple[Finding, ...]):
    """All failing reasons of one decision. `{findings:zh-CN}` renders them in that language, one a line."""

    __slots__ = ()

    def __format__(self, language: str) -> str:
        return "\n".join(f"- {finding.render(language or None)}" for finding in self)

    @property
    def codes(self) -> tuple[str, ...]:
        """The different codes, in order of appearance."""
        return tuple(dict.fromkeys(finding.reason.value for finding in self))

    def without_details(self) -> Findings:
        """As other parties may hear it: the codes, without what they are about."""
        return Findings(Finding(Reason(code)) for code in self.codes)

    @classmethod
    def of(cls, findings: Iterable[Finding]) -> Findings:
        """Each finding once, in order."""
        return cls(dict.fromkeys(findings))
