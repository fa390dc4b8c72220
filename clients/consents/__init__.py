"""A node's consents: the store that the gate asks, and how words get into it."""

from __future__ import annotations

from clients.consents.store import ConsentStore
from clients.consents.subjects import kind_label
from clients.consents.tables import Source

__all__ = ["ConsentStore", "Source", "kind_label"]
