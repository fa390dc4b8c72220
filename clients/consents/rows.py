"""Between the database's rows and NumPy: tokens of a million subjects, block by block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, Row, Select, Table, insert

from privacy import joining
from privacy.parameters import TOKEN_BYTES

BLOCK_ROWS: Final = 2**16
READ_ROWS: Final = 2**9
"""More rows at once no longer fit the cache, and cost twice the time."""
_POINT_ROWS: Final = 2_000
"""So many subjects are looked up one by one; for more, reading all rows of the table is faster."""
TOKENS_PER_QUERY: Final = 500
"""Below the 999 parameters that any SQLite takes."""

Block = tuple[joining.Tokens, tuple[tuple[Any, ...], ...]]
"""(k, 2) tokens in order, and the other columns, (k,) each."""


def as_bytes(tokens: joining.Tokens) -> list[bytes]:
    """Tokens as the database holds them."""
    data = joining.dump(tokens)
    return [data[start : start + TOKEN_BYTES] for start in range(0, len(data), TOKEN_BYTES)]


def as_tokens(rows: Sequence[bytes]) -> joining.Tokens:
    """Inverse of `as_bytes`."""
    return joining.tokens_of(np.frombuffer(b"".join(rows), np.uint8).reshape(-1, TOKEN_BYTES))


class Asked:
    """Tokens that are looked up: in any order, perhaps repeated. distinct: (m, 2), sorted, each once."""

    def __init__(self, tokens: joining.Tokens) -> None:
        ordered, self._order = joining.sort(tokens)
        is_first = np.ones(len(ordered), np.bool_)
        is_first[1:] = ~joining.repeats(ordered)
        self.distinct = ordered[is_first]
        self._rank = np.cumsum(is_first) - 1

    def spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """(m, ...) values of the distinct tokens to (n, ...), in the order in which they were asked."""
        spread = np.empty((len(self._order), *values.shape[1:]), values.dtype)
        spread[self._order] = values[self._rank]
        return spread


def stored(
    connection: Connection, query: Select[Any], table: Table, asked: joining.Tokens
) -> Iterator[tuple[NDArray[np.int64], tuple[tuple[Any, ...], ...], NDArray[np.int64]]]:
    """Where the asked tokens stand in a table: (places among the asked, columns of the block, rows of the block).

    query: selects the token first, at most one row per token. asked: sorted, each once.
    """
    for tokens, columns in _blocks(connection, query, table.c.token, asked):
        first, last = tokens[0, 0], tokens[-1, 0]
        start = int(np.searchsorted(asked[:, 0], first, "left"))
        stop = int(np.searchsorted(asked[:, 0], last, "right"))
        if start < stop:
            places, rows = joining.intersect([asked[start:stop], tokens])
            yield places + start, columns, rows


def insert_rows(connection: Connection, table: Table, columns: Mapping[str, Iterable[Any]]) -> None:
    """Insert rows given column by column; a column may be endless, but not all of them.

    A driver with positional parameters takes them as they are, which is three times faster.
    """
    statement = insert(table).compile(dialect=connection.dialect, column_keys=list(columns))
    if statement.positiontup is None:
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=False)]
        if rows:
            connection.execute(insert(table), rows)
        return
    plain = list(zip(*(columns[name] for name in statement.positiontup), strict=False))
    if plain:
        connection.exec_driver_sql(str(statement), plain)


def _blocks(
    connection: Connection, query: Select[Any], token: ColumnElement[bytes], asked: joining.Tokens
) -> Iterator[Block]:
    if len(asked) <= _POINT_ROWS:
        wanted = as_bytes(asked)
        for start in range(0, len(wanted), TOKENS_PER_QUERY):
            part = query.where(token.in_(wanted[start : start + TOKENS_PER_QUERY])).order_by(token)
            if rows := connection.execute(part).fetchall():
                yield _block(rows)
        return
    first, last = as_bytes(asked[[0, -1]])
    query = query.where(token >= first, token <= last).order_by(token)
    streamed = connection.execute(query, execution_options={"yield_per": READ_ROWS})
    for rows in streamed.partitions():
        yield _block(rows)


def _block(rows: Sequence[Row[Any]]) -> Block:
    first, *columns = zip(*rows, strict=True)
    return as_tokens(first), tuple(columns)
