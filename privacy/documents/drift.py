"""Whether what was published is still what the policy says (PIPL article 7: open rules)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

import msgspec

from privacy.documents.agreement import agreement_of
from privacy.documents.assessment import assessment_of
from privacy.documents.material import Material
from privacy.documents.notice import notice_of
from privacy.documents.page import Document, decoded, digest_of, emptied, parted, sections
from privacy.texts import LANGUAGES

_SUFFIX = ".md"


def documents_of(material: Material, languages: Iterable[str] = LANGUAGES) -> tuple[Document, ...]:
    """Every document of a policy: per purpose a notice and an assessment, and each agreement; in each language."""
    return tuple(
        document
        for language in languages
        for document in (
            *(notice_of(material, purpose, language) for purpose in material.policy.purposes),
            *(assessment_of(material, purpose, language) for purpose in material.policy.purposes),
            *(agreement_of(material, agreement, language) for agreement in material.policy.agreements),
        )
    )


class DriftKind(StrEnum):
    """What is wrong with a published document."""

    MISSING = "missing"
    """It is published in no language."""
    OUTDATED = "outdated"
    """The policy, the catalogue or the wording has changed since it was generated."""
    ALTERED = "altered"
    """Somebody has changed it outside the places that are to be filled in, or its line of digests is gone."""
    SURPLUS = "surplus"
    """No purpose and no agreement of the policy has such a document."""


class Drift(msgspec.Struct, frozen=True):
    """One difference. sections: the headings under which the text differs, "#" for the head of the document."""

    name: str
    kind: DriftKind
    sections: tuple[str, ...] = ()


def drift(material: Material, published: Mapping[str, bytes]) -> list[Drift]:
    """What differs between published documents and those that the live policy generates; empty when nothing does.

    published: content by file name, as `documents_of` names them; other names than `*.md` are left alone. What humans
    have filled in is no difference, nor is another policy under which the document is word for word the same.
    """
    expected = {document.name: document for document in documents_of(material)}
    found = [
        Drift(name, DriftKind.SURPLUS)
        for name in sorted(published)
        if name.endswith(_SUFFIX) and name not in expected
    ]
    for name, document in expected.items():
        if name in published:
            found += _compared(document, published[name])
        elif document.language == LANGUAGES[0] and not any(twin in published for twin in _twins(name)):
            found.append(Drift(name, DriftKind.MISSING))
    return found


def _twins(name: str) -> list[str]:
    """The same document in the other languages."""
    stem = name.removesuffix(f".{LANGUAGES[0]}{_SUFFIX}")
    return [f"{stem}.{language}{_SUFFIX}" for language in LANGUAGES[1:]]


def _compared(document: Document, content: bytes) -> list[Drift]:
    wanted, _ = parted(emptied(document.content.decode()))
    try:
        above, sealed = parted(emptied(decoded(content)))
    except UnicodeDecodeError:
        return [Drift(document.name, DriftKind.ALTERED)]
    if sealed and above == wanted:
        return []
    kind = DriftKind.OUTDATED if digest_of(above) == sealed else DriftKind.ALTERED
    return [Drift(document.name, kind, _differing(sections(above), sections(wanted)))]


def _differing(one: Mapping[str, str], other: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(title for title in dict.fromkeys([*other, *one]) if one.get(title) != other.get(title))
