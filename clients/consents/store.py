"""The one source of truth about consents at a node (PIPL articles 13 to 16, 23, 29, 31, 44, 47).

The store lives in the vault's database, on SQLite or PostgreSQL, and may be used by several processes at once.
Cost. On one core, for a million subjects whose states a SQLite file holds: tokens 0.1 s, answers on one need 1 s,
commitments 1.7 s, recording a word of each 6 s; beside the tokens and the result, tens of MiB.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from datetime import date, datetime, time
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, case, distinct, func, insert, select, union, update
from sqlalchemy.exc import DatabaseError, IntegrityError

from clients.backup.suppression import Suppression
from clients.consents import forgetting, subjects
from clients.consents.rows import BLOCK_ROWS, Asked, as_bytes, as_tokens, insert_rows, stored
from clients.consents.tables import (
    Source,
    clock,
    needs,
    notices,
    restrictions,
    states,
    words,
)
from clients.consents.tables import subjects as subject_table
from clients.consents.writing import (
    Words,
    add_subjects,
    advance,
    change,
    find_code,
    need_code,
    notice_code,
    write,
)
from clients.tables.times import NO_MOMENT, moment
from clients.vault import Vault, metadata
from privacy.consent import Answer, ConsentKind, Need, Statement, check_scope
from privacy.identifiers import Identifiers
from privacy.joining import Tokens

Mask = NDArray[np.bool_]


class ConsentStore:
    """Consents and restrictions of a node's subjects, who are named by tokens alone."""

    def __init__(self, vault: Vault) -> None:
        self.engine = vault.engine
        self._secrets = subjects.SubjectSecrets(vault)
        self.suppression = Suppression(vault)
        try:
            metadata.create_all(self.engine)
        except DatabaseError:  # another process was creating them at the same moment
            metadata.create_all(self.engine)
        with suppress(IntegrityError), self.engine.begin() as connection:
            connection.execute(insert(clock).values(id=1, version=0, forgotten=0))

    def tokens(self, kind_label: str, identifiers: Identifiers) -> Tokens:
        """(n, 2): the tokens of canonical identifiers; kind_label: `clients.consents.kind_label` of their table."""
        return self._secrets.tokens(kind_label, identifiers)

    # --- what holds

    def answers(
        self, tokens: Tokens, need: Need, notices: Collection[str], at: datetime
    ) -> NDArray[np.uint8]:
        """(n,) of `Answer`: each subject's latest word on a need as it holds `at` a moment.

        notices: the ids of notices whose consents are valid; a yes to any other is STALE.
        """
        asked = Asked(tokens)
        answers = np.full(len(asked.distinct), Answer.NEVER, np.uint8)
        with self.engine.connect() as connection:
            code = find_code(connection, needs, _fields(need))
            if code is not None:
                valid = _notice_codes(connection, notices)
                answer = case(
                    (~states.c.granted, Answer.WITHDRAWN.value),
                    (_is_over(moment(at)), Answer.EXPIRED.value),
                    (states.c.notice.not_in(valid), Answer.STALE.value),
                    else_=Answer.YES.value,
                )
                query = select(states.c.token, answer).where(states.c.need == code)
                for places, (found,), rows in stored(connection, query, states, asked.distinct):
                    answers[places] = np.array(found, np.uint8)[rows]
        return asked.spread(answers)

    def restricted(self, tokens: Tokens, at: datetime) -> Mask:
        """(n,): whose data nothing but storage and security may touch (article 47): restricted, or deleted before."""
        asked = Asked(tokens)
        mask = np.zeros(len(asked.distinct), np.bool_)
        now = moment(at)
        holds = (restrictions.c.since <= now) & (
            (restrictions.c.lifted == NO_MOMENT) | (restrictions.c.lifted > now)
        )
        query = select(restrictions.c.token).where(holds).distinct()
        with self.engine.connect() as connection:
            for places, _, _ in stored(connection, query, restrictions, asked.distinct):
                mask[places] = True
        return asked.spread(mask | self.suppression.stand(asked.distinct, at))

    def known(self, tokens: Tokens) -> Mask:
        """(n,): who has a place here still; who was forgotten has none."""
        asked = Asked(tokens)
        return asked.spread(~self._salts(asked.distinct)[1])

    def people(self, at: datetime, need: Need | None = None, notices: Collection[str] | None = None) -> int:
        """How many different subjects have a yes that holds, on this need or on any; who was forgotten is not counted.

        notices: None for a yes to any notice. For thresholds that count people.
        """
        query = select(func.count(distinct(states.c.token))).where(states.c.granted, ~_is_over(moment(at)))
        with self.engine.connect() as connection:
            if need is not None:
                code = find_code(connection, needs, _fields(need))
                query = query.where(states.c.need == (-1 if code is None else code))
            if notices is not None:
                query = query.where(states.c.notice.in_(_notice_codes(connection, notices)))
            return int(connection.execute(query).scalar_one())

    # --- what has changed

    @property
    def version(self) -> int:
        """Grows with every change of a consent or a restriction, also by another process; costs less than 1 ms."""
        with self.engine.connect() as connection:
            return int(connection.execute(select(clock.c.version)).scalar_one())

    def changed_since(self, version: int) -> Tokens | None:
        """(m, 2): whose consents or restrictions changed after `version`, sorted, each once.

        None when subjects were forgotten since then: they have no token any more, so everybody is to be asked about.
        """
        with self.engine.connect() as connection:
            if connection.execute(select(clock.c.forgotten)).scalar_one() > version:
                return None
            changed = union(
                select(words.c.token).where(words.c.version > version),
                select(restrictions.c.token).where(restrictions.c.version > version),
            )
            return Asked(as_tokens(connection.execute(changed).scalars().all())).distinct

    # --- changes

    def record(
        self,
        kind_label: str,
        identifiers: Identifiers,
        statement: Statement | Sequence[Statement],
        source: Source,
        at: datetime,
    ) -> int:
        """Store one word of each of these subjects, or several, effective at once; the store's new version.

        A repeated word is stored again: a renewed consent has a new time. A yes lifts the tombstone of a subject that
        was deleted before. Raises `ConfigInvalid` for a scope or a
        recipient that the kind of consent does not have; nothing is stored then.
        """
        statements = [statement] if isinstance(statement, Statement) else statement
        for one in statements:
            check_scope(one)
        tokens = Asked(self.tokens(kind_label, identifiers)).distinct
        with change(self.engine) as (connection, version):
            for one in statements:
                until = NO_MOMENT if one.until is None else moment(one.until)
                numbers = (notice_code(connection, one.notice), moment(at), until)
                given = Words(
                    tokens,
                    np.full(len(tokens), one.granted),
                    *(np.full(len(tokens), number, np.int64) for number in numbers),
                )
                write(connection, version, need_code(connection, one.need), given, source, is_given_here=True)
            if any(one.granted for one in statements):
                self.suppression.lift(connection, tokens)
        return version

    def needs(self) -> list[Need]:
        """Everything that any subject has ever been asked for here."""
        with self.engine.connect() as connection:
            rows = connection.execute(select(needs).order_by(needs.c.code)).all()
        return [Need(row.purpose, ConsentKind(row.kind), row.scope, row.recipient) for row in rows]

    def restrict(
        self, tokens: Tokens, code: str, law: str, since: datetime, review: date | None = None
    ) -> int:
        """Put subjects under a restriction; the store's new version.

        code: why (`Restriction`); law: what demands it; review: when it is to be looked at
        again, at the latest. A restriction for the same reason is replaced.
        """
        distinct_tokens = Asked(tokens).distinct
        values = {
            "code": code,
            "law": law,
            "since": moment(since),
            "review": NO_MOMENT if review is None else moment(datetime.combine(review, time.min)),
            "lifted": NO_MOMENT,
        }
        with change(self.engine) as (connection, version):
            add_subjects(connection, distinct_tokens)
            same = restrictions.delete().where(restrictions.c.code == code)
            forgetting.of_each(connection, same, restrictions, distinct_tokens)
            columns: dict[str, Iterable[Any]] = {name: repeat(value) for name, value in values.items()}
            columns |= {"token": as_bytes(distinct_tokens), "version": repeat(version)}
            insert_rows(connection, restrictions, columns)
            advance(connection, version)
        return version

    def lift(self, tokens: Tokens, at: datetime, code: str | None = None, spared: str = "") -> int:
        """End the restrictions of subjects, for one reason or for all; the store's new version.

        spared: a law whose restrictions stay."""
        with change(self.engine) as (connection, version):
            query = restrictions.update().where(restrictions.c.lifted == NO_MOMENT)
            if code is not None:
                query = query.where(restrictions.c.code == code)
            if spared:
                query = query.where(restrictions.c.law != spared)
            query = query.values(lifted=moment(at), version=version)
            forgetting.of_each(connection, query, restrictions, Asked(tokens).distinct)
            advance(connection, version)
        return version

    def forget(self, tokens: Tokens) -> int:
        """Destroy the salts, words, states and restrictions of subjects; the store's new version.

        Nothing in a SQLite file, nor in its log, holds the tokens afterwards. An import of a file that still names a
        subject makes it known again. Raises `DeadlinePassed` when the files could not be cleared: the subjects are gone
        from all answers then, and forgetting them again clears the files.
        """
        forgotten = Asked(tokens).distinct
        with change(self.engine) as (connection, version):
            forgetting.forget(connection, version, forgotten)
        forgetting.clear_traces(self.engine, as_bytes(forgotten))
        return version

    def forget_words(self, tokens: Tokens) -> int:
        """Destroy what subjects have said, and keep restrictions and salts until `forget`; the store's new version.

        Nobody may use their data meanwhile: there is no yes, and what restricts it stays. Raises as `forget` does.
        """
        forgotten = Asked(tokens).distinct
        with change(self.engine) as (connection, version):
            forgetting.forget(connection, version, forgotten, (words, states))
        forgetting.clear_traces(self.engine, ())  # their tokens stay for now
        return version

    def suppress(self, stones: Tokens, at: datetime) -> int:
        """Subjects were deleted `at` a moment, and stay so (`Suppression.of` them); the store's new version."""
        with change(self.engine) as (connection, version):
            self.suppression.add(connection, stones, at)
            # Tombstones name nobody: whoever looks for changes has to ask about everybody.
            connection.execute(update(clock).values(version=version, forgotten=version))
        return version

    # --- what others may hold of a subject

    def srefs(self, tokens: Tokens, project: str, epoch: int) -> list[str]:
        """What the audit log calls each subject, 64 hexadecimal digits; in two projects or epochs unlinkable.

        A subject that the store does not know becomes known.
        """
        keys = self._keys(tokens)
        return [subjects.sref(key.tobytes(), project, epoch) for key in keys]

    def commitments(self, tokens: Tokens, context: bytes) -> NDArray[np.uint8]:
        """(n, 32): a context committed to under each subject's key, for the leaves of a snapshot tree."""
        return subjects.commitments(self._keys(tokens), context)

    def openings(self, tokens: Tokens) -> subjects.SubjectKeys:
        """(n, 16): the subjects' own keys, which open what was committed to; for the subject's own receipt."""
        return self._keys(tokens)

    def _keys(self, tokens: Tokens) -> subjects.SubjectKeys:
        asked = Asked(tokens)
        salts, unknown = self._salts(asked.distinct)
        if unknown.any():
            new = asked.distinct[unknown]
            for start in range(0, len(new), BLOCK_ROWS):  # one by one, so that a withdrawal comes between
                with change(self.engine) as (connection, _):
                    add_subjects(connection, new[start : start + BLOCK_ROWS])
            salts, _ = self._salts(asked.distinct)
        return asked.spread(self._secrets.keys(salts))

    def _salts(self, asked: Tokens) -> tuple[NDArray[np.uint8], Mask]:
        salts = np.zeros((len(asked), subjects.SALT_BYTES), np.uint8)
        unknown = np.ones(len(asked), np.bool_)
        query = select(subject_table.c.token, subject_table.c.salt)
        with self.engine.connect() as connection:
            for places, (found,), rows in stored(connection, query, subject_table, asked):
                block = np.frombuffer(b"".join(found), np.uint8).reshape(-1, subjects.SALT_BYTES)
                salts[places] = block[rows]
                unknown[places] = False
        return salts, unknown


def _fields(need: Need) -> dict[str, str]:
    return {name: str(value) for name, value in need._asdict().items()}


def _notice_codes(connection: Connection, ids: Collection[str]) -> list[int]:
    return list(connection.execute(select(notices.c.code).where(notices.c.notice.in_(list(ids)))).scalars())


def _is_over(now: int) -> Any:
    return (states.c.until != NO_MOMENT) & (states.c.until <= now)
