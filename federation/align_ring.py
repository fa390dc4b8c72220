"""A party's list in `align`'s mode `ecdh`: it passes once around the circle of all parties and ends at C as tokens.

Party i starts from points P = H(identifier) on the curve (`privacy.curve`), multiplies them with its secret and
hands them to the next party, and so on around the circle; the last one hashes a_1 a_2 ... a_m P to a token and gives
it to the coordinator. The secrets commute, so equal identifiers end as equal tokens, whichever way round they went.
A hop sees multiples of unknown points in the owner's secret order: under the decisional Diffie-Hellman assumption
(and H a random oracle) they are random to whoever lacks one of the factors. Nobody sees finished tokens of two
lists but C: the last hop of a list sees that one, and its own list ends at another party. (With finished tokens
of both it could compare the lists by itself, below any minimum size.)

Source. Meadows 1986, "A more efficient cryptographic matchmaking protocol"; Huberman, Franklin, Hogg 1999,
    "Enhancing privacy and trust in electronic communities"; for several parties Agrawal, Evfimievski, Srikant 2003,
    "Information sharing across private databases", section 3.
Resumable. A list travels in parts, cut by an order that only its owner knows. Each has a stamp, a digest of the names
    of all secrets and of the rows it stands for: what C still holds under an equal stamp need not go round again.
"""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np

from federation.align_lists import MAX_IDENTIFIERS, Integers, References
from federation.align_messages import (
    BLINDING_ID_BYTES,
    BlindingId,
    CircleList,
    CirclePart,
    PartWanted,
    Points,
)
from federation.align_secrets import Secrets
from federation.messages import COORDINATOR, Message, Outgoing
from federation.roles import Progress, expect
from privacy import joining, matching
from privacy.curve import POINT_BYTES, hash_to_curve, point_tokens
from privacy.errors import MessageInvalid
from privacy.identifiers import Identifiers
from privacy.parallel import ALONE, Workers

POINTS_PER_PART: Final = 1 << 14
"""About a second of work for a hop: what is lost when a party dies, and how finely progress is shown."""

MAX_POINTS_PER_PART: Final = 2 * POINTS_PER_PART
"""Parts are cut by random bits, so their sizes vary a little; a hop refuses what cannot be chance."""


class Ring:
    """One party's place in the circle: its own list on the way round, and other lists passing through."""

    name: Final = "align.Ring"
    is_sorted: Final = False

    def __init__(
        self,
        own: str,
        parties: tuple[str, ...],
        key: bytes,
        kind: str,
        identifiers: Identifiers,
        own_secrets: Secrets,
        ordered: matching.Blinded,
        *,
        workers: Workers = ALONE,
    ) -> None:
        """parties: all of them, in the order of the circle; key: names subjects (`matching.subject_refs`);
        ordered: the list in the secret order of `own_secrets`."""
        place = parties.index(own)
        self._own, self._parties = own, parties
        self._next, self._previous = parties[(place + 1) % len(parties)], parties[place - 1]
        self._key, self._kind, self._workers = key, kind, workers
        self._secrets = own_secrets
        self._order, self._rows = ordered.tokens, ordered.rows
        self._identifiers = identifiers[self._rows]
        self._slices = joining.parts(self._order, joining.parts_for(len(self._order), POINTS_PER_PART))
        self._sent: set[int] = set()
        self._names: dict[str, bytes] = {own: self._secrets.name}
        self._passed: dict[str, set[int]] = {party: set() for party in parties}
        self._counts = {own: len(identifiers)}
        self._passed_points = dict.fromkeys(parties, 0)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def progress(self) -> Progress:
        """Points this party has multiplied, of all that may come: its own, and those of every other party."""
        sent = sum(self._slices[part].stop - self._slices[part].start for part in self._sent)
        passed = sum(self._passed_points.values())
        return Progress(sent + passed, sum(self._counts.values()), "align.blind")

    def open(self) -> list[Outgoing]:
        """Tell all others which secret we use."""
        hello = BlindingId(name=self._secrets.name, count=len(self))
        return [Outgoing(party, hello) for party in self._parties if party != self._own]

    def receive(self, sender: str, message: Message) -> list[Outgoing]:
        match message:
            case BlindingId():
                expect(sender in self._parties and sender not in self._names, self.name, message, sender)
                return self._take_name(sender, message)
            case Points():
                expect(sender == self._previous and self._is_complete, self.name, message, sender)
                return [self._pass_on(sender, message)]
            case PartWanted():
                expect(sender == COORDINATOR and self._is_complete, self.name, message, sender)
                return [self._send(message)]
            case _:
                expect(False, self.name, message, sender)
                return []

    @property
    def _is_complete(self) -> bool:
        """Whether all parties have introduced themselves. C asks for parts only when all have heard of all."""
        return len(self._names) == len(self._parties)

    def found(self, positions: Integers) -> tuple[Integers, References]:
        """Own rows and subject references at these places of the list."""
        tokens = matching.keyed_tokens(self._key, self._kind, self._identifiers[positions])
        return self._rows[positions], matching.subject_refs(self._key, tokens)

    def _take_name(self, sender: str, message: BlindingId) -> list[Outgoing]:
        """Another party's secret has a name. Once all have, C may ask for our parts."""
        if len(message.name) != BLINDING_ID_BYTES or not 0 < message.count <= MAX_IDENTIFIERS:
            raise MessageInvalid("align_blinding_invalid", party=sender)
        self._names[sender], self._counts[sender] = message.name, message.count
        if not self._is_complete:
            return []
        names = b"".join(self._names[party] for party in self._parties)
        stamps = [hashlib.sha256(names + joining.dump(self._order[part])).digest() for part in self._slices]
        sizes = np.array([part.stop - part.start for part in self._slices], dtype="<u4")
        return [Outgoing(COORDINATOR, CircleList(sizes=sizes, stamps=b"".join(stamps)))]

    def _send(self, message: PartWanted) -> Outgoing:
        """Our next part starts on its way."""
        part = message.part
        if message.parts != len(self._slices) or not 0 <= part < len(self._slices) or part in self._sent:
            raise MessageInvalid("align_parts_invalid")
        self._sent.add(part)
        points = hash_to_curve(self._kind, self._identifiers[self._slices[part]], workers=self._workers)
        blinded = self._secrets.multiplier.blind(points, party=self._own, workers=self._workers)
        return Outgoing(self._next, Points(owner=self._own, part=part, points=blinded.tobytes()))

    def _pass_on(self, sender: str, message: Points) -> Outgoing:
        """Multiply another's points and hand them on; the last one before the owner makes tokens of them."""
        owner, part = message.owner, message.part
        count, odd = divmod(len(message.points), POINT_BYTES)
        known = owner in self._passed and owner != self._own
        if not known or odd or count > MAX_POINTS_PER_PART or part < 0 or part in self._passed[owner]:
            raise MessageInvalid("align_points_invalid", party=sender)
        self._passed[owner].add(part)
        self._passed_points[owner] += count
        if self._passed_points[owner] > self._counts[owner]:
            # Every further point would be a question about one more identifier.
            raise MessageInvalid("align_tokens_too_many", party=owner, limit=self._counts[owner])
        points = np.frombuffer(message.points, np.uint8).reshape(count, POINT_BYTES)
        blinded = self._secrets.multiplier.blind(points, party=sender, workers=self._workers)
        if self._next != owner:
            return Outgoing(self._next, Points(owner=owner, part=part, points=blinded.tobytes()))
        tokens = joining.dump(point_tokens(blinded))
        return Outgoing(COORDINATOR, CirclePart(owner=owner, part=part, tokens=tokens))
