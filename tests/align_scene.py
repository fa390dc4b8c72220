"""One role of a matching, and the messages that a test lets its peers send."""

import hashlib

import numpy as np
import pytest
from matching_parties import as_identifiers, plan, rehearse

from federation import align
from federation.jobs import MatchMode
from federation.roles import Parties
from privacy import matching

PARTIES = Parties("bank", ("shop", "telco"))
IDENTIFIERS = [f"1390000{number:04d}" for number in range(30)]
KEY = bytes(range(32))
KEYED, ECDH = plan(MatchMode.KEYED), plan(MatchMode.ECDH)


def coordinator(**changes):
    return align.KeyedCoordinator(PARTIES, **{"k_min": 5, **changes})


def circle_coordinator(**changes):
    return align.CircleCoordinator(PARTIES, **{"k_min": 5, **changes})


def partner(match=KEYED, k_min=5, own="shop", identifiers=IDENTIFIERS):
    role = align.FeatureHolder(PARTIES, own, "phone", as_identifiers(identifiers), plan=match, k_min=k_min)
    role.start()
    return role


def key_message(kind="phone", key=KEY):
    return align.MatchingKey(kind=kind, key=key)


def partner_with_key(match=KEYED, **changes):
    role = partner(match, **changes)
    role.receive("bank", key_message())
    return role


def new_holder(match=KEYED, k_min=5, identifiers=IDENTIFIERS):
    return align.LabelHolder(PARTIES, "bank", "phone", as_identifiers(identifiers), plan=match, k_min=k_min)


def holder_with_key(match=KEYED):
    role = new_holder(match)
    role.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "derived_key", lambda master, stamps: KEY)
        for name in PARTIES.feature_holders:
            role.receive(name, align.ListStamp(stamp=bytes(32)))
    return role


def matched(*positions, dtype=np.uint32, pieces=1, piece=0):
    return align.Matched(pieces=pieces, piece=piece, positions=np.array(positions, dtype=dtype))


def announced(tokens):
    return align.TokenList(count=len(tokens) // 16, digest=hashlib.sha256(tokens).digest())


def token_part(tokens, part=0):
    return align.TokenPart(part=part, tokens=tokens)


def some_tokens(count=30, start=0):
    return b"".join(bytes([start + place]) * 16 for place in range(count))


def asked(role, tokens=None):
    """Announce lists of all parties; the role now waits for part 0 of each."""
    for name in PARTIES.all:
        role.receive(name, announced(tokens or some_tokens()))
    return role


def hello(name=b"n" * 16, count=30):
    return align.BlindingId(name=name, count=count)


def in_circle(own="shop"):
    """A party that knows all names: its list is under way."""
    role = partner_with_key(ECDH, own=own)
    for name in PARTIES.all:
        if name != own:
            role.receive(name, hello(name.encode().ljust(16)))
    return role


def points_of_bank(n_points=4):
    """The bank's points as they reach the shop."""
    transcript = rehearse(dict.fromkeys(PARTIES.all, IDENTIFIERS), ECDH)[1]
    message = next(
        message
        for sender, to, message in transcript
        if (sender, to) == ("bank", "shop") and isinstance(message, align.Points)
    )
    return message.points[: 32 * n_points]


def circle_list(*sizes, dtype="<u4", stamps=None):
    stamps = b"".join(bytes([place]) * 32 for place in range(len(sizes))) if stamps is None else stamps
    return align.CircleList(sizes=np.array(sizes, dtype=dtype), stamps=stamps)
