"""The registered table as this node has it, and the class of each of its fields, which a person may change."""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

import msgspec
from fastapi import FastAPI, Request, Response

from clients.desk.console.services import Desk, Form, word
from clients.gate.policy import active_policy, catalog_of
from clients.home import NodeHome, NodeSettings
from clients.tables import FieldSpec, TableSpec, validate
from federation.web.guard import Current, needs
from privacy.access import Permission
from privacy.audit import EventType
from privacy.catalog import Catalog, FieldClass
from privacy.errors import ConfigInvalid, Denied

_TABLE: Final = "/desk/table"
_FIELDS: Final = "/desk/fields"


class FieldLine(NamedTuple):
    """A field, the class that it counts as, and the one that its name tells (None: none)."""

    spec: FieldSpec
    found: FieldClass | None
    suggested: FieldClass | None

    @property
    def is_outweighed(self) -> bool:
        """Whether the name tells of something that the registration cannot declare away."""
        return bool(self.spec.kind) and (self.found is None or self.found.key != self.spec.kind)


def lines_of(catalog: Catalog, spec: TableSpec) -> list[FieldLine]:
    """The fields of a registration with their classes."""
    return [
        FieldLine(item, catalog.of_column(item.name, item.kind), catalog.classify(item.name))
        for item in spec.fields
    ]


def catalog_in_force(home: NodeHome) -> Catalog:
    """The catalogue with the policy's overrides, or as it comes where there is no policy."""
    try:
        return catalog_of(active_policy(home))
    except Denied:
        return Catalog.load()


def register(desk: Desk, spec: TableSpec, who: str) -> None:
    """Put a registration into `node.toml`, after the log has it. Raises `LogUnavailable`."""
    digest = hashlib.sha256(msgspec.json.encode(spec, order="deterministic")).hexdigest()
    desk.home.audit.append(
        EventType.FIELD_CLASSIFIED,
        actor=who,
        artefact="table",
        numbers={"fields": len(spec.fields)},
        digests={"registration": digest},
    )
    settings: NodeSettings = msgspec.structs.replace(desk.home.settings, table=spec)
    desk.home.write_settings(settings)
    desk.refresh()


def add_table(app: FastAPI, desk: Desk) -> None:
    """The routes."""

    @app.get(_TABLE, dependencies=[needs(Permission.TABLES_READ)])
    def table_page(request: Request) -> Response:
        spec = desk.home.settings.table
        checked = request.query_params.get("check") == "yes"
        return desk.pages.render(
            request,
            "clients.desk.console:table.html.j2",
            spec=spec,
            lines=lines_of(catalog_in_force(desk.home), spec),
            report=validate(spec) if checked else None,
        )

    @app.get(_FIELDS, dependencies=[needs(Permission.FIELDS_CLASSIFY)])
    def fields_page(request: Request) -> Response:
        catalog = catalog_in_force(desk.home)
        return desk.pages.render(
            request,
            "clients.desk.console:fields.html.j2",
            lines=lines_of(catalog, desk.home.settings.table),
            classes=catalog.classes,
        )

    @app.post(_FIELDS, dependencies=[needs(Permission.FIELDS_CLASSIFY)])
    def classify(request: Request, caller: Current, form: Form) -> Response:
        spec = desk.home.settings.table
        kinds = {item.name: word(form, f"kind-{place}") for place, item in enumerate(spec.fields)}
        register(desk, with_kinds(spec, kinds), caller.name)
        return desk.pages.lead_on(request, _FIELDS, key="desk.fields.saved")


def with_kinds(spec: TableSpec, kinds: dict[str, str]) -> TableSpec:
    """A registration with these classes of its fields. Raises `ConfigInvalid` for a class that there is not."""
    known = {item.key for item in Catalog.load().classes}
    if not set(kinds.values()) - {""} <= known:
        raise ConfigInvalid("desk_class_unknown")
    fields = tuple(
        msgspec.structs.replace(item, kind=kinds.get(item.name, item.kind)) for item in spec.fields
    )
    return msgspec.structs.replace(spec, fields=fields)
