"""Registering a table, step by step: its file, what each column is, the class of each field, the check, the yes.

Each step's answer travels in the next page's form; nothing is kept here between two steps, and nothing is registered
that has not just been checked whole. No page shows a cell.
"""

from __future__ import annotations

from typing import Final

import msgspec
from fastapi import FastAPI, Request, Response

from clients.desk.console.columns import Part, columns_of, file_named, files_of, spec_of
from clients.desk.console.services import Desk, Form, word
from clients.desk.console.table import catalog_in_force, lines_of, register, with_kinds
from clients.tables import TableSpec, validate
from clients.tables.problems import refuse
from federation.web.guard import Current, needs
from privacy.access import Permission
from privacy.errors import ConfigInvalid
from privacy.identifiers import IdentifierKind

_START: Final = "/desk/register"
_MOST_COLUMNS: Final = 200


def add_registering(app: FastAPI, desk: Desk) -> None:
    """The routes."""
    home, pages = desk.home, desk.pages
    may = [needs(Permission.TABLES_REGISTER)]

    @app.get(_START, dependencies=may)
    def choose(request: Request) -> Response:
        return pages.render(
            request, "clients.desk.console:register_file.html.j2", files=sorted(files_of(home))
        )

    @app.post(_START + "/columns", dependencies=may)
    def columns(request: Request, form: Form) -> Response:
        file = file_named(home, word(form, "file"))
        found = columns_of(home, file)
        if len(found) > _MOST_COLUMNS:
            raise ConfigInvalid("desk_table_columns", most=_MOST_COLUMNS)
        likely = next((one.schema.looks_like for one in found if one.part is Part.IDENTIFIER), None)
        return pages.render(
            request,
            "clients.desk.console:register_columns.html.j2",
            file=file.name,
            found=found,
            parts=[*Part],
            kinds=[*IdentifierKind],
            kind=likely or home.settings.table.id_kind,
        )

    @app.post(_START + "/classes", dependencies=may)
    def classes(request: Request, form: Form) -> Response:
        file = file_named(home, word(form, "file"))
        columns = [one.schema.name for one in columns_of(home, file)]
        parts = {column: word(form, f"part-{place}") for place, column in enumerate(columns)}
        spec = spec_of(home, file, word(form, "id_kind"), parts)
        catalog = catalog_in_force(home)
        return pages.render(
            request,
            "clients.desk.console:register_classes.html.j2",
            spec=spec,
            carried=_carried(spec),
            lines=lines_of(catalog, spec),
            classes=catalog.classes,
        )

    @app.post(_START + "/check", dependencies=may)
    def check(request: Request, form: Form) -> Response:
        if word(form, "confirmed") != "yes":
            raise ConfigInvalid("desk_classes_unconfirmed")
        spec = _spec_in(desk, form)
        kinds = {item.name: word(form, f"kind-{place}") for place, item in enumerate(spec.fields)}
        spec = with_kinds(spec, kinds)
        return pages.render(
            request,
            "clients.desk.console:register_check.html.j2",
            spec=spec,
            carried=_carried(spec),
            lines=lines_of(catalog_in_force(home), spec),
            report=validate(spec),
        )

    @app.post(_START, dependencies=may)
    def finish(request: Request, caller: Current, form: Form) -> Response:
        spec = _spec_in(desk, form)
        refuse(spec.path, list(validate(spec).problems))
        register(desk, spec, caller.name)
        return pages.lead_on(request, "/desk/table", key="desk.table.registered", count=len(spec.fields))


def _carried(spec: TableSpec) -> str:
    return msgspec.json.encode(spec).decode()


def _spec_in(desk: Desk, form: Form) -> TableSpec:
    """The registration in a form, of a file that may be registered. Raises `msgspec.MsgspecError`, `ConfigInvalid`."""
    spec = msgspec.json.decode(word(form, "spec"), type=TableSpec)
    present = desk.home.settings.table
    if spec.path not in {str(file) for file in files_of(desk.home).values()}:
        raise ConfigInvalid("file_missing", file="-")
    # The form is the browser's: where the consents lie is not for it to say.
    return msgspec.structs.replace(spec, consents=present.consents)
