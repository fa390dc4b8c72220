"""Who may come in at a node's desk: accounts in its vault's database, and an issuer where its home names one.

No backup holds them: whoever restores a node decides anew who comes in.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from clients.home import NodeHome
    from federation.access.accounts import Accounts
    from federation.access.office import Access

KEY_FILE: Final = "desk-lockout.key"


def open_access(home: NodeHome) -> Access:
    """Everything about access. Raises `ConfigInvalid`, `LogUnavailable`."""
    from federation.access.office import Access
    from federation.access.oidc import issuer_of
    from federation.access.tables import make_tables

    make_tables(home.vault.engine)
    return Access.of(home.vault.engine, home.audit, issuer_of(home.folder), key=_lockout_key(home))


def _lockout_key(home: NodeHome) -> bytes:
    """Under which failed logins are counted; made when it is first wanted."""
    from federation.access.lockout import KEY_BYTES
    from federation.files import write_secret

    file = home.folder / KEY_FILE
    if not file.exists():
        write_secret(file, secrets.token_bytes(KEY_BYTES))
    return file.read_bytes()


def open_accounts(folder: Path) -> Accounts:
    """The accounts of the node whose home is in a folder."""
    from clients.home import NodeHome

    return open_access(NodeHome.open(folder)).accounts
