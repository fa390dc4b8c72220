"""Who may come in at the coordinator: accounts in its database, and an issuer where its home names one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from federation.access.accounts import Accounts
    from federation.access.office import Access
    from server.home import CoordinatorHome


def open_access(home: CoordinatorHome) -> Access:
    """Everything about access, on a database that is brought up to date. Raises `ConfigInvalid`, `LogUnavailable`."""
    from federation.access.office import Access
    from federation.access.oidc import issuer_of
    from server.db.migrating import bring_up_to_date

    bring_up_to_date(home.database)
    return Access.of(home.database, home.audit, issuer_of(home.folder), key=home.console_key)


def open_accounts(folder: Path) -> Accounts:
    """The accounts of the coordinator whose home is in a folder."""
    from server.home import CoordinatorHome

    return open_access(CoordinatorHome.open(folder)).accounts
