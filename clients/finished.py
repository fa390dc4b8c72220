"""What a party's vault keeps of a job for every matched row, and how rows leave it: all of it in one transaction.

Records under `job/<session>/`: the handle (own places in the file, subject references, and the consent store's tokens),
points and scores, which of the rows train, and their segments. They all have the same n rows in the same order.
A place means somebody only in the file that the job has read; by a token the row's subject is found in any later one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
import numpy as np

from clients.vault import Vault
from privacy import joining
from privacy.errors import SealBroken
from privacy.parameters import TOKEN_BYTES
from privacy.rights import REF_BYTES

Mask = np.ndarray[Any, np.dtype[np.bool_]]
Integers = np.ndarray[Any, np.dtype[np.int64]]

HANDLE: Final = "handle"
SEGMENTS: Final = "segments"
TRAIN_ROWS: Final = "train_rows"
"""The record of which matched rows train: their aligned places."""
PER_ROW: Final = {"points": np.int32, "scores": np.float64}
"""Records with one number per matched row, and its type."""
NOBODY: Final[Mapping[str, Any]] = {"points": np.iinfo(np.int32).min, "scores": np.nan, SEGMENTS: -1}
"""What stands in a record where a row's own value has been taken out and the row itself has not left yet."""
_TOKENS: Final = "tokens"
NO_TOKEN: Final = bytes(TOKEN_BYTES)
"""Of a row of which nobody knows whose it is."""
OF_ROWS: Final = (HANDLE, SEGMENTS, TRAIN_ROWS, *PER_ROW)
_JOB: Final = "job/"


def record_name(session: str, name: str) -> str:
    """Of a job's record in the vault."""
    return f"{_JOB}{session}/{name}"


def sessions_with(vault: Vault, record: str) -> list[str]:
    """The sessions that have such a record, sorted."""
    names = (name.removeprefix(_JOB).split("/", 1) for name in vault.names(_JOB))
    return [session for session, name in names if name == record]


def read_handle(data: bytes) -> tuple[Integers, np.ndarray[Any, np.dtype[np.uint8]]]:
    """Inverse of `clients.artefacts.Artefacts.handle`: (n,) places in the file, and (n, `REF_BYTES`) references.

    The references are (n, 0) where a job was not matched for real.
    """
    handle = msgspec.msgpack.decode(data)
    rows = np.frombuffer(handle["rows"], dtype=np.int64)
    refs = np.frombuffer(handle["subject_refs"], dtype=np.uint8)
    return rows, refs.reshape(len(rows), 0 if len(rows) and not len(refs) else REF_BYTES)


def read_tokens(data: bytes) -> joining.Tokens:
    """(n, 2): what the consent store calls the subjects of a handle's rows. Zeros where nobody knows whose a row is: of
    a job that kept no tokens.
    """
    handle = msgspec.msgpack.decode(data)
    kept = handle.get(_TOKENS) or bytes(len(handle["rows"]) // 8 * TOKEN_BYTES)
    return joining.tokens_of(np.frombuffer(kept, dtype=np.uint8).reshape(-1, TOKEN_BYTES))


def matchings(vault: Vault) -> Iterator[tuple[str, bytes]]:
    """By session, the handles that name people; those whose time is over as well, until they are removed."""
    for session in sessions_with(vault, HANDLE):
        for data in vault.held([record_name(session, HANDLE)]).values():
            if read_handle(data)[1].shape[1]:
                yield session, data


def is_named(tokens: joining.Tokens) -> Mask:
    """(n,): of which rows it is known whose they are."""
    named: Mask = (tokens != 0).any(axis=1)
    return named


def unnamed_sessions(vault: Vault) -> frozenset[str]:
    """The sessions whose matching has rows of which it is not known whose they are."""
    return frozenset(session for session, data in matchings(vault) if not is_named(read_tokens(data)).all())


def handle_of(rows: Integers, refs: np.ndarray[Any, np.dtype[np.uint8]], tokens: joining.Tokens) -> bytes:
    """What `read_handle` and `read_tokens` read. The tokens are this party's own, and no other ever sees them."""
    handle = {"rows": rows, "subject_refs": np.ascontiguousarray(refs)}
    return msgspec.msgpack.encode(
        {name: values.tobytes() for name, values in handle.items()} | {_TOKENS: joining.dump(tokens)}
    )


def remove_rows(vault: Vault, session: str, gone: Mask) -> list[bytes]:
    """Rows leave every record of a session that has a value per row.

    gone: (n,) over the rows that the records have. Returns what `Vault.edit` does. Raises `SealBroken` for a record of
    another length; nothing has changed then.
    """
    prefix = record_name(session, "")

    def change(stored: Mapping[str, bytes]) -> dict[str, bytes | None]:
        return {name: without(name.removeprefix(prefix), data, gone) for name, data in stored.items()}

    return vault.edit([prefix + name for name in OF_ROWS], change)


def without(name: str, data: bytes, gone: Mask) -> bytes:
    """A record's content without some of its n rows. Raises `SealBroken`."""
    if name == HANDLE:
        rows, refs = read_handle(data)
        stays = _staying(name, rows, gone)
        return handle_of(rows[stays], refs[stays], read_tokens(data)[stays])
    if name == TRAIN_ROWS:
        trains = np.zeros(len(gone), dtype=np.bool_)
        try:
            trains[np.frombuffer(data, dtype=np.int64)] = True
        except IndexError:
            raise SealBroken("vault_broken", name=name) from None
        return np.flatnonzero(trains[~gone]).tobytes()
    values = per_row(name, data)
    return with_values(name, data, values[_staying(name, values, gone)])


def per_row(name: str, data: bytes) -> np.ndarray[Any, Any]:
    """(n,) of a record with a number per row: a writable copy."""
    if name == SEGMENTS:
        return np.frombuffer(msgspec.msgpack.decode(data)["assignments"], dtype=np.int64).copy()
    return np.frombuffer(data, dtype=PER_ROW[name]).copy()


def with_values(name: str, data: bytes, values: np.ndarray[Any, Any]) -> bytes:
    """The record with other numbers per row; what else it holds stays."""
    if name == SEGMENTS:
        return msgspec.msgpack.encode(msgspec.msgpack.decode(data) | {"assignments": values.tobytes()})
    return values.tobytes()


def _staying(name: str, values: np.ndarray[Any, Any], gone: Mask) -> Mask:
    if len(values) != len(gone):
        raise SealBroken("vault_broken", name=name)
    return ~gone
