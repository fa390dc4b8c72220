"""What an outsider could find by walking through identifiers, in bytes that somebody has stored."""

import hashlib

import numpy as np
from cryptography.hazmat.primitives.hashes import SM3, Hash

from privacy import curve, joining, matching
from privacy.cmac import BatchCmac

KINDS = (b"", b"phone", b"phone\x00", b"phone/plain\x00")
KNOWN_KEYS = (bytes(32), b"\xff" * 32, bytes(range(32)))
WINDOW = 8
"""Bytes that must agree: a chance hit among a million values in a gigabyte has probability below 2^-13."""


def sm3(message):
    state = Hash(SM3())
    state.update(message)
    return state.finalize()


def guesses(identifiers):
    """(n, at least 8) uint8 arrays: what every function of an identifier gives that needs no party's secret, under
    the keys that an outsider would try."""
    raw = identifiers.tolist()
    for kind in KINDS:
        for name in ("md5", "sha1", "sha256", "sha512", "blake2b"):
            yield _rows(hashlib.new(name, kind + one).digest() for one in raw)
        yield _rows(sm3(kind + one) for one in raw)
    for key in KNOWN_KEYS:
        for kind in KINDS:
            yield BatchCmac(key).digest(identifiers, kind)
        for kind in ("phone", "phone/plain"):
            yield _bytes_of(matching.keyed_tokens(key, kind, identifiers))
    for kind in ("phone", "phone/plain"):
        points = curve.hash_to_curve(kind, identifiers)
        yield points
        yield _bytes_of(curve.point_tokens(points))
        for key in KNOWN_KEYS:
            blinded = curve.BlindingKey(key).blind(points, party="outsider")
            yield blinded
            yield _bytes_of(curve.point_tokens(blinded))


def found_in(stored, identifiers):
    """How many of the identifiers an outsider finds again at any offset of the stored pieces of bytes."""
    windows = [
        np.lib.stride_tricks.sliding_window_view(np.frombuffer(data, np.uint8), WINDOW)
        for data in stored
        if len(data) >= WINDOW
    ]
    places = np.unique(np.concatenate([np.ascontiguousarray(one).view("<u8").ravel() for one in windows]))
    found = np.zeros(len(identifiers), dtype=bool)
    for values in guesses(identifiers):
        found |= np.isin(np.ascontiguousarray(values[:, :WINDOW]).view("<u8").ravel(), places)
    return int(found.sum())


def _rows(digests):
    return np.array([np.frombuffer(digest[:WINDOW], np.uint8) for digest in digests])


def _bytes_of(tokens):
    return np.frombuffer(joining.dump(tokens), np.uint8).reshape(-1, 16)
