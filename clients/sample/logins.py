"""Logins for whoever looks around at a demo's desk: an account a role, each with a code that is good once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from federation.access.noting import TERMINAL
from privacy.access import Role

if TYPE_CHECKING:
    from clients.home import NodeHome

ROLES: Final = (Role.OFFICER, Role.OPERATOR)
"""Who decides about jobs at a desk; only together they do what takes two persons."""


def add_logins(home: NodeHome) -> dict[str, str]:
    """The accounts' codes by name. Raises `AccountInvalid` where the accounts are there already."""
    from clients.desk.accounts import open_access

    accounts = open_access(home).accounts
    for role in ROLES:
        accounts.add(_name_of(role), [role], by=TERMINAL)
    return {_name_of(role): accounts.one_time(_name_of(role), by=TERMINAL) for role in ROLES}


def _name_of(role: Role) -> str:
    return f"demo-{role.value}"
