"""A session's name becomes part of record names and of a folder: one that leads elsewhere is refused with its offer."""

import secrets

import msgspec
import pytest
from flwr.app import Array, ArrayRecord, Message, RecordDict
from flwr.common.constant import SUPERLINK_NODE_ID
from flwr.supercore.task_identity import TaskIdentity

from clients.app import read_offer
from federation.session import Offer
from privacy.errors import MessageInvalid


@pytest.fixture(autouse=True)
def _run_identity():
    """Flower stamps a message with the run it belongs to, once for a process."""
    TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = 1, SUPERLINK_NODE_ID, 1


def offered(session):
    data = msgspec.msgpack.encode(Offer(session, "https://coordinator.example", "token", b""))
    array = Array(dtype="uint8", shape=(len(data),), stype="raw", data=data)
    return Message(RecordDict({"offer": ArrayRecord({"offer": array})}), 1, "train.session")


@pytest.mark.parametrize(
    "session",
    ["", ".", "..", "a/../..", "a/../../5e5510", "/etc", "a\\..", "a.b", "a b", "a\n", "a\0", "é", "x" * 65],
)
def test_a_name_that_leads_elsewhere(session):
    with pytest.raises(MessageInvalid) as caught:
        read_offer(offered(session))
    assert caught.value.key == "message_undecodable"


def test_the_names_that_the_coordinator_gives():
    session = secrets.token_hex(16)
    assert read_offer(offered(session)).session == session
