"""What a party keeps of a matching for a rerun: its secrets, bound to the list that they were drawn for."""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

from federation.align_messages import BLINDING_ID_BYTES, DIGEST_BYTES
from federation.roles import Store
from privacy import joining, matching
from privacy.curve import KEY_BYTES as MULTIPLIER_BYTES
from privacy.curve import BlindingKey
from privacy.identifiers import Identifiers
from privacy.joining import Tokens

RECORD: Final = "secrets"
ORDER_LABEL: Final = "silhouette list order v1"
_TOKENS_AT_ONCE: Final = 1 << 18


class Secrets:
    """One party's secrets. Their repr shows nothing.

    order_key: orders the own list, so that its order tells nothing of the table; name: public name of `multiplier`,
    the party's factor in the circle; master: what the label holder derives the matching key from.
    """

    def __init__(self, data: bytes) -> None:
        sizes = (DIGEST_BYTES, matching.KEY_BYTES, matching.KEY_BYTES, BLINDING_ID_BYTES, MULTIPLIER_BYTES)
        parts, at = [], 0
        for size in sizes:
            parts.append(data[at : at + size])
            at += size
        self.stamp, self.order_key, self.master, self.name, multiplier = parts
        self.multiplier = BlindingKey.from_bytes(multiplier)

    def __repr__(self) -> str:
        return "Secrets(...)"

    def ordered(self, identifiers: Identifiers) -> matching.Blinded:
        """The list in its secret order. Raises `IdentifierInvalid` when an identifier repeats."""
        return matching.sorted_distinct(matching.keyed_tokens(self.order_key, ORDER_LABEL, identifiers))

    @classmethod
    def of_list(cls, store: Store, identifiers: Identifiers) -> tuple[Secrets, matching.Blinded]:
        """The secrets of an earlier attempt with the same list, or fresh ones; and the list in their order.

        A list that has changed gets fresh secrets: whoever compares two attempts must not see whose consent was
        withdrawn in between.
        """
        data = store.get(RECORD)
        if data is not None:
            kept = cls(data)
            ordered = kept.ordered(identifiers)
            if digest_of(ordered.tokens) == kept.stamp:
                return kept, ordered
        drawn = matching.new_key() + matching.new_key() + secrets.token_bytes(BLINDING_ID_BYTES)
        drawn += BlindingKey.generate().to_bytes()
        ordered = cls(bytes(DIGEST_BYTES) + drawn).ordered(identifiers)
        data = digest_of(ordered.tokens) + drawn
        store.put(RECORD, data)
        return cls(data), ordered


def digest_of(tokens: Tokens) -> bytes:
    """SHA-256 of the tokens, 16 bytes each."""
    digest = hashlib.sha256()
    for at in range(0, len(tokens), _TOKENS_AT_ONCE):
        digest.update(joining.dump(tokens[at : at + _TOKENS_AT_ONCE]))
    return digest.digest()
