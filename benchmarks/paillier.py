"""Encryption, decryption and addition: one value at a time, and packed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import numpy as np
from gmpy2 import mpz

from benchmarks.cases import (
    OU_NOTE,
    SEED,
    Case,
    Claim,
    Way,
    fill,
    heu_peers,
    key_of,
    partner_of,
    race,
    rows_of,
)
from benchmarks.measure import MICROSECONDS, timed
from benchmarks.peers import HEU_OU, HEU_ZPAILLIER, PHE_NAME, Heu
from benchmarks.results import PER_SECOND_UNIT, SECONDS_UNIT, TIE, Row
from benchmarks.settings import Settings
from privacy.fixed_point import SlotLayout
from privacy.paillier import PublicKey, shift_pack
from privacy.paillier_secret import SecretKey

VALUE_BITS: Final = 62
ADDITIONS: Final = 1 << 17
"""What fixed point allows, and room for sums of so many rows: slots of 80 bits, 25 to a ciphertext at 2048 bit."""

Encrypt = Callable[[list[int]], list[mpz]]


def draw(count: int) -> list[int]:
    """Reproducible signed integers below 2^`VALUE_BITS` in size."""
    limit = 1 << VALUE_BITS
    drawn: list[int] = np.random.default_rng(SEED).integers(-limit + 1, limit, count).tolist()
    return drawn


def as_phe(key: SecretKey, ciphertexts: Sequence[mpz]) -> list[Any]:
    """Our ciphertexts as phe's objects."""
    from phe import EncryptedNumber

    public = key.public.to_phe()
    return [EncryptedNumber(public, int(c)) for c in ciphertexts]


def encryption(settings: Settings) -> list[Row]:
    """Every way to encrypt, against the peers' only one."""
    values, few = draw(settings.values), settings.slow_values
    owner, alpha = key_of(settings.key_bits), key_of(settings.key_bits, alpha=True)
    ours: dict[str, tuple[SecretKey, Encrypt]] = {
        "key owner": (owner, owner.encrypt),
        "key owner, alpha-key": (alpha, alpha.encrypt),
        "public key only": (owner, PublicKey(int(owner.public.n)).encrypt),
    }
    # The first long list builds a key's table of powers; the turns that count only look up.
    first = {name: timed(partial(encrypt, values)) for name, (_, encrypt) in ours.items()}
    ways = {
        name: Way(partial(encrypt, values), values[:few], len(values), partial(read_by_phe, key, few))
        for name, (key, encrypt) in ours.items()
    }
    pool = owner.mask_pool()
    ways["from a pool"] = Way(
        partial(pool.encrypt, values),
        values[:few],
        len(values),
        partial(read_by_phe, owner, few),
        partial(fill, pool, len(values)),
    )
    public, private = owner.to_phe().public_key, owner.to_phe()
    ways[PHE_NAME] = Way(
        lambda: [public.encrypt(value) for value in values[:few]],
        values[:few],
        few,
        lambda found: [private.decrypt(c) for c in found],
    )
    for peer in heu_peers(settings.key_bits):
        encrypt = partial(peer.encrypt, peer.encode(values))
        ways[peer.name] = Way(encrypt, values[:few], len(values), partial(read_by_heu, peer, few))
    times = race(ways, settings.repetitions)
    claims = [
        Claim("encrypt: key owner", "key owner", PHE_NAME, 20),
        Claim("encrypt: key owner", "key owner", HEU_ZPAILLIER, 1.5),
        Claim("encrypt: key owner", "key owner", HEU_OU, None, (OU_NOTE,)),
        Claim("encrypt: key owner, alpha-key", "key owner, alpha-key", HEU_ZPAILLIER, 8),
        Claim("encrypt: key owner, alpha-key", "key owner, alpha-key", HEU_OU, None, (OU_NOTE,)),
        Claim("encrypt: from a pool", "from a pool", HEU_ZPAILLIER, 100),
        Claim("encrypt: from a pool", "from a pool", HEU_OU, None, (OU_NOTE,)),
        Claim("encrypt: public key only", "public key only", PHE_NAME),
        Claim("encrypt: public key only", "public key only", HEU_ZPAILLIER, 1.3),
    ]
    tables = [
        Row(
            f"table of powers: {name}",
            SECONDS_UNIT,
            max(0.0, seconds - times[name] * len(values) / MICROSECONDS),
        )
        for name, seconds in first.items()
    ]
    return rows_of(claims, times) + tables


def read_by_phe(key: SecretKey, few: int, ciphertexts: Sequence[mpz]) -> list[int]:
    """The first `few` values, decrypted by phe, which shares no code with ours."""
    private = key.to_phe()
    return [private.decrypt(c) for c in as_phe(key, ciphertexts[:few])]


def read_by_heu(peer: Heu, few: int, encrypted: Any) -> list[int]:
    return peer.decrypt(encrypted[:few])


