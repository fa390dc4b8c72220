"""Lists in pages. A cursor is the key of the last item that was given: it needs no state, and no row is missed or given
twice when others come and go. It is opaque to callers, not secret: what it holds they have just been shown.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Annotated, Final, Generic, TypeVar

import msgspec
from fastapi import Depends, Query, Request, Response

from federation.web.local_paths import changed
from federation.web.refusing import RequestRefused

MOST_ITEMS: Final = 200
USUAL_ITEMS: Final = 50
MOST_CURSOR_CHARACTERS: Final = 512

Key = tuple[str | int, ...]
"""By what a list is in order, for one of its items."""
_Item = TypeVar("_Item")


class Page(msgspec.Struct, Generic[_Item], frozen=True):
    """Some items of a list. next: the cursor of the next page, "" on the last one."""

    items: list[_Item]
    next: str = ""


class Wanted(msgspec.Struct, frozen=True):
    """Which page somebody asks for."""

    limit: int = USUAL_ITEMS
    cursor: str = ""

    def after(self, *kinds: type[str] | type[int]) -> Key | None:
        """The key after which the page begins; None for the first page. kinds: of the key's parts.

        Raises `RequestRefused` for a cursor that we have not made.
        """
        return read_cursor(self.cursor, kinds) if self.cursor else None

    def page(self, rows: Sequence[_Item], key: Callable[[_Item], Key]) -> Page[_Item]:
        """The page out of its rows and, if there are more, the one after them (so ask for `limit + 1`)."""
        items = list(rows[: self.limit])
        return Page(items, make_cursor(key(items[-1])) if len(rows) > self.limit else "")


async def _wanted(  # a plain function would be called in a thread
    limit: Annotated[int, Query(ge=1, le=MOST_ITEMS)] = USUAL_ITEMS,
    cursor: Annotated[str, Query(max_length=MOST_CURSOR_CHARACTERS, pattern=r"^[A-Za-z0-9_-]*$")] = "",
) -> Wanted:
    return Wanted(limit, cursor)


Paging = Annotated[Wanted, Depends(_wanted)]
"""A route's parameter: `limit` and `cursor` of its query."""


def make_cursor(key: Key) -> str:
    """The cursor behind an item."""
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).rstrip(b"=").decode()


def read_cursor(cursor: str, kinds: Sequence[type[str] | type[int]]) -> Key:
    """The key in a cursor. Raises `RequestRefused` for one that is not exactly as we make them."""
    try:
        data = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        key = msgspec.json.decode(data, type=tuple[str | int, ...])
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise RequestRefused("malformed", "query.cursor") from None
    if tuple(type(part) for part in key) != tuple(kinds) or make_cursor(key) != cursor:
        raise RequestRefused("malformed", "query.cursor")
    return key


def add_link(request: Request, response: Response, page: Page[_Item]) -> None:
    """Say where the next page is (RFC 8288)."""
    if page.next:
        target = changed(request.url.path, request.url.query, {"cursor": page.next})
        response.headers["Link"] = f'<{target}>; rel="next"'
