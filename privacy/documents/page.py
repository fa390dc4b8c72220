"""A document in one language, as Markdown, with places that only a human can fill in.

A place stands between two comments that Markdown does not show, `<!--fill 3-->` and `<!--/fill 3-->`. What a human
writes there is no change of the document. The first place is the mark that it is a draft: counsel's review replaces it.
The last line holds the digests of the policy and of everything above it with all places emptied. The digests of
documents that a policy records never enter a document, so that neither depends on the other.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from privacy.texts import LANGUAGES, text

_PLACE: Final = re.compile(r"<!--fill (\d+)-->(.*?)<!--/fill \1-->", re.DOTALL)
_SPECIAL: Final = re.compile(r"([\\`*_\[\]<>|#~])")
_PLAIN_NAME: Final = re.compile(r"[\w.:/-]+")
_SEAL: Final = re.compile(r"`([0-9a-f]{64})`[^`\n]*`([0-9a-f]{64})`[^`\n]*\n?\Z")
_MARK_OF_ORDER: Final = "\ufeff"


class Markup(str):
    """Markdown of ours, which is not escaped again."""

    __slots__ = ()


def plain(value: object) -> str:
    """One line of a policy's own words, with nothing in it that Markdown or HTML would take for its own."""
    if isinstance(value, Markup):
        return value
    return _SPECIAL.sub(r"\\\1", " ".join(str(value).split()))


def name(value: str) -> Markup:
    """A name, as code where it has nothing but letters, digits and a few signs."""
    return Markup(f"`{value}`" if _PLAIN_NAME.fullmatch(value) else plain(value))


def names(values: Iterable[str]) -> Markup:
    """Several names, or a dash."""
    return Markup(", ".join(name(value) for value in values) or "–")


@dataclass(frozen=True, slots=True)
class Document:
    """One generated document.

    name: of its file. content: UTF-8, with the line of digests. digest: `digest_of` what is above that line.
    places: what a human has to fill in, in order, counsel's review first.
    """

    name: str
    language: str
    content: bytes
    digest: str
    places: tuple[str, ...]


class Page:
    """A document that is being written."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._parts: list[str] = []
        self._places: list[str] = []

    def phrase(self, key: str, /, **values: object) -> Markup:
        """The document text named `key`; values that are not `Markup` are escaped."""
        shown = {item: plain(value) for item, value in values.items()}
        return Markup(text(f"documents.{key}", language=self.language, **shown))

    def place(self, key: str, /, **values: object) -> Markup:
        """A place for a human; `key` names what belongs there."""
        self._places.append(self.phrase(f"place.{key}", **values))
        number = len(self._places)
        return _place(number, _mark(number))

    def given(self, value: str, key: str, /, **values: object) -> Markup:
        """What the policy says, or a place where it says nothing."""
        return Markup(plain(value)) if value.strip() else self.place(key, **values)

    def heading(self, key: str, /, **values: object) -> None:
        self._parts.append(f"## {self.phrase(key, **values)}")

    def title(self, key: str, /, **values: object) -> None:
        """The document's title, and under it that it is a draft."""
        self._parts.append(f"# {self.phrase(key, **values)}")
        self._places.append(self.phrase("place.review"))
        self._parts.append(_place(1, _draft(self.language)))

    def paragraph(self, key: str, /, **values: object) -> None:
        self._parts.append(self.phrase(key, **values).rstrip())

    def items(self, lines: Iterable[str]) -> None:
        """A list. lines: Markdown."""
        self._parts.append("\n".join(f"- {line}" for line in lines))

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """columns: keys of their titles under `column.`; cells that are not `Markup` are escaped."""
        titles = [self.phrase(f"column.{key}") for key in columns]
        cells = [[plain(cell) for cell in row] for row in rows]
        lines: list[Sequence[str]] = [titles, ["---"] * len(titles), *cells]
        self._parts.append("\n".join(f"| {' | '.join(line)} |" for line in lines))

    def finish(self, file: str, policy_digest: str) -> Document:
        """The document, with the list of its places and its digests. file: its name."""
        self.heading("places")
        self.paragraph("places_open")
        self._parts.append("\n".join(f"{row}. {place}" for row, place in enumerate(self._places, 1)))
        above = "\n\n".join(self._parts) + "\n\n"
        digest = digest_of(above)
        seal = self.phrase("seal", policy=name(policy_digest), document=name(digest))
        return Document(file, self.language, f"{above}{seal}\n".encode(), digest, tuple(self._places))


def _place(number: int, content: str) -> Markup:
    return Markup(f"<!--fill {number}-->{content}<!--/fill {number}-->")


def _mark(number: int) -> str:
    return f"**【{number}】**"


def _draft(language: str) -> str:
    """What stands in the first place until somebody has reviewed the document."""
    return f"{_mark(1)} {text('documents.draft', language=language)}"


def digest_of(above: str) -> str:
    """SHA-256, in hexadecimal, of what is above the line of digests, with all places emptied."""
    return hashlib.sha256(emptied(above).encode()).hexdigest()


def decoded(content: bytes) -> str:
    """A published document with one kind of line end. Raises `UnicodeDecodeError` when it is not UTF-8."""
    return content.decode().removeprefix(_MARK_OF_ORDER).replace("\r\n", "\n")


def emptied(written: str) -> str:
    """A document without what stands in its places."""
    return _PLACE.sub(lambda found: _place(int(found[1]), ""), written)


def open_places(content: bytes) -> int:
    """How many places nobody has filled in."""
    found = _PLACE.findall(content.decode(errors="replace"))
    return sum(not inside.strip() or _mark(int(number)) in inside for number, inside in found)


def is_untouched(content: bytes) -> bool:
    """Whether a file is as it was generated, under whatever policy: nobody has written in it."""
    try:
        above, sealed = parted(content.decode())
    except UnicodeDecodeError:
        return False
    drafts = {_draft(language) for language in LANGUAGES}
    marks = [
        inside == _mark(int(number)) or (number == "1" and inside in drafts)
        for number, inside in _PLACE.findall(above)
    ]
    return all(marks) and digest_of(above) == sealed


def parted(written: str) -> tuple[str, str]:
    """(what is above the line of digests, the document digest in that line); "" where there is no such line."""
    found = _SEAL.search(written)
    if found is None:
        return written, ""
    return written[: written.rfind("\n", 0, found.start()) + 1], found[2]


def sections(above: str) -> dict[str, str]:
    """The text under each heading of the second level, the title's part under "#"."""
    first, *rest = re.split(r"^## ", above, flags=re.MULTILINE)
    return {"#": first} | {part.split("\n", 1)[0]: part for part in rest}
