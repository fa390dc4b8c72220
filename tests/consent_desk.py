"""A node's home with a consent log, for the tests of what changes its consents: changes, command line, desk."""

from __future__ import annotations

from pathlib import Path

from clients.home import NodeHome, NodeSettings
from clients.tables import ConsentSpec, TableSpec
from privacy.identifiers import IdentifierKind

PHONES = [f"139{number:08d}" for number in range(10)]
NOTICE = "n1"


def make_home(folder: Path, log: str = "phone,purpose,status\n") -> NodeHome:
    """The home of a bank whose customers are known by phone."""
    file = folder / "consents.csv"
    file.write_text(log, "utf-8")
    table = TableSpec(
        path=str(folder / "customers.csv"),
        id_column="phone",
        id_kind=IdentifierKind.PHONE,
        consents=ConsentSpec(path=str(file), id_column="phone", notice=NOTICE),
    )
    return NodeHome.create(folder / "home", NodeSettings(name="bank", table=table))


def files_with(folder: Path, text: str) -> list[str]:
    """The files below a folder that hold a text, the consent log apart."""
    return [
        file.name
        for file in folder.rglob("*")
        if file.is_file() and file.name != "consents.csv" and text.encode() in file.read_bytes()
    ]
