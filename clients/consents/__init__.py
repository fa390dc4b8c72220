"""A node's consents: the store that the gate asks, and how words get into it."""

from __future__ import annotations

from clients.consents.importing import ImportReport, import_consents
from clients.consents.store import ConsentStore
from clients.consents.subjects import kind_label
from clients.consents.tables import Source

__all__ = ["ConsentStore", "ImportReport", "Source", "import_consents", "kind_label"]
