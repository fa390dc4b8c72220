"""Equal identifiers found without a dictionary of strings: by 128-bit tokens under a key that nobody keeps.

Equal tokens mean equal identifiers (`privacy.parameters.TOKEN_BYTES`), and since the key is drawn afresh for every
join no file can be written so that tokens of different identifiers collide.
"""

from __future__ import annotations

import secrets
from typing import Any, Final

import numpy as np

from privacy import joining
from privacy.cmac import KEY_BYTES, BatchCmac
from privacy.identifiers import Identifiers

_ROWS_AT_ONCE: Final = 2**20
"""Tokens of 50 million identifiers take 0.8 GB: they are made where they stay, without a copy of the whole."""

Positions = np.ndarray[Any, np.dtype[np.int64]]


def repeated(identifiers: Identifiers) -> Positions:
    """The places of those that come again later, in any order."""
    return repetitions(identifiers)[0]


def repetitions(identifiers: Identifiers) -> tuple[Positions, Positions]:
    """Every place whose identifier comes again, and the next place where it does, in any order."""
    tokens, order = joining.sort(_tokens(identifiers))
    is_same = joining.repeats(tokens)
    return order[:-1][is_same], order[1:][is_same]


def latest_of(subjects: Identifiers, statements: Identifiers) -> Positions:
    """(n,): for each subject, all different, its last place among the statements, -1 where it has none."""
    # Equal tokens keep their order in the sort: a subject comes right after the last of its statements.
    tokens, order = joining.sort(_tokens(statements, subjects))
    n_statements = len(statements)
    is_same = joining.repeats(tokens)
    is_same &= (order[1:] >= n_statements) & (order[:-1] < n_statements)
    latest = np.full(len(subjects), -1, dtype=np.int64)
    latest[order[1:][is_same] - n_statements] = order[:-1][is_same]
    return latest


def _tokens(*lists: Identifiers) -> joining.Tokens:
    """The tokens of all lists, one list after the other."""
    keyed = BatchCmac(secrets.token_bytes(KEY_BYTES))
    tokens = np.empty((sum(map(len, lists)), 2), dtype=np.uint64)
    end = 0
    for identifiers in lists:
        for start in range(0, len(identifiers), _ROWS_AT_ONCE):
            digests = keyed.digest(identifiers[start : start + _ROWS_AT_ONCE])
            tokens[end : end + len(digests)] = joining.tokens_of(digests)
            end += len(digests)
    return tokens
