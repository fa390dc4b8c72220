"""CPU time of several implementations of one task, interleaved.

A shared machine changes its speed from minute to minute, so the implementations take turns and each keeps its
fastest turn: what disturbs one turn disturbs its neighbours too, and ratios stay steady where absolute times do not.
Own code because the known tools finish one implementation before they begin the next (pyperf, pytest-benchmark).
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

MICROSECONDS = 1e6


def nothing() -> None:
    """No preparation."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """One implementation.

    run: one turn; operations: how many of the unit that is counted one turn does; prepare: what each turn needs and
    is not counted, such as a full pool.
    """

    name: str
    run: Callable[[], object]
    operations: int
    prepare: Callable[[], object] = nothing


def measure(
    contestants: Iterable[Contestant],
    repetitions: int,
    clock: Callable[[], float] = time.process_time,
) -> dict[str, float]:
    """Microseconds per operation of each contestant, by name: the minimum of `repetitions` turns each.

    clock: seconds. The default counts CPU time of this process with all its threads, so that a library that works in
    threads of its own gains nothing by it.
    """
    runners = list(contestants)
    best = {runner.name: math.inf for runner in runners}
    if repetitions < 1 or len(best) < len(runners):
        raise ValueError("at least one repetition, and a name of its own for each contestant")
    for _ in range(repetitions):
        for runner in runners:
            runner.prepare()
            gc.collect()  # nobody pays for the garbage of the one before
            start = clock()
            result = runner.run()
            spent = clock() - start
            del result
            best[runner.name] = min(best[runner.name], spent / runner.operations * MICROSECONDS)
    return best


def timed(run: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    """CPU seconds of one turn."""
    return measure([Contestant("", run, 1)], 1, clock)[""] / MICROSECONDS
