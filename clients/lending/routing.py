"""What a decision policy does to the time until a decision: a simulation of applications, desks and queues.

Model. Applications arrive as a Poisson process. Each first waits for its papers (log-normal); then it queues, first
come first served, for one of a lane's officers and is worked on (log-normal). Baseline: every application takes the
manual way, with all officers. With the policy: the fast lane has officers of its own, *taken from the same staff*,
and waits only for what partners do not answer at once; what is declined takes the manual way, because a person
confirms it.
Assumptions. Working days; officers are never ill; nobody gives up waiting; lanes do not help each other out. The
defaults are invented so that the baseline takes about two weeks at the median, as the design's source says of such
loans; they are not measured anywhere. What the simulation shows is how far queues shrink *under these assumptions*.
Source. The queue is Kiefer and Wolfowitz 1955 (G/G/c): who waits longest gets the officer who is free first.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np

from clients.lending.plan import Lane
from privacy.errors import ConfigInvalid

Floats = np.ndarray[Any, np.dtype[np.float64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]
FAST_LANE_DAYS: Final = 3.0
FAST_LANE_SHARE: Final = 0.5
FAST_LANE_BAD_RATE: Final = 0.02
"""The design's targets: at most so many days at the median, at least this share, at most this bad rate."""
HIGH_RISK: Final = ("D", "E")


class FlowAssumptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the simulation takes for granted; times in working days, medians of log-normal distributions.

    per_day: applications; officers: in all; fast_officers: of these, in the fast lane; papers_days, fast_papers_days:
    until the papers are there; work_days, fast_work_days: of one officer; spread: standard deviation of the logarithms.
    """

    per_day: float = 20.0
    officers: int = 25
    fast_officers: int = 3
    papers_days: float = 8.0
    fast_papers_days: float = 1.5
    work_days: float = 1.1
    fast_work_days: float = 0.15
    spread: float = 0.4

    def check(self) -> None:
        """Raises `ConfigInvalid` for what is not positive, and for a staff that the fast lane uses up."""
        numbers = msgspec.structs.astuple(self)
        if not all(math.isfinite(number) and number > 0 for number in numbers):
            raise ConfigInvalid("lending_flow")
        if self.fast_officers >= self.officers:
            raise ConfigInvalid("lending_flow")


def finished(ready: Floats, work: Floats, officers: int) -> Floats:
    """(n,): when each application is decided; ready: (n,) moments, work: (n,) days of an officer each."""
    free = [0.0] * officers
    done = np.empty(len(ready))
    for place in np.argsort(ready, kind="stable").tolist():
        start = max(heapq.heappop(free), ready[place])
        done[place] = start + work[place]
        heapq.heappush(free, done[place])
    return done


def simulate(
    lanes: Sequence[Lane],
    grades: Sequence[str],
    label: np.ndarray[Any, Any] | None = None,
    assumptions: FlowAssumptions | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """How long decisions take with these lanes and without, as a report.

    lanes, grades: (n,) of each application ("" for a grade that was not given), which arrive in a random order; label:
    (n,) of 0 and 1 where outcomes are known. Both flows get the same arrivals, papers and work. Raises `ConfigInvalid`.
    """
    given = assumptions or FlowAssumptions()
    given.check()
    count = len(lanes)
    if not count or len(grades) != count or (label is not None and len(label) != count):
        raise ConfigInvalid("lending_flow")
    random = np.random.default_rng(seed)
    arrival = np.cumsum(random.exponential(1 / given.per_day, count))
    arrival = arrival[random.permutation(count)]
    papers, work = (np.exp(given.spread * random.standard_normal(count)) for _ in range(2))
    fast = np.array([lane is Lane.FAST for lane in lanes], dtype=np.bool_)

    baseline = finished(arrival + given.papers_days * papers, given.work_days * work, given.officers)
    done = np.empty(count)
    for rows, officers, papers_days, work_days in (
        (fast, given.fast_officers, given.fast_papers_days, given.fast_work_days),
        (~fast, given.officers - given.fast_officers, given.papers_days, given.work_days),
    ):
        ready = arrival[rows] + papers_days * papers[rows]
        done[rows] = finished(ready, work_days * work[rows], officers)
    days, before = done - arrival, baseline - arrival

    of_lane = {lane.value: np.array([one is lane for one in lanes], dtype=np.bool_) for lane in Lane}
    high_risk = np.isin(np.array(grades, dtype=str), HIGH_RISK)
    report: dict[str, Any] = {
        "applications": count,
        "seed": seed,
        "assumptions": msgspec.structs.asdict(given),
        "lanes": {name: _figures(days[rows], rows, label, high_risk) for name, rows in of_lane.items()},
        "all": _figures(days, np.ones(count, dtype=np.bool_), label, high_risk),
        "baseline": _times(before),
    }
    report["targets"] = _targets(report)
    return report


def _times(days: Floats) -> dict[str, float | None]:
    if not len(days):
        return {"median_days": None, "p90_days": None}
    return {"median_days": float(np.median(days)), "p90_days": float(np.quantile(days, 0.9))}


def _figures(
    days: Floats, rows: Mask, label: np.ndarray[Any, Any] | None, high_risk: Mask
) -> dict[str, float | int | None]:
    known = label is not None and rows.any()
    return {
        "share": float(np.mean(rows)),
        **_times(days),
        "high_risk": int(high_risk[rows].sum()),
        "bad_rate": float(np.mean(label[rows])) if label is not None and known else None,
    }


def _targets(report: dict[str, Any]) -> dict[str, bool | None]:
    """Which of the design's targets are met; None for one that cannot be told."""
    fast, median = report["lanes"][Lane.FAST.value], report["lanes"][Lane.FAST.value]["median_days"]
    bad_rate = fast["bad_rate"]
    return {
        "fast_lane_days": None if median is None else median <= FAST_LANE_DAYS,
        "not_slower": report["all"]["median_days"] <= report["baseline"]["median_days"],
        "no_high_risk": fast["high_risk"] == 0,
        "fast_lane_share": fast["share"] >= FAST_LANE_SHARE,
        "fast_lane_bad_rate": None if bad_rate is None else bad_rate <= FAST_LANE_BAD_RATE,
    }
