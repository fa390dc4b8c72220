"""Flower ClientApp (thin): the handler of the one message that opens a session.

The node's worker calls it with code that is installed here, never with code from the bundle of a run.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from clients.backup import guard
from clients.home import NodeHome
from clients.session import Connect, PartySession, connect_http
from federation.session import Offer
from privacy.errors import MessageInvalid

HOME_VARIABLE: Final = "SILHOUETTE_NODE_HOME"


def read_offer(message: Message) -> Offer:
    """The offer in a Flower message. Raises `MessageInvalid`."""
    try:
        array = message.content.array_records["offer"]["offer"]
        return msgspec.msgpack.decode(array.data, type=Offer)
    except (KeyError, msgspec.MsgspecError, UnicodeDecodeError):
        raise MessageInvalid("message_undecodable") from None


def make_app(
    home: NodeHome, connect: Connect, before_session: Callable[[NodeHome], None] = guard.check
) -> ClientApp:
    """A ClientApp that joins sessions for the node at `home`. before_session: refuses by raising."""
    app = ClientApp()

    @app.train("session")
    def session(message: Message, context: Context) -> Message:
        before_session(home)
        PartySession(home, read_offer(message), connect).run()
        return Message(RecordDict({"outcome": ConfigRecord({"done": True})}), reply_to=message)

    return app


def __getattr__(name: str) -> ClientApp:
    # Flower asks for `clients.app:app`; the home is known only when a node's process asks.
    if name == "app":
        home = NodeHome.open(Path(os.environ[HOME_VARIABLE]))
        return make_app(home, connect_http(home))
    raise AttributeError(name)
