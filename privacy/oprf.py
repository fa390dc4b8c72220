"""EXPERIMENTAL, until reviewed by others: a two-party oblivious pseudorandom function for fast matching.

The receiver gets the values of its own items, the sender those of its own. Equal items have equal values; the
values of items that the receiver does not hold look random to it. Nobody but the two needs to be trusted.
Source. Chase and Miao 2020, "Private Set Intersection in the Internet Setting From Lightweight Oblivious PRF"
(CRYPTO), the semi-honest protocol, with kappa = 128 and sigma = 40. Base transfers: `privacy.oblivious_transfer`.
Deviations.
1. The matrix is cut into buckets of rows, by bits of an item's hash, so that a column fits in the cache and a
   message is small. All buckets share the columns' choices; each has its own stretch of the generators. This is
   the paper's protocol on one tall matrix whose function F maps an item into the rows of its bucket. The width is
   computed for a bucket at its capacity; a fuller one is never used.
2. H1 is AES-256-CMAC under a salt that is drawn when both inputs are fixed: of H1 the semi-honest case needs only
   that no two of these items collide.
3. F is AES-128 of H1 of the item xor a counter, 8 positions a block. H2 is BLAKE2b, 128 bits: a chance match has
   probability n_receiver n_sender / 2^128, 2^-76 for lists of 2^26, where the paper asks for 2^-40.
4. A bucket has at least twice as many rows as items, the paper as many: 18 % more bytes for a million items, up to
   60 % for fewer, and half the columns.
What it promises. Against parties that follow the protocol: the receiver learns the sender's number of items and
which of its own items match; the sender learns the receiver's number of items.
What it does not. Against a party that deviates: a receiver can fit more items into the matrix than it declares, a
sender can send values of its choice. Table look-ups depend on the own items (cache timing, at home). Secrets in
Python memory are not wiped.
Cost. 84 to 123 bytes per item of the receiver, and 5 to 7 us per item in both parties together.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from typing import Final, NoReturn

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from privacy import cmac, joining
from privacy.errors import CryptoError, MessageInvalid
from privacy.identifiers import Identifiers
from privacy.matching import Blinded, kind_prefix, sorted_distinct
from privacy.oblivious_transfer import ELEMENT_BYTES, TransferSender, check_length, choose
from privacy.oprf_parameters import Parameters, parameters
from privacy.parameters import TOKEN_BYTES

SALT_BYTES: Final = cmac.KEY_BYTES
FUNCTION_KEY_BYTES: Final = 16
OFFER_BYTES: Final = ELEMENT_BYTES + SALT_BYTES

_SALT_ATTEMPTS: Final = 8
_POSITIONS_PER_BLOCK: Final = 8
_LITTLE_WORD: Final = np.dtype("<u8")
_VALUE_DOMAIN: Final = b"silhouetteoprfv1"


class _Items:
    """One party's items, hashed under the salt and spread over buckets, and their values as they come."""

    def __init__(self, kind: str, identifiers: Identifiers, salt: bytes, n_buckets: int) -> None:
        hashed = cmac.BatchCmac(salt).digest(identifiers, kind_prefix(kind)).view(_LITTLE_WORD)
        buckets = ((hashed[:, 1] >> np.uint64(32)) * np.uint64(n_buckets)) >> np.uint64(32)
        order = np.argsort(buckets.astype(np.uint16), kind="stable")
        self._order = order
        self._hashed = hashed[order]
        self._ends = np.cumsum(np.bincount(buckets.astype(np.int64), minlength=n_buckets))
        self._values = np.empty((len(hashed), TOKEN_BYTES), np.uint8)
        self._missing = set(range(n_buckets))
        self._blinded: Blinded | None = None

    @property
    def largest_bucket(self) -> int:
        return int(np.diff(self._ends, prepend=0).max())

    def awaits(self, bucket: int) -> bool:
        return bucket in self._missing

    def bucket(self, bucket: int) -> slice:
        return slice(int(self._ends[bucket - 1]) if bucket else 0, int(self._ends[bucket]))

    def columns(self, bucket: int, function_key: bytes, scheme: Parameters) -> Iterator[NDArray[np.intp]]:
        """F: for every column of the matrix the row of each item in the bucket."""
        hashed = self._hashed[self.bucket(bucket)]
        encryptor = Cipher(algorithms.AES(function_key), modes.ECB()).encryptor()  # noqa: S305
        space = np.empty(len(hashed) * cmac.BLOCK_BYTES + cmac.BLOCK_BYTES - 1, np.uint8)
        output = space[: len(hashed) * cmac.BLOCK_BYTES].view(np.dtype("<u2"))
        positions = output.reshape(len(hashed), _POSITIONS_PER_BLOCK)
        counted = hashed.copy()
        for counter in range(-(-scheme.width // _POSITIONS_PER_BLOCK)):
            np.bitwise_xor(hashed[:, 0], np.uint64(counter), out=counted[:, 0])
            encryptor.update_into(counted.reshape(-1).view(np.uint8).data, space.data)
            yield from (positions & np.uint16(scheme.height - 1)).T.astype(np.intp)

    def keep(self, bucket: int, rows: list[NDArray[np.uint8]]) -> None:
        """Hash each item's bits, one array per 8 columns, to its value (H2)."""
        joined = np.ascontiguousarray(np.array(rows).T).tobytes()
        width, blake2b = len(rows), hashlib.blake2b
        hashes = [
            blake2b(joined[at : at + width], digest_size=TOKEN_BYTES, person=_VALUE_DOMAIN).digest()
            for at in range(0, len(joined), width)
        ]
        values = np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, TOKEN_BYTES)
        self._values[self._order[self.bucket(bucket)]] = values
        self._missing.discard(bucket)

    @property
    def blinded(self) -> Blinded | None:
        """The values in order, with their rows; None while a bucket is missing."""
        if self._blinded is None and not self._missing:
            self._blinded = sorted_distinct(joining.tokens_of(self._values))
        return self._blinded


class Receiver:
    """Learns which of its items the sender has. Messages: `offer`, `answer`, then one `correction` per bucket.

    identifiers: distinct, one per row. n_sender: how many the sender has. party: the sender's name, for errors.

    Raises `ConfigInvalid` for an empty list or an unusable kind, `CryptoError` when no salt spreads the items.
    """

    def __init__(self, kind: str, identifiers: Identifiers, n_sender: int, party: str) -> None:
        self.parameters = parameters(len(identifiers), n_sender)
        self._party = party
        self._transfers = TransferSender()
        self._function_key = secrets.token_bytes(FUNCTION_KEY_BYTES)
        self._seeds: list[tuple[bytes, bytes]] = []
        self._salt, self._items = _spread(kind, identifiers, self.parameters)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a matching's secrets are not pickled")

    def offer(self) -> bytes:
        """First message to the sender: the transfers' element and the salt, `OFFER_BYTES`."""
        return self._transfers.public + self._salt

    def answer(self, choices: bytes) -> bytes:
        """Second message: the key of F, which the sender may have once it has chosen.

        Raises `MessageInvalid` for choices of a wrong length or outside the group.
        """
        self._seeds = self._transfers.keys(choices, self.parameters.width, self._party)
        return self._function_key

    def correction(self, bucket: int) -> bytes:
        """The difference B xor D of one bucket, `parameters.correction_bytes`; also computes its items' values.

        Raises `ValueError` before `answer`.
        """
        if not self._seeds:
            raise ValueError("answer the choices first")
        columns = self._items.columns(bucket, self._function_key, self.parameters)
        height = self.parameters.height
        unmet = np.empty(height, np.uint8)
        message, gathered = bytearray(), _Bits()
        for (first, second), rows in zip(self._seeds, columns, strict=True):
            own = _stretch(first, bucket, height)
            gathered.add(own, rows)
            unmet.fill(1)
            unmet[rows] = 0
            difference = np.packbits(unmet, bitorder="little")
            difference ^= own
            difference ^= _stretch(second, bucket, height)
            message += difference.tobytes()
        self._items.keep(bucket, gathered.rows)
        return bytes(message)

    @property
    def blinded(self) -> Blinded | None:
        """Own values, sorted, with their rows, to intersect with the sender's; None before the last bucket.

        Raises `IdentifierInvalid` when an identifier occurs twice.
        """
        return self._items.blinded


class Sender:
    """Gives the values of all its items. Messages: `choose`, then `start` and one `evaluate` per bucket.

    identifiers: distinct, one per row. n_receiver: how many the receiver has. party: the receiver's name.

    Raises `ConfigInvalid` for an empty list or an unusable kind.
    """

    def __init__(self, kind: str, identifiers: Identifiers, n_receiver: int, party: str) -> None:
        kind_prefix(kind)
        self.parameters = parameters(n_receiver, len(identifiers))
        self._kind, self._identifiers, self._party = kind, identifiers, party
        bits = secrets.randbits(self.parameters.width)
        self._choices = [bool(bits >> place & 1) for place in range(self.parameters.width)]
        self._seeds: list[bytes] = []
        self._function_key = b""
        self._items: _Items | None = None

    def __reduce__(self) -> NoReturn:
        raise TypeError("a matching's secrets are not pickled")

    def choose(self, offer: bytes) -> bytes:
        """First message to the receiver: one group element per column.

        Raises `MessageInvalid` for an offer of a wrong length or outside the group.
        """
        check_length(offer, OFFER_BYTES, self._party)
        message, self._seeds = choose(offer[:ELEMENT_BYTES], self._choices, self._party)
        salt = offer[ELEMENT_BYTES:]
        self._items = _Items(self._kind, self._identifiers, salt, self.parameters.n_buckets)
        return message

    def start(self, function_key: bytes) -> None:
        """Take the key of F. Raises `MessageInvalid` for a wrong length."""
        check_length(function_key, FUNCTION_KEY_BYTES, self._party)
        self._function_key = function_key

    def evaluate(self, bucket: int, correction: bytes) -> None:
        """Compute the values of one bucket's items.

        Raises `MessageInvalid` for a correction of a wrong length or of a bucket that is done or does not exist,
        `ValueError` before `choose` and `start`.
        """
        if self._items is None or not self._function_key:
            raise ValueError("choose and start first")
        if not self._items.awaits(bucket):
            raise MessageInvalid("oprf_bucket_invalid", party=self._party)
        check_length(correction, self.parameters.correction_bytes, self._party)
        columns = self._items.columns(bucket, self._function_key, self.parameters)
        height, gathered = self.parameters.height, _Bits()
        for place, rows in enumerate(columns):
            column = _stretch(self._seeds[place], bucket, height)
            if self._choices[place]:
                column = column ^ np.frombuffer(correction, np.uint8, height // 8, place * (height // 8))
            gathered.add(column, rows)
        self._items.keep(bucket, gathered.rows)

    @property
    def blinded(self) -> Blinded | None:
        """Values of all items, sorted, so in random order, with their rows; None before the last bucket.

        Raises `IdentifierInvalid` when an identifier occurs twice.
        """
        return None if self._items is None else self._items.blinded


class _Bits:
    """Bits of columns at items' rows, 8 columns to a byte. rows: one (n,) uint8 array per 8 columns."""

    def __init__(self) -> None:
        self.rows: list[NDArray[np.uint8]] = []
        self._added = 0

    def add(self, column: NDArray[np.uint8], rows: NDArray[np.intp]) -> None:
        """column: (height / 8,) packed bits."""
        # `clip` spares NumPy a copy; the masked positions are inside anyway.
        bits = np.unpackbits(column, bitorder="little").take(rows, mode="clip")
        if self._added % 8 == 0:
            self.rows.append(bits)
        else:
            bits <<= np.uint8(self._added % 8)
            self.rows[-1] |= bits
        self._added += 1


def _spread(kind: str, identifiers: Identifiers, scheme: Parameters) -> tuple[bytes, _Items]:
    """A salt under which no bucket holds more than its capacity, and the items spread by it.

    The first one serves, except with probability 2^-STATISTICAL_BITS; so drawing again tells the sender nothing.
    """
    for _ in range(_SALT_ATTEMPTS):
        salt = secrets.token_bytes(SALT_BYTES)
        items = _Items(kind, identifiers, salt, scheme.n_buckets)
        if items.largest_bucket <= scheme.capacity:
            return salt, items
    raise CryptoError("oprf_bucket_overflow", count=_SALT_ATTEMPTS)


def _stretch(seed: bytes, bucket: int, height: int) -> NDArray[np.uint8]:
    """(height / 8,): a bucket's bits of one column: AES-128 in counter mode, each bucket at its own counter."""
    encryptor = Cipher(algorithms.AES(seed), modes.CTR(bucket.to_bytes(8, "big") + bytes(8))).encryptor()
    return np.frombuffer(encryptor.update(bytes(height // 8)), np.uint8)
