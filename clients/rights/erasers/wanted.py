"""The subjects that an eraser looks for, in cells of files and in the matchings that this node has kept."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from copy import copy
from typing import Any, Final

import numpy as np

from clients.finished import read_handle
from clients.rights.located import Located
from clients.rights.needles import HEAD, SEPARATORS, found_in_bytes
from clients.tables.specs import TableSpec
from privacy.digests import IdFormat
from privacy.identifiers import IdentifierKind
from privacy.normalization import Cells, normalize

Integers = np.ndarray[Any, np.dtype[np.int64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]

NOBODY: Final = -1
_SHORTEST_OPAQUE: Final = 12
"""An opaque identifier that is shorter may be an amount in another column."""
_HEAD_BYTES: Final = 8
"""Of a reference: so many are compared at once."""
_WORD: Final = re.compile(r"[+0-9A-Za-z]+")


def _compacted(text: str) -> bytes:
    """Without case and separators."""
    return text.encode("utf-8", "surrogatepass").translate(None, SEPARATORS).upper()


class Wanted:
    """Subjects by everything that a node's files and records call them.

    A subject is looked for in the matchings that its `Located` names, and in every list that names it; one that
    `is_narrowed` in the lists of these matchings alone: a withdrawal from one purpose does not touch what another
    purpose's job has found.
    """

    def __init__(self, spec: TableSpec, subjects: Sequence[Located]) -> None:
        self._spec = spec
        self.subjects = subjects
        identifiers = np.array([one.identifier for one in subjects], dtype=np.bytes_)
        self._ordered, self._first, self._same = np.unique(
            identifiers, return_index=True, return_inverse=True
        )
        self._people = len(self._ordered)
        lengths = np.strings.str_len(self._ordered)
        self.shortest = int(lengths[lengths > 0].min(initial=2**30))
        """No cell of fewer bytes names one of them."""
        texts = (identifier.decode() for identifier in self._ordered.tolist())
        self._compact = {compact for text in texts if len(compact := _compacted(text)) >= HEAD}
        self._names: dict[str, dict[bytes, int]] = {}
        for number, one in enumerate(subjects):
            for name in one.shared:
                self._names.setdefault(name.session, {})[name.ref] = number

    def __len__(self) -> int:
        return len(self.subjects)

    def in_sessions(self, sessions: Collection[str]) -> Wanted:
        """The same list, of which those that are narrowed are looked for in cells only if one of the sessions matched
        them."""
        numbers = [number for name in sessions for number in self._names.get(name, {}).values()]
        chosen = np.array([not one.is_narrowed for one in self.subjects], dtype=np.bool_)
        chosen[numbers] = True
        kept = self.spread(chosen)[self._first]
        narrowed = copy(self)
        narrowed._ordered, narrowed._first = self._ordered[kept], self._first[kept]
        return narrowed

    def of_cells(self, cells: Cells) -> Integers:
        """(n,): the subject that each cell names, in whatever spelling, `NOBODY` for none."""
        spec = self._spec
        found = normalize(spec.id_kind, cells, spec.extra_prefixes, spec.id_format)
        if not len(self._ordered):
            return np.full(len(found), NOBODY, dtype=np.int64)
        places = np.searchsorted(self._ordered, found.identifiers)
        places[places == len(self._ordered)] = 0
        is_one = found.valid & (self._ordered[places] == found.identifiers)
        return np.where(is_one, self._first[places], NOBODY).astype(np.int64)

    def of_texts(self, texts: Sequence[str | None]) -> Integers:
        """(n,): as `of_cells`."""
        return self.of_cells(Cells.of(texts))

    def of_other_texts(self, texts: Sequence[str]) -> Integers:
        """(n,): the subject that a cell of another column is about: it is one's identifier, or a word in it is."""
        found = np.full(len(texts), NOBODY, dtype=np.int64)
        if self._is_short:
            return found
        places = self._suspects(texts)
        cells = [texts[place] for place in places]
        found[places] = self.of_texts(cells)
        words = [
            (place, word) for place, cell in zip(places, cells, strict=True) for word in _WORD.findall(cell)
        ]
        for (place, _), subject in zip(
            words, self.of_texts([word for _, word in words]).tolist(), strict=True
        ):
            if subject != NOBODY and found[place] == NOBODY:
                found[place] = subject
        return found

    def _suspects(self, texts: Sequence[str]) -> list[int]:
        """The cells that hold an identifier when separators are left out, and those that are not ASCII.

        All cells are searched in one piece: most of a table are numbers, and none of these are looked at one by one.
        """
        haystack = _compacted("\0".join(texts))
        ends = np.flatnonzero(np.frombuffer(haystack, np.uint8) == 0)
        if len(ends) != max(len(texts) - 1, 0):  # somebody's cell has a zero byte
            return list(range(len(texts)))
        suspects = {place for place, cell in enumerate(texts) if not cell.isascii()}
        for needle in found_in_bytes(haystack, self._compact):
            start = haystack.find(needle)
            while start >= 0:
                suspects.add(int(np.searchsorted(ends, start)))
                start = haystack.find(needle, start + len(needle))
        return sorted(suspects)

    def numbers(self) -> Integers:
        """The identifiers that a column of whole numbers may hold."""
        if self._is_short:
            return np.empty(0, dtype=np.int64)
        texts = [identifier.decode("latin-1") for identifier in self._ordered.tolist()]
        return np.array([int(text) for text in texts if text.isdigit() and int(text) < 2**63], dtype=np.int64)

    @property
    def _is_short(self) -> bool:
        is_opaque = self._spec.id_kind is IdentifierKind.OPAQUE and self._spec.id_format is IdFormat.PLAIN
        return is_opaque and self.shortest < _SHORTEST_OPAQUE

    def in_handle(self, session: str, handle: bytes) -> Integers:
        """(n,): whose each matched row of a session is, by what the matching calls it."""
        rows, refs = read_handle(handle)
        found = np.full(len(rows), NOBODY, dtype=np.int64)
        names = self._names.get(session, {})
        if names and refs.shape[1]:
            heads = np.ascontiguousarray(refs[:, :_HEAD_BYTES]).view(np.uint64).ravel()
            wanted = np.frombuffer(b"".join(ref[:_HEAD_BYTES] for ref in names), dtype=np.uint64)
            for place in np.flatnonzero(np.isin(heads, wanted)).tolist():
                found[place] = names.get(refs[place].tobytes(), NOBODY)
        return found

    def mask(self, *found: Integers) -> Mask:
        """(m,): which of the subjects are in these lists; one that was given twice is in it twice."""
        mask = np.zeros(len(self.subjects), dtype=np.bool_)
        for one in found:
            mask[one[one != NOBODY]] = True
        return self.spread(mask)

    def spread(self, mask: Mask) -> Mask:
        """(m,): what is true of one is true of the same subject at another place of the list."""
        any_of_same = np.zeros(self._people, dtype=np.bool_)
        np.logical_or.at(any_of_same, self._same, mask)
        return any_of_same[self._same]
