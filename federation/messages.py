"""What every protocol message is, and what it may hold.

A message is a frozen, closed, versioned record. Its tag (`"kmeans.partial_distances/1"`) names protocol,
message and version; unknown tags, unknown fields and wrong types are refused when it is decoded. Fields are
plain Python types, `bytes`, other records and NumPy arrays of the types in `ARRAY_TYPES`. Never pickle.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import numpy as np

COORDINATOR: Final = "coordinator"
"""The name under which the coordinator sends and receives; no party may take it."""

ARRAY_TYPES: Final = frozenset({"|b1", "|u1", "|i1", "<u2", "<i2", "<u4", "<i4", "<i8", "<f8"})

Array = np.ndarray[Any, Any]
"""An array field of a message: encoded as (dtype, shape, little-endian bytes)."""


class Message(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", kw_only=True, eq=False
):
    """Base of all protocol messages. Subclasses give `tag="protocol.message/version"`."""


class Outgoing(msgspec.Struct, frozen=True):
    """A message and the party it is for (a party's name, or `COORDINATOR`)."""

    to: str
    message: Message
