"""Letters about an incident, to the authority and to the people, with the three contents of PIPL 57.

(1) which categories of information, what caused it, what harm it may do; (2) what the holder has done, what people can
do; (3) how the holder is reached. A letter that lacks one of them is not written.
"""

from __future__ import annotations

from pathlib import Path

from clients.incidents.register import Incident, Told
from federation.files import replace_file
from privacy.errors import ConfigInvalid
from privacy.texts import LANGUAGES, text


def missing(incident: Incident) -> tuple[str, ...]:
    """What article 57 asks for and nobody has written yet."""
    known = incident.known
    if known is None:
        return ("classification",)
    contents = {
        name: getattr(known, name)
        for name in ("categories", "cause", "harm", "measures", "advice", "contact")
    }
    return tuple(name for name, value in contents.items() if not value or not str(value).strip())


def letter(incident: Incident, told: Told, language: str) -> str:
    """One letter in one language. Raises `ConfigInvalid` that names what is missing."""
    lacking = missing(incident)
    known = incident.known
    if lacking or known is None:
        raise ConfigInvalid("incident_letter", known=", ".join(lacking))
    separator = "、" if language.startswith("zh") else ", "
    listed = separator.join(text(f"catalog.category.{name}", language=language) for name in known.categories)
    contents = text(
        "incidents.letter.contents",
        language=language,
        categories=listed,
        cause=known.cause,
        harm=known.harm,
        measures=known.measures,
        advice=known.advice,
        contact=known.contact,
    )
    noticed = incident.noticed.astimezone().isoformat(" ", "minutes")
    if told is Told.INDIVIDUALS:
        return text("incidents.letter.individuals", language=language, time=noticed, contents=contents)
    people = text(f"incidents.people.{known.people.value}", language=language)
    return text(
        "incidents.letter.authority",
        language=language,
        number=incident.number,
        what=incident.what,
        time=noticed,
        people=people,
        contents=contents,
    )


def write_letters(incident: Incident, told: Told, into: Path) -> list[Path]:
    """A letter in each language: `<told>-<number>.<language>.md`. Raises `ConfigInvalid`."""
    letters = {language: letter(incident, told, language) for language in LANGUAGES}
    into.mkdir(parents=True, exist_ok=True, mode=0o700)
    files = []
    for language, written in letters.items():
        file = into / f"{told.value}-{incident.number[:8]}.{language}.md"
        replace_file(file, written.encode() + b"\n", secret=True)
        files.append(file)
    return files
