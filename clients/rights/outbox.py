"""A node's outbox and inbox, in the vault's database: what is in them survives a kill at any moment.

An item is queued in its caller's transaction, put into a letter with others for the same party, and the letter, sealed
to it, is kept until the coordinator has it; a letter that comes is stored before it is confirmed, and once only. Items
are sealed here with a key of the vault. Order is kept within a letter alone: one that is refused for now is overtaken.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from typing import Final, NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import DatabaseError

from clients.rights.courier import Received
from clients.rights.outbox_tables import had, letters, queue, received
from clients.vault import KEY_BYTES, NONCE_BYTES, Vault, metadata
from federation.post import new_letter_id
from federation.post_messages import (
    KEPT_DAYS,
    MAX_ITEMS,
    Answered,
    Delivered,
    Item,
    decode_item,
    encode_item,
    in_letters,
)
from privacy.errors import SealBroken
from privacy.rights import CaseNumber

KEY_RECORD: Final = "post/key"
FIRST_RETRY_SECONDS: Final = 1.0
LAST_RETRY_SECONDS: Final = 300.0
_TABLES: Final = (queue, letters, had, received)
_NAME_DIGITS: Final = 32
_AT_ONCE: Final = 1_000
"""Items that are decrypted for one call."""
_REMEMBERED_SECONDS: Final = (2 * KEPT_DAYS + 1) * 86_400.0
"""How long a letter may still come back: it waits, and so does the word of it."""

Sealed = Callable[[str, str, Sequence[Item]], bytes]
"""Letter id, recipient, items: the letter's bytes."""


class OnItsWay(NamedTuple):
    """A letter for the coordinator to take."""

    letter: str
    recipient: str
    data: bytes


class CameBack(NamedTuple):
    """A letter that did not reach its recipient. cases: whose tasks or answers were in it."""

    letter: str
    recipient: str
    cases: tuple[CaseNumber, ...]


def delay(attempts: int) -> float:
    """Seconds until the next attempt: 1, 2, 4 … 300."""
    return min(LAST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2.0 ** min(attempts, 16))


