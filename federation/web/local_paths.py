"""Where a page may lead on to: into its own application, and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

MOST_CHARACTERS: Final = 2_000


def local_path(wish: str, otherwise: str = "/") -> str:
    """The path, if it can be nothing but one of this host's; else the other one (CWE-601, open redirects)."""
    is_long = len(wish) > MOST_CHARACTERS or not wish.isprintable()
    if is_long or not wish.startswith("/") or wish.startswith("//") or "\\" in wish:
        return otherwise
    parts = urlsplit(wish)
    return otherwise if parts.scheme or parts.netloc else wish


def with_query(path: str, values: Mapping[str, object]) -> str:
    """The path with these in its query; what is None or "" is left out."""
    query = urlencode({name: value for name, value in values.items() if value not in {None, ""}})
    return f"{path}?{query}" if query else path


def changed(path: str, query: str, changes: Mapping[str, object]) -> str:
    """The same page with another query. A request's path may begin as another host's address does: `//evil.test`."""
    return with_query(local_path(path), dict(parse_qsl(query)) | dict(changes))
