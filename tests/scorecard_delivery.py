"""Delivery of messages between roles: stopped before a message, or in any order that a relay may choose."""

from collections import deque

import msgspec
import pytest
from scorecard_scene import over_the_wire


def changed(message, **fields):
    return msgspec.structs.replace(message, **fields)


def run_until(roles, kind, recipient=None):
    """Deliver until a message of `kind` (to `recipient`) is about to arrive: (sender, recipient, message)."""
    queue = deque((name, out) for name, role in roles.items() for out in role.start())
    while queue:
        sender, out = queue.popleft()
        if isinstance(out.message, kind) and recipient in {None, out.to}:
            return sender, out.to, out.message
        queue.extend((out.to, reply) for reply in roles[out.to].receive(sender, out.message))
    raise AssertionError(f"no {kind.__name__} was sent")


def run_in_order(roles, choose):
    """Deliver everything; only messages of one sender to one recipient keep their order.

    choose: given the (sender, recipient) pairs with something in flight, which one delivers its next message.
    """
    channels = {}

    def send(sender, outgoing):
        for out in outgoing:
            channels.setdefault((sender, out.to), deque()).append(over_the_wire(out.message))

    for name, role in roles.items():
        send(name, role.start())
    while waiting := sorted(pair for pair, messages in channels.items() if messages):
        sender, recipient = choose(waiting)
        message = channels[sender, recipient].popleft()
        send(recipient, roles[recipient].receive(sender, message))
    return {name: role.result for name, role in roles.items()}


def refused(error, role, sender, message, key=None):
    with pytest.raises(error) as caught:
        role.receive(sender, message)
    assert key in {None, caught.value.key}
