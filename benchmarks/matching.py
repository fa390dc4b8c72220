"""ID matching: CPU time of both sides per identifier of one list, half of which the other list shares.

Ours starts from normalised identifiers as a node holds them (an array of bytes), the peer from its strings. Tokens
and points are dumped and loaded with the receiver's checks. In `keyed` and `ecdh` a third party joins, and counts.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np

from benchmarks.cases import SEED, Case, Way, race
from benchmarks.peers import PSI_NAME, SPU_PROTOCOLS, OpenMinedPsi, SpuPsi, if_installed
from benchmarks.results import MICROSECONDS_UNIT, Row
from benchmarks.settings import Settings, size_name
from privacy import joining, matching
from privacy.curve import BlindingKey, hash_to_curve, point_tokens
from privacy.identifiers import Identifiers
from privacy.oprf import Receiver, Sender

KIND: Final = "phone"
FIRST_PHONE: Final = 12_000_000_000
"""Phones that begin with 12 belong to nobody."""

MUST_REACH: Final = {"keyed": 100.0, "ecdh": 1.4, "oprf": 30.0}
PROMISED_FROM: Final = {"oprf": 100_000}
"""Identifiers from which a mode's promise is meant: some 600 base transfers cost the same for a short list."""
REPEATED_UP_TO: Final = 10_000
"""Larger lists take one turn: they are long enough to be steady."""

Integers = np.ndarray[Any, np.dtype[np.int64]]


