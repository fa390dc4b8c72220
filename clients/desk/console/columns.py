"""What the columns of a file are: suggested from their first rows and names, and as a person then says it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from clients.home import NodeHome
from clients.tables import ColumnSchema, FieldSpec, TableSpec, read_schema
from privacy.catalog import Catalog
from privacy.errors import ConfigInvalid
from privacy.identifiers import IdentifierKind

FOLDER: Final = "tables"
"""Of the node's home: where a file for a new registration may be put."""
SUFFIXES: Final = frozenset({".csv", ".parquet"})
_LONG_NUMBER: Final = re.compile(r"\d{6}")
"""A column that is called so is a row: the file has no header, and its first person must not be shown."""


class Part(StrEnum):
    """What a column is (`desk.part.<value>` in the texts)."""

    IDENTIFIER = "identifier"
    LABEL = "label"
    FIELD = "field"
    CATEGORY = "category"
    AGE = "age"
    BIRTH_DATE = "birth_date"
    GENDER = "gender"
    REGION = "region"
    RETAIN_UNTIL = "retain_until"
    IGNORE = "ignore"


_ONE_OF: Final = {
    Part.IDENTIFIER: "id_column",
    Part.LABEL: "label_column",
    Part.AGE: "age_column",
    Part.BIRTH_DATE: "birth_date_column",
    Part.GENDER: "gender_column",
    Part.REGION: "region_column",
    Part.RETAIN_UNTIL: "retain_until_column",
}
"""Parts of which a table has one at most, and where its registration names it."""


class Found(NamedTuple):
    """A column of the file, and what it seems to be."""

    schema: ColumnSchema
    part: Part


def files_of(home: NodeHome) -> dict[str, Path]:
    """Files that may be registered, by name: beside the present table and in the home's own folder.

    Nobody types a path: a page must not read what else lies on this machine.
    """
    folders = (Path(home.settings.table.path).parent, home.folder / FOLDER)
    found = (file for folder in folders if folder.is_dir() for file in sorted(folder.iterdir()))
    return {file.name: file.resolve() for file in found if file.is_file() and file.suffix in SUFFIXES}


def file_named(home: NodeHome, name: str) -> Path:
    """One of them. Raises `ConfigInvalid`."""
    found = files_of(home).get(name)
    if found is None:
        raise ConfigInvalid("file_missing", file=name)
    return found


def columns_of(home: NodeHome, file: Path) -> list[Found]:
    """The columns of a file. Raises `SchemaMismatch`; `ConfigInvalid` for a file without a header."""
    spec, catalog = home.settings.table, Catalog.load()
    schema = read_schema(str(file), spec.extra_prefixes)
    if any(_LONG_NUMBER.search(column.name) for column in schema.columns):
        raise ConfigInvalid("desk_table_no_header", file=file.name)
    known = _parts_of(spec)
    found: list[Found] = []
    for column in schema.columns:
        has_identifier = any(one.part is Part.IDENTIFIER for one in found)
        part = known.get(column.name) or _guess(column, catalog)
        found.append(Found(column, Part.IGNORE if part is Part.IDENTIFIER and has_identifier else part))
    return found


def spec_of(home: NodeHome, file: Path, id_kind: str, parts: Mapping[str, str]) -> TableSpec:
    """A registration from what a person has said. parts: by column, in the file's order.

    What the page does not ask for (ranges, transforms, the consent log) is kept from the present registration. Raises
    `ConfigInvalid`.
    """
    present = home.settings.table
    try:
        said = {column: Part(part) for column, part in parts.items()}
        kind = IdentifierKind(id_kind)
    except ValueError:
        raise ConfigInvalid("desk_table_part_unknown") from None
    named: dict[str, str | None] = dict.fromkeys(_ONE_OF.values())
    for column, part in said.items():
        place = _ONE_OF.get(part)
        if place is None:
            continue
        if named[place] is not None:
            raise ConfigInvalid("desk_table_part_twice")
        named[place] = column
    if named["id_column"] is None:
        raise ConfigInvalid("desk_table_identifier")
    before = {item.name: item for item in present.fields}
    wanted = [column for column, part in said.items() if part in (Part.FIELD, Part.CATEGORY)]
    changes = {
        **named,
        "path": str(file),
        "id_kind": kind,
        "fields": tuple(before.get(column) or FieldSpec(name=column) for column in wanted),
        "categorical_fields": tuple(column for column in wanted if said[column] is Part.CATEGORY),
    }
    return msgspec.structs.replace(present, **changes)


def _parts_of(spec: TableSpec) -> dict[str, Part]:
    named = {getattr(spec, place): part for part, place in _ONE_OF.items()}
    parts = {column: part for column, part in named.items() if column is not None}
    for item in spec.fields:
        parts[item.name] = Part.CATEGORY if item.name in spec.categorical_fields else Part.FIELD
    return parts


def _guess(column: ColumnSchema, catalog: Catalog) -> Part:
    if column.looks_like is not None:
        return Part.IDENTIFIER
    found = catalog.classify(column.name)
    is_number = column.type == "number"
    return Part.FIELD if is_number and (found is None or not found.is_prohibited) else Part.IGNORE
