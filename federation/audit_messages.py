"""The messages with which parties cosign each other's audit logs, and what they disclose."""

from __future__ import annotations

from typing import Final

from federation.messages import Message
from federation.roles import Disclosure, Disclosures
from privacy.checkpoints import Checkpoint, Cosignature, LogSize, Proof


class ShownCheckpoint(Message, frozen=True, tag="audit.checkpoint/1"):
    """Party -> every other: its log's signed state, and that it continues the `old_size` events it showed before.

    old_size: what the sender remembers of the recipient's last cosignature, 0 if there is none. proof: RFC 9162.
    """

    checkpoint: Checkpoint
    old_size: LogSize
    proof: Proof


class KnownSize(Message, frozen=True, tag="audit.known/1"):
    """Answer when the recipient last cosigned another size than `old_size`: the proof must start from this one."""

    size: LogSize


class CosignedCheckpoint(Message, frozen=True, tag="audit.cosigned/1"):
    """Answer: the recipient's signature under the checkpoint of `size` events."""

    size: LogSize
    cosignature: Cosignature


MESSAGES: Final = (ShownCheckpoint, KnownSize, CosignedCheckpoint)

_LOG_STATE: Final = (Disclosure("log_state", tuple(str(kind.__struct_config__.tag) for kind in MESSAGES)),)
DISCLOSES: Final = Disclosures("audit", _LOG_STATE, _LOG_STATE, _LOG_STATE)