def decryption(settings: Settings) -> list[Row]:
    """One value per ciphertext, and many in one."""
    owner, alpha = key_of(settings.key_bits), key_of(settings.key_bits, alpha=True)
    layout = layout_of(settings)
    few, many = draw(settings.slow_values), draw(layout.slots * settings.slow_values)
    ways = {}
    for name, key in (("", owner), (" alpha", alpha)):
        single, packed = key.encrypt(few), key.encrypt(layout.pack(many))
        ways[f"single{name}"] = Way(partial(key.decrypt, single), few, len(few))
        ways[f"packed{name}"] = Way(partial(read_packed, key, layout, packed, len(many)), many, len(many))
    ways |= peers_decrypt(settings, few)
    times = race(ways, settings.repetitions)
    packed_name = f"decrypt: {layout.slots} packed"
    return rows_of(
        [
            Claim("decrypt: one value", "single", PHE_NAME),
            Claim("decrypt: one value", "single", HEU_ZPAILLIER),
            Claim("decrypt: one value, alpha-key", "single alpha", PHE_NAME),
            Claim("decrypt: one value, alpha-key", "single alpha", HEU_ZPAILLIER),
            Claim(packed_name, "packed", PHE_NAME, 20),
            Claim(packed_name, "packed", HEU_ZPAILLIER, 20),
            Claim(packed_name, "packed", HEU_OU, None, (OU_NOTE,)),
            Claim(f"{packed_name}, alpha-key", "packed alpha", HEU_ZPAILLIER),
        ],
        times,
    )


def layout_of(settings: Settings) -> SlotLayout:
    return SlotLayout.for_sums(settings.key_bits, VALUE_BITS, additions=ADDITIONS)


def read_packed(key: SecretKey, layout: SlotLayout, packed: list[mpz], count: int) -> list[int]:
    return layout.unpack(key.decrypt(packed), count)


def peers_decrypt(settings: Settings, values: list[int]) -> dict[str, Way]:
    """How the peers decrypt: one value per ciphertext."""
    owner = key_of(settings.key_bits)
    private, encrypted = owner.to_phe(), as_phe(owner, owner.encrypt(values))
    ways = {PHE_NAME: Way(lambda: [private.decrypt(c) for c in encrypted], values, len(values))}
    for peer in heu_peers(settings.key_bits):
        column = peer.encrypt(peer.encode(values))
        ways[peer.name] = Way(partial(peer.decrypt, column), values, len(values))
    return ways


def returned_sums(settings: Settings) -> list[Row]:
    """What a partner's sums cost on their way back: packed under encryption and read, against read one by one."""
    owner = key_of(settings.key_bits)
    partner, layout = partner_of(owner), layout_of(settings)
    values = draw(layout.slots * max(1, settings.slow_values // 5))
    sums = owner.encrypt(values)

    def ours() -> list[int]:
        packed = partner.rerandomize(shift_pack(sums, layout.slot_bits, layout.slots, partner))
        return read_packed(owner, layout, packed, len(values))

    ways = {"ours": Way(ours, values, len(values))} | peers_decrypt(settings, values[: settings.slow_values])
    name = "return sums: pack, decrypt"
    note = "the peers return one ciphertext per value and do not re-randomise it"
    claims = [Claim(name, "ours", peer, None, (note,)) for peer in (PHE_NAME, HEU_ZPAILLIER, HEU_OU)]
    return rows_of(claims, race(ways, settings.repetitions))


def addition(settings: Settings) -> list[Row]:
    """The sum of a list, per addition."""
    owner = key_of(settings.key_bits)
    values = draw(settings.values)
    encrypted = owner.encrypt(values)
    for_phe, private = as_phe(owner, encrypted), owner.to_phe()
    answer, additions = [sum(values)], len(values) - 1
    ways = {
        "ours": Way(
            lambda: owner.public.sum(encrypted), answer, additions, lambda total: owner.decrypt([total])
        ),
        PHE_NAME: Way(
            lambda: sum(for_phe[1:], for_phe[0]), answer, additions, lambda total: [private.decrypt(total)]
        ),
    }
    for peer in heu_peers(settings.key_bits):
        column = peer.encrypt(peer.encode(values))
        ways[peer.name] = Way(partial(peer.sum, column), answer, additions, peer.decrypt_one)
    claims = [
        Claim("sum", "ours", PHE_NAME),
        Claim("sum", "ours", HEU_ZPAILLIER, TIE),
        Claim("sum", "ours", HEU_OU, None, (OU_NOTE,)),
    ]
    return rows_of(claims, race(ways, settings.repetitions))


def throughput(settings: Settings) -> list[Row]:
    """Values that are packed, encrypted, decrypted and unpacked again, per second."""
    owner, layout = key_of(settings.key_bits), layout_of(settings)
    many = draw(layout.slots * settings.slow_values)
    few = many[: settings.slow_values]
    private = owner.to_phe()

    def ours() -> list[int]:
        return read_packed(owner, layout, owner.encrypt(layout.pack(many)), len(many))

    def phe() -> list[int]:
        return [private.decrypt(private.public_key.encrypt(value)) for value in few]

    def heu(peer: Heu, encoded: Any) -> list[int]:
        return peer.decrypt(peer.encrypt(encoded))

    ways = {"ours": Way(ours, many, len(many)), PHE_NAME: Way(phe, few, len(few))}
    for peer in heu_peers(settings.key_bits):
        ways[peer.name] = Way(partial(heu, peer, peer.encode(few)), few, len(few))
    rates = {name: MICROSECONDS / time for name, time in race(ways, settings.repetitions).items()}
    name = "values through both, packed"
    claims = [Claim(name, "ours", PHE_NAME), Claim(name, "ours", HEU_ZPAILLIER)]
    claims.append(Claim(name, "ours", HEU_OU, None, (OU_NOTE,)))
    return rows_of(claims, rates, PER_SECOND_UNIT)


CASES: Final = tuple(
    Case("paillier", name, run)
    for name, run in (
        ("encryption", encryption),
        ("decryption", decryption),
        ("returning sums", returned_sums),
        ("addition", addition),
        ("throughput", throughput),
    )
)