def draw_phones(rows: int) -> tuple[Integers, Integers]:
    """Two lists of distinct numbers, half of each in the other, both in random order."""
    rng = np.random.default_rng(SEED)
    numbers = FIRST_PHONE + rng.permutation(2 * rows)[: rows + rows // 2]
    return numbers[:rows], rng.permutation(numbers[rows // 2 : rows // 2 + rows])


def as_identifiers(numbers: Integers) -> Identifiers:
    return numbers.astype("S11")


def keyed(left: Identifiers, right: Identifiers) -> list[int]:
    """Both parties' tokens under their common key, joined. Returns the shared rows of `left`."""
    key = matching.new_key()
    sides = [matching.blind(key, KIND, identifiers) for identifiers in (left, right)]
    received = [joining.load(joining.dump(side.tokens), "party") for side in sides]
    return rows_in(sides[0].rows, joining.intersect(received)[0])


def ecdh(left: Identifiers, right: Identifiers) -> list[int]:
    """Both lists pass through both parties, and are joined. Returns the shared rows of `left`."""
    own, other = BlindingKey.generate(), BlindingKey.generate()
    sides = []
    for identifiers, first, second in ((left, own, other), (right, other, own)):
        sent = first.blind(hash_to_curve(KIND, identifiers), party="owner")
        sides.append(matching.sorted_distinct(point_tokens(second.blind(sent, party="owner"))))
    received = [joining.load(joining.dump(side.tokens), "party") for side in sides]
    return rows_in(sides[0].rows, joining.intersect(received)[0])


def rows_in(rows: Integers, positions: Integers) -> list[int]:
    found: list[int] = np.sort(rows[positions]).tolist()
    return found


def oprf(left: Identifiers, right: Identifiers) -> list[int]:
    """Two parties without a third. The receiver has `left`. Returns the shared rows of `left`."""
    receiver = Receiver(KIND, left, len(right), "sender")
    sender = Sender(KIND, right, len(left), "receiver")
    sender.start(receiver.answer(sender.choose(receiver.offer())))
    for bucket in range(receiver.parameters.n_buckets):
        sender.evaluate(bucket, receiver.correction(bucket))
    own, values = receiver.blinded, sender.blinded
    if own is None or values is None:
        return []
    received = joining.load(joining.dump(values.tokens), "sender")
    return rows_in(own.rows, joining.intersect([own.tokens, received])[0])


def cases(settings: Settings) -> tuple[Case, ...]:
    """One case per size, smallest first: openmined-psi's figure is carried over to the sizes it does not run at."""
    carried: list[tuple[int, float]] = []
    return tuple(
        Case("matching", f"matching, {size_name(rows)} ids", partial(matching_rows, rows, carried))
        for rows in sorted(settings.match_sizes)
    )


def matching_rows(rows: int, carried: list[tuple[int, float]], settings: Settings) -> list[Row]:
    """All modes at one size, against what can be run at it.

    carried: sizes and microseconds per identifier of openmined-psi's runs so far; read and written here.
    """
    lists = draw_phones(rows)
    answer = np.flatnonzero(np.isin(*lists)).tolist()
    identifiers = [as_identifiers(numbers) for numbers in lists]
    ours = {"keyed": keyed, "oprf": oprf} | ({"ecdh": ecdh} if rows <= settings.ecdh_limit else {})
    ways = {mode: Way(partial(match, *identifiers), answer, rows) for mode, match in ours.items()}
    psi_rows = min(rows, settings.peer_match_limit)
    if psi_rows == rows or not carried:
        ways |= psi_way(psi_rows)
    ways |= spu_ways(*lists, len(answer))
    times = race(ways, settings.repetitions if rows <= REPEATED_UP_TO else 1)
    if PSI_NAME in times:
        carried.append((psi_rows, times[PSI_NAME]))
    measured = {name: (rows, times[name]) for name in SPU_PROTOCOLS if name in times}
    measured |= {PSI_NAME: carried[-1]} if carried else {}
    return [
        row_of(mode, peer, rows, times[mode], measured)
        for mode in MUST_REACH
        if mode in ours
        for peer in dict.fromkeys((PSI_NAME, *measured))
    ]


def row_of(mode: str, peer: str, rows: int, time: float, measured: dict[str, tuple[int, float]]) -> Row:
    """One mode against one peer, whose figure may come from a smaller size."""
    peer_rows, peer_time = measured.get(peer, (rows, None))
    promised = peer == PSI_NAME and rows >= PROMISED_FROM.get(mode, 0)
    note = f"{peer} measured with {size_name(peer_rows)} ids: its time is linear in them"
    return Row(
        name=f"match {mode}, {size_name(rows)} ids",
        unit=MICROSECONDS_UNIT,
        ours=time,
        peer=peer_time,
        peer_name=peer,
        must_reach=MUST_REACH[mode] if promised else None,
        notes=() if peer_rows == rows else (note,),
    )


def psi_way(rows: int) -> dict[str, Way]:
    """openmined-psi on lists of this size, if it is installed."""
    psi = if_installed(OpenMinedPsi)
    if psi is None:
        return {}
    own, other = draw_phones(rows)
    texts = [[str(number) for number in numbers.tolist()] for numbers in (own, other)]
    return {
        psi.name: Way(partial(psi.match, *texts), np.flatnonzero(np.isin(own, other)).tolist(), rows, sorted)
    }


def spu_ways(own: Integers, other: Integers, overlap: int) -> dict[str, Way]:
    """spu's protocols, if it is installed; they tell the overlap's size."""
    found = {name: if_installed(partial(SpuPsi, name)) for name in SPU_PROTOCOLS}
    return {
        name: Way(partial(match_files, spu, own, other), [overlap], len(own), lambda size: [size])
        for name, spu in found.items()
        if spu is not None
    }


def match_files(spu: SpuPsi, own: Integers, other: Integers) -> int:
    """Files are spu's only interface, so that writing them is part of its work (under 1 us per identifier)."""
    with TemporaryDirectory() as folder:
        files = ("own.csv", "other.csv")
        for name, numbers in zip(files, (own, other), strict=True):
            lines = "\n".join(map(str, numbers.tolist()))
            (Path(folder) / name).write_text(f"id\n{lines}\n", "ascii")
        return spu.match(folder, files, "id")
