"""The files that pages load: scripts, styles, an icon. All are part of the program; nothing comes from elsewhere."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from typing import Final

from fastapi import FastAPI, Request, Response

from federation.web.guard import open_to_all
from federation.web.headers import KEPT_FOR_GOOD
from federation.web.refusing import RequestRefused

PATH: Final = "/static/"
OWN: Final = "federation.web.static"
MEDIA_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
"""What is handed out, by the end of the name; licences and lists lie beside it and are not."""
_VERSION_CHARACTERS: Final = 16
_LEVEL: Final = 6


@dataclass(frozen=True)
class StaticFile:
    """One file."""

    name: str
    content: bytes

    @cached_property
    def version(self) -> str:
        """The beginning of its SHA-256."""
        return hashlib.sha256(self.content).hexdigest()[:_VERSION_CHARACTERS]

    @cached_property
    def packed(self) -> bytes:
        """The content, compressed. The files are public, so their size gives nothing away (unlike a page's)."""
        return gzip.compress(self.content, _LEVEL, mtime=0)

    @property
    def url(self) -> str:
        """Its address, which changes with its content, so that browsers may keep it for good."""
        return f"{PATH}{self.name}?v={self.version}"

    def response(self, request: Request) -> Response:
        """The file as an answer."""
        headers = {"ETag": f'"{self.version}"', "Vary": "Accept-Encoding"}
        if request.query_params.get("v") == self.version:
            headers["Cache-Control"] = KEPT_FOR_GOOD
        else:
            headers["Cache-Control"] = "no-cache"
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        content = self.content
        if "gzip" in request.headers.get("accept-encoding", ""):
            content = self.packed
            headers["Content-Encoding"] = "gzip"
        return Response(content, 200, headers, MEDIA_TYPES[_suffix(self.name)])


class Statics:
    """The files of one application, in memory. packages: folders with more of them than ours."""

    def __init__(self, packages: Sequence[str] = ()) -> None:
        self._files: dict[str, StaticFile] = {}
        for package in (OWN, *packages):
            for item in resources.files(package).iterdir():
                if _suffix(item.name) in MEDIA_TYPES:
                    self._files[item.name] = StaticFile(item.name, item.read_bytes())

    def url(self, name: str) -> str:
        """The address of a file. Raises `KeyError` when there is none."""
        return self._files[name].url

    def add_to(self, app: FastAPI) -> None:
        """The route. Whatever is not the name of a file is not there: no path is ever looked up on the disk."""

        @app.get(
            PATH + "{name}",
            include_in_schema=False,
            dependencies=[open_to_all("scripts and styles are the same for everybody")],
        )
        def static(name: str, request: Request) -> Response:
            if name not in self._files:
                raise RequestRefused("not_found")
            return self._files[name].response(request)


def _suffix(name: str) -> str:
    return name.rpartition(".")[2]