class Outbox:
    """The letters of one node. now: seconds since 1970.

    Any thread or process may queue, receive and confirm; letters are made and stored by one at a time
    (`clients.rights.post.PostCourier`).
    """

    def __init__(self, vault: Vault, now: Callable[[], float]) -> None:
        self._engine, self._now = vault.engine, now
        self._cipher = AESGCM(vault.keep(KEY_RECORD, secrets.token_bytes(KEY_BYTES)))
        try:
            metadata.create_all(self._engine, _TABLES)
        except DatabaseError:  # another process was creating them at the same moment
            metadata.create_all(self._engine, _TABLES)

    # --- out

    def add(self, recipient: str, item: Item, connection: Connection | None = None) -> None:
        """Queue an item, within the caller's transaction if there is one. Raises `MessageInvalid` if too large."""
        sealed = self._seal("queue", recipient, encode_item(item))
        with self._engine.begin() if connection is None else nullcontext(connection) as writing:
            writing.execute(insert(queue).values(recipient=recipient, item=sealed))

    def waiting(self) -> list[str]:
        """For whom there are items in no letter yet."""
        with self._engine.connect() as connection:
            return list(connection.execute(select(queue.c.recipient).distinct()).scalars())

    def pack(self, recipient: str, seal: Sealed) -> bool:
        """Make the next letter to a party of what is queued for it; whether there was anything."""
        query = select(queue.c.number, queue.c.item).where(queue.c.recipient == recipient)
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(queue.c.number).limit(MAX_ITEMS)).all()
        if not rows:
            return False
        plain = [self._open("queue", recipient, row.item) for row in rows]
        count = next(in_letters(map(len, plain)))
        items = [decode_item(data) for data in plain[:count]]
        name = new_letter_id()
        data = seal(name, recipient, items)
        cases = msgspec.msgpack.encode(sorted({_case_of(item) for item in items}))
        with self._engine.begin() as connection:
            connection.execute(delete(queue).where(queue.c.number.in_([row.number for row in rows[:count]])))
            values = {"letter": name, "recipient": recipient, "data": data, "attempts": 0, "due": 0.0}
            values |= {"cases": self._seal("cases", name, cases), "taken": 0.0, "returned": 0.0}
            connection.execute(insert(letters).values(values))
        return True

    def due(self) -> list[OnItsWay]:
        """Letters that the coordinator does not have, and that may be tried now, oldest first; some at a time."""
        open_letters = (letters.c.taken == 0) & (letters.c.returned == 0) & (letters.c.due <= self._now())
        query = select(letters.c.letter, letters.c.recipient, letters.c.data).where(open_letters)
        with self._engine.connect() as connection:
            return [OnItsWay(*row) for row in connection.execute(query.order_by(letters.c.number).limit(16))]

    def taken(self, letter: str) -> None:
        """The coordinator has it on its disk: its content is forgotten here."""
        self._change(letter, data=b"", taken=self._now())

    def again(self, letter: str) -> None:
        """Not now: to be tried later, and each time after twice as long."""
        with self._engine.begin() as connection:
            attempts = connection.execute(
                select(letters.c.attempts).where(letters.c.letter == letter)
            ).scalar_one()
            values = {"attempts": attempts + 1, "due": self._now() + delay(attempts)}
            connection.execute(update(letters).where(letters.c.letter == letter).values(values))

    def came_back(self, letter: str) -> None:
        """It did not reach its recipient, and will not."""
        self._change(letter, data=b"", returned=self._now())

    def undelivered(self) -> list[CameBack]:
        """Letters that came back and were not dealt with (`forget`).

        Only after a while: whoever sends them again at once would have them back at once.
        """
        is_back = (letters.c.returned > 0) & (letters.c.returned <= self._now() - LAST_RETRY_SECONDS)
        query = select(letters.c.letter, letters.c.recipient, letters.c.cases).where(is_back)
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(letters.c.number)).all()
        return [
            CameBack(
                letter,
                recipient,
                tuple(msgspec.msgpack.decode(self._open("cases", letter, cases), type=list[str])),
            )
            for letter, recipient, cases in rows
        ]

    def forget(self, names: Iterable[str]) -> None:
        """These letters that came back have been dealt with."""
        with self._engine.begin() as connection:
            connection.execute(delete(letters).where(letters.c.letter.in_(list(names))))

    def sweep(self) -> None:
        """Forget letters that cannot come back any more."""
        old = (letters.c.taken > 0) & (letters.c.returned == 0)
        old &= letters.c.taken < self._now() - _REMEMBERED_SECONDS
        with self._engine.begin() as connection:
            connection.execute(delete(letters).where(old))

    # --- in

    def has_had(self, sender: str, letter: str) -> bool:
        """Whether this letter has come before from this sender: who names letters alike keeps nobody's away."""
        with self._engine.connect() as connection:
            query = select(func.count()).where(had.c.letter == _name_of(sender, letter))
            return bool(connection.execute(query).scalar_one())

    def store(self, delivered: Delivered, items: Sequence[Item]) -> None:
        """Keep what a letter holds, and that it has come."""
        name, sender = delivered.letter, delivered.sender
        values = [
            {"letter": name, "sender": sender, "item": self._seal("received", sender, encode_item(item))}
            for item in items
        ]
        with self._engine.begin() as connection:
            connection.execute(insert(had).values(letter=_name_of(sender, name)))
            connection.execute(insert(received), values)

    def items(self) -> list[Received]:
        """What has come and is not confirmed, oldest first; some at a time. Raises `SealBroken`."""
        query = select(received.c.number, received.c.sender, received.c.item)
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(received.c.number).limit(_AT_ONCE)).all()
        return [
            _as_received(number, sender, decode_item(self._open("received", sender, item)))
            for number, sender, item in rows
        ]

    def confirm(self, numbers: Iterable[int]) -> None:
        """These items have been taken in."""
        wanted = sorted(numbers)
        with self._engine.begin() as connection:
            for start in range(0, len(wanted), _AT_ONCE):
                block = wanted[start : start + _AT_ONCE]
                connection.execute(delete(received).where(received.c.number.in_(block)))

    def _change(self, letter: str, **values: object) -> None:
        with self._engine.begin() as connection:
            connection.execute(update(letters).where(letters.c.letter == letter).values(**values))

    def _seal(self, kind: str, about: str, plain: bytes) -> bytes:
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, f"{kind}/{about}".encode())

    def _open(self, kind: str, about: str, sealed: bytes) -> bytes:
        try:
            return self._cipher.decrypt(
                sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], f"{kind}/{about}".encode()
            )
        except (InvalidTag, ValueError):
            raise SealBroken("vault_broken", name=f"post/{kind}") from None


def _name_of(sender: str, letter: str) -> str:
    """What a letter that has come is remembered by: SHA-256 of sender and id, cut to 128 bits."""
    return hashlib.sha256(f"{sender}|{letter}".encode()).hexdigest()[:_NAME_DIGITS]


def _case_of(item: Item) -> str:
    return item.answer.case if isinstance(item, Answered) else item.task.case


def _as_received(number: int, sender: str, item: Item) -> Received:
    if isinstance(item, Answered):
        return Received(str(number), sender, item.answer, item.signature)
    return Received(str(number), sender, item.task)
