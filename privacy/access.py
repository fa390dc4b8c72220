"""Who may do what at the coordinator's console and at a node's desk. Data and decisions alone; denied by default.

Roles are those of the people who work with the product (NIST RBAC: a role is a set of permissions, a user a set of
roles). What makes personal data leave its holder's control takes two persons.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """What somebody is at the console or the desk."""

    MODELLER = "modeller"
    OPERATOR = "operator"
    ANALYST = "analyst"
    AUDITOR = "auditor"
    OFFICER = "officer"
    ADMIN = "admin"


class Permission(StrEnum):
    """`noun:action`. Every route and command declares one."""

    # At both edges.
    OVERVIEW_READ = "overview:read"
    JOBS_READ = "jobs:read"
    MODELS_READ = "models:read"
    PERSONAS_READ = "personas:read"
    AUDIENCES_READ = "audiences:read"
    REQUESTS_READ = "requests:read"
    PURPOSES_READ = "purposes:read"
    AUDIT_READ = "audit:read"
    AUDIT_EXPORT = "audit:export"
    USERS_READ = "users:read"
    USERS_MANAGE = "users:manage"
    TOKENS_MANAGE = "tokens:manage"
    """One's own."""
    # At the coordinator.
    PARTIES_READ = "parties:read"
    PARTIES_ENROL = "parties:enrol"
    DATASETS_READ = "datasets:read"
    MATCHES_READ = "matches:read"
    JOBS_PROPOSE = "jobs:propose"
    JOBS_STOP = "jobs:stop"
    REPORTS_READ = "reports:read"
    # At a node.
    APPROVALS_READ = "approvals:read"
    APPROVALS_DECIDE = "approvals:decide"
    TABLES_READ = "tables:read"
    TABLES_REGISTER = "tables:register"
    FIELDS_CLASSIFY = "fields:classify"
    CONSENTS_READ = "consents:read"
    CONSENTS_CHANGE = "consents:change"
    REQUESTS_FILE = "requests:file"
    RETENTION_READ = "retention:read"
    KEYS_READ = "keys:read"
    MODELS_RELEASE = "models:release"
    AUDIENCES_BUILD = "audiences:build"
    AUDIENCES_EXPORT = "audiences:export"
    RESULTS_DECRYPT = "results:decrypt"
    """Results with the identifiers of one's own customers."""


TWO_PERSONS: Final = frozenset(
    {
        Permission.AUDIT_EXPORT,
        Permission.AUDIENCES_EXPORT,
        Permission.MODELS_RELEASE,
        Permission.RESULTS_DECRYPT,
    }
)
"""Done only when somebody else with the same permission has confirmed it: dual control (PIPL 51)."""

_LOOKING: Final = frozenset(
    {
        Permission.OVERVIEW_READ,
        Permission.JOBS_READ,
        Permission.MODELS_READ,
        Permission.PURPOSES_READ,
        Permission.TOKENS_MANAGE,
        Permission.PARTIES_READ,
        Permission.DATASETS_READ,
    }
)
"""What everybody who works here may see: schemas, names and states, nobody's data."""

PERMISSIONS_OF: Final[Mapping[Role, frozenset[Permission]]] = {
    Role.MODELLER: _LOOKING
    | {
        Permission.JOBS_PROPOSE,
        Permission.JOBS_STOP,
        Permission.MATCHES_READ,
        Permission.PERSONAS_READ,
        Permission.REPORTS_READ,
        Permission.MODELS_RELEASE,
    },
    Role.OPERATOR: _LOOKING
    | {
        Permission.JOBS_STOP,
        Permission.MATCHES_READ,
        Permission.PARTIES_ENROL,
        Permission.APPROVALS_READ,
        Permission.APPROVALS_DECIDE,
        Permission.TABLES_READ,
        Permission.TABLES_REGISTER,
        Permission.FIELDS_CLASSIFY,
        Permission.RETENTION_READ,
        Permission.KEYS_READ,
    },
    Role.ANALYST: _LOOKING
    | {
        Permission.PERSONAS_READ,
        Permission.AUDIENCES_READ,
        Permission.AUDIENCES_BUILD,
        Permission.AUDIENCES_EXPORT,
        Permission.REPORTS_READ,
        Permission.RESULTS_DECRYPT,
    },
    Role.AUDITOR: _LOOKING
    | {
        Permission.MATCHES_READ,
        Permission.PERSONAS_READ,
        Permission.AUDIENCES_READ,
        Permission.REQUESTS_READ,
        Permission.REPORTS_READ,
        Permission.AUDIT_READ,
        Permission.AUDIT_EXPORT,
        Permission.USERS_READ,
        Permission.APPROVALS_READ,
        Permission.TABLES_READ,
        Permission.CONSENTS_READ,
        Permission.RETENTION_READ,
        Permission.KEYS_READ,
    },
    Role.OFFICER: _LOOKING
    | {
        Permission.AUDIENCES_READ,
        Permission.REQUESTS_READ,
        Permission.REQUESTS_FILE,
        Permission.CONSENTS_READ,
        Permission.CONSENTS_CHANGE,
        Permission.APPROVALS_READ,
        Permission.APPROVALS_DECIDE,
        Permission.FIELDS_CLASSIFY,
        Permission.RETENTION_READ,
        Permission.AUDIT_READ,
        Permission.AUDIT_EXPORT,
        Permission.AUDIENCES_EXPORT,
        Permission.MODELS_RELEASE,
        Permission.RESULTS_DECRYPT,
    },
    Role.ADMIN: _LOOKING
    | {
        Permission.USERS_READ,
        Permission.USERS_MANAGE,
        Permission.PARTIES_ENROL,
        Permission.AUDIT_READ,
        Permission.KEYS_READ,
    },
}
"""An administrator manages accounts, and for that reason sees no results and decides nothing about people."""


class Means(StrEnum):
    """By what somebody has proved who they are."""

    LOGIN = "login"
    TOKEN = "token"  # noqa: S105
    ISSUER = "issuer"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who acts. login: names the login for CSRF and for ending it; empty where there is no cookie.

    granted: of a token that may do less than its user; None for all that the roles give.
    """

    name: str
    roles: frozenset[Role]
    means: Means
    login: str = ""
    language: str = ""
    granted: frozenset[Permission] | None = None

    @property
    def permissions(self) -> frozenset[Permission]:
        """What this caller may do."""
        found = frozenset[Permission]().union(*(PERMISSIONS_OF[role] for role in self.roles))
        return found if self.granted is None else found & self.granted

    def may(self, permission: Permission) -> bool:
        """Whether one thing is among them."""
        return permission in self.permissions
