"""Backups of a node, the ledger of what was deleted, and coming back from a backup (PIPL 47, 51)."""
