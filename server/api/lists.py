"""Lists that parties publish, and whole lists that fit into memory, as pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any, Final, TypeVar

import msgspec
from fastapi import Path, Query, Request, Response

from federation.publications import Noun
from federation.web.etags import reply
from federation.web.paging import Key, Wanted, add_link
from server.api.catalogue import Catalogue

_Record = TypeVar("_Record", bound=msgspec.Struct)
_NAME: Final = r"[a-z][a-z0-9_-]{0,31}"
NamePath = Annotated[str, Path(pattern=f"^{_NAME}$", examples=["bank"])]
"""A name of a party, or of something that it has named, in a path."""
PartyQuery = Annotated[str, Query(pattern=f"^({_NAME})?$", description="Only what this party has published.")]


def published(catalogue: Catalogue, noun: Noun, kind: type[_Record], party: str = "") -> list[_Record]:
    """What parties have published under a noun, each item with its party and when that was."""
    found = []
    for name, publication in catalogue.of(noun).items():
        items: Any = publication.items
        if party in {"", name}:
            for item in items:
                values = {field: getattr(item, field) for field in item.__struct_fields__}
                found.append(kind(**values, party=name, listed=publication.made))
    return found


def page_of(
    request: Request,
    paging: Wanted,
    rows: Iterable[_Record],
    key: Callable[[_Record], Key],
    *kinds: type[str] | type[int],
) -> Response:
    """A page of what is in memory, in the order of the key. kinds: of the key's parts."""
    after = paging.after(*kinds)
    ordered = sorted(rows, key=key)
    rest = [row for row in ordered if after is None or key(row) > after]
    page = paging.page(rest[: paging.limit + 1], key)
    response = reply(request, page)
    add_link(request, response, page)
    return response
