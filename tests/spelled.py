"""Normalised identifiers as Python text, for tests that compare lists."""

from __future__ import annotations

from collections.abc import Sequence

from privacy.digests import IdFormat
from privacy.identifiers import IdentifierKind, Identifiers
from privacy.normalization import Cells, NormalizedIdentifiers, normalize


def texts_of(identifiers: Identifiers) -> list[str]:
    return [identifier.decode() for identifier in identifiers.tolist()]


def spelled(found: NormalizedIdentifiers) -> list[str | None]:
    """One text per cell, None where there is no identifier."""
    pairs = zip(texts_of(found.identifiers), found.valid.tolist(), strict=True)
    return [text if is_valid else None for text, is_valid in pairs]


def spell(
    kind: IdentifierKind,
    values: Sequence[str | None],
    extra_prefixes: Sequence[str] = (),
    id_format: IdFormat = IdFormat.PLAIN,
) -> list[str | None]:
    return spelled(normalize(kind, Cells.of(values), extra_prefixes, id_format))
