"""Keys of requests that may come twice, with the answers: for all processes of the coordinator."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator

from sqlalchemy import ColumnElement, Engine, and_, delete, or_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from federation.database import writing
from federation.pace import utc_now
from federation.web.idempotency import KEPT_SECONDS, STUCK_SECONDS, Kept
from server.db.tables import IdempotencyRow


class KeptAnswers:
    """The `Storage` of `federation.web.idempotency`. Any thread and any process may use it."""

    def __init__(self, engine: Engine, now: Callable[[], datetime.datetime] = utc_now) -> None:
        self._engine, self._now = engine, now

    def begin(self, caller: str, key: str, digest: str, claim: str) -> Kept | None:
        """What is known of a caller's key; None when it was free and is now taken for this request."""
        with writing(self._engine) as session:
            self._sweep(session)
            if self._take(session, caller, key, digest, claim):
                return None
            row = session.get(IdempotencyRow, (caller, key))
            if row is None:  # forgotten at this very moment: whoever asks again may take it
                return Kept(digest)
            if not row.status:
                return Kept(row.digest)
            return Kept(row.digest, row.status, row.media_type, row.body)

    def finish(self, caller: str, key: str, kept: Kept, claim: str) -> None:
        """Keep the answer. A request that took so long that its key was free again leaves another's answer alone."""
        with writing(self._engine) as session:
            session.execute(
                update(IdempotencyRow)
                .where(*_claimed(caller, key, claim))
                .values(status=kept.status, media_type=kept.media_type, body=kept.body)
            )

    def forget(self, caller: str, key: str, claim: str) -> None:
        """The request has failed: the key is free again, unless it took so long that another has it."""
        with writing(self._engine) as session:
            session.execute(delete(IdempotencyRow).where(*_claimed(caller, key, claim)))

    def _sweep(self, session: Session) -> None:
        """What is too old, of all callers."""
        now = self._now()
        kept, stuck = (now - datetime.timedelta(seconds=seconds) for seconds in (KEPT_SECONDS, STUCK_SECONDS))
        session.execute(
            delete(IdempotencyRow).where(
                or_(
                    IdempotencyRow.created < kept,
                    and_(IdempotencyRow.status == 0, IdempotencyRow.created < stuck),
                )
            )
        )

    def _take(self, session: Session, caller: str, key: str, digest: str, claim: str) -> bool:
        """Whether the key was free: of several that want it the database lets one in."""
        values = {"caller": caller, "key": key, "digest": digest, "status": 0, "created": self._now()}
        empty = {"media_type": "", "body": claim.encode()}
        if self._engine.dialect.name == "postgresql":
            found = session.scalars(
                postgresql.insert(IdempotencyRow)
                .values(values | empty)
                .on_conflict_do_nothing()
                .returning(IdempotencyRow.key)
            )
        else:
            found = session.scalars(
                sqlite.insert(IdempotencyRow)
                .values(values | empty)
                .on_conflict_do_nothing()
                .returning(IdempotencyRow.key)
            )
        return found.first() is not None


def _claimed(caller: str, key: str, claim: str) -> Iterator[ColumnElement[bool]]:
    """The row that one attempt has taken and still has."""
    yield IdempotencyRow.caller == caller
    yield IdempotencyRow.key == key
    yield IdempotencyRow.status == 0
    yield IdempotencyRow.body == claim.encode()
