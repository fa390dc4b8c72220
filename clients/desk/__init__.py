"""The consent desk: how a data holder's own systems tell its node what subjects have said."""

from __future__ import annotations

from clients.desk.app import make_desk
from clients.desk.serving import desk_token, serve_desk

__all__ = ["desk_token", "make_desk", "serve_desk"]
