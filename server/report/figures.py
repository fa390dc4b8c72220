"""The figures of a report: what the parties released, what was counted, and, in a rehearsal, the pooled fit.

Everything here is aggregate. What a party hid stays hidden: a None of a release stays None, and nothing is computed
that would give it away.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Final

import msgspec

from federation.disclosed import protocols_of
from federation.insight import SegmentProfile
from federation.jobs import Job, PartyRole
from federation.messages import COORDINATOR
from federation.roles import Disclosure, Disclosures
from federation.session import ClusterRelease, MatchRelease, RiskRelease, ScorecardRelease
from privacy.consent import STEP_REASONS

HIGHLIGHTS: Final = 3
"""At most so many fields are named as what stands out in a segment."""
HIGHLIGHT_FACTOR: Final = 1.2
"""A field stands out when its mean is this many times the overall mean, or the overall mean this many times its."""

Release = Mapping[str, Any]
Releases = Mapping[str, Mapping[str, Release]]
Traffic = Mapping[str, Mapping[str, Mapping[str, Any]]]


def build_report(
    job: Job,
    result: Mapping[str, Any],
    compare: Mapping[str, Any] | None,
    seconds: Mapping[str, float],
    *,
    created: datetime | None = None,
) -> dict[str, Any]:
    """Every figure of a finished job, as plain JSON types: the content of `report.json`.

    result: the outcome's `seconds`, `traffic` (stage -> party) and `releases` (party -> tag -> fields). compare: the
    pooled fits of a rehearsal, or None, which leaves the pooled figures null. seconds: durations measured outside the
    job (`total`), which win over the job's own. Means and rates are in the fields' own units and in [0, 1].
    """
    releases: Releases = _clean(result["releases"])
    traffic: Traffic = result["traffic"]
    parts = {**result["seconds"], **seconds}
    total = parts.pop("total", None)
    measured = round(sum(parts.values()), 3)
    durations = {"total": measured if total is None else total, **parts}
    if durations["total"] > measured:
        durations["other"] = round(durations["total"] - measured, 3)
    pooled = compare or {}
    report: dict[str, Any] = {
        "version": version("silhouette"),
        "created": (created or datetime.now(UTC)).isoformat(timespec="seconds"),
        "job": _job(job),
        "match": _match(job, releases),
        "segments": _segments(job, releases, pooled.get("segments", {})) if job.segments else None,
        "risk": _risk(job, releases, pooled.get("risk", {})) if job.risk else None,
        "scorecard": _scorecard(job, releases, pooled.get("scorecard", {})) if job.scorecard else None,
        "pooled_possible": compare is not None,
        "seconds": durations,
        "seconds_by_party": _by_stage(traffic, lambda counts: counts.get("seconds")),
        "bytes": _bytes(job, traffic),
        "peak_memory_bytes": _peak_memory(traffic),
        "disclosures": _disclosures(job, traffic, releases),
        "undeclared": _undeclared(job, traffic),
    }
    clean: dict[str, Any] = _clean(report)
    return clean


def _job(job: Job) -> dict[str, Any]:
    risk = msgspec.to_builtins(job.risk)
    if risk:
        # As the parties apply it: sums over fewer than k_min rows never leave a partner.
        risk["min_child_rows"] = max(risk["min_child_rows"] or 0, job.security.k_min)
    return {
        "name": job.name,
        "purpose": job.purpose,
        "profile": job.profile,
        "key_bits": job.security.key_bits,
        "k_min": job.security.k_min,
        "digest": job.digest,
        "label_holder": job.roles.label_holder,
        "parties": [
            {
                "name": party.name,
                "role": party.role.value,
                "segment_fields": list(party.segment_fields),
                "risk_fields": list(party.risk_fields),
                "enterprise_fields": list(party.enterprise_fields),
            }
            for party in job.parties
        ],
        "segments": msgspec.to_builtins(job.segments),
        "risk": risk,
        "scorecard": msgspec.to_builtins(job.scorecard),
        "scoring": msgspec.to_builtins(job.scoring),
        "enterprise": msgspec.to_builtins(job.enterprise),
        "forget": msgspec.to_builtins(job.forget),
    }


def _release(releases: Releases, party: str, kind: type[msgspec.Struct]) -> Release:
    """One party's release, or an empty record when it made none."""
    return releases.get(party, {}).get(str(kind.__struct_config__.tag), {})


def _match(job: Job, releases: Releases) -> dict[str, Any]:
    parties = {}
    for party in job.roles.all:
        release = _release(releases, party, MatchRelease)
        parties[party] = {
            "rows": release.get("rows"),
            "eligible": release.get("eligible"),
            "matched": release.get("matched"),
            "funnel": [[reason, rows] for reason, rows in release.get("funnel", ())],
        }
    plan: dict[str, Any] = msgspec.to_builtins(job.match)
    codes = {step: reason.value for step, reason in STEP_REASONS.items()}
    matched = parties[job.roles.label_holder]["matched"]
    return {"matched": matched, "parties": parties, "codes": codes, **plan}


def _segments(job: Job, releases: Releases, pooled: Mapping[str, Any]) -> dict[str, Any]:
    holder = job.roles.label_holder
    chosen = _release(releases, holder, ClusterRelease)
    n_clusters = int(chosen.get("n_clusters", 0))
    profiles = {
        party: _profile(_release(releases, party, SegmentProfile), n_clusters) for party in job.roles.all
    }
    sizes = profiles[holder]["sizes"]
    rates = _fit(_release(releases, holder, RiskRelease).get("default_rate", ()), n_clusters)
    return {
        "k": n_clusters,
        "stability": [[k, value] for k, value in chosen.get("stability", ())],
        "iterations": chosen.get("iterations"),
        "ari_pooled": pooled.get("ari_pooled"),
        "largest_centroid_difference": pooled.get("largest_centroid_difference"),
        "sizes": sizes,
        "default_rate": rates,
        "default_rate_overall": weighted_mean(rates, sizes) if None not in rates else None,
        "highlights": _highlights(profiles, n_clusters),
        "profiles": profiles,
    }


def _profile(release: Release, n_clusters: int) -> dict[str, Any]:
    """A party's profile as released, with each field's overall mean and its index per segment."""
    sizes = _fit(release.get("sizes", ()), n_clusters)
    fields = []
    for field in release.get("fields", ()):
        counts, means = _fit(field["counts"], n_clusters), _fit(field["means"], n_clusters)
        # A count can be hidden where the mean is not: the segment's size is then the nearest known weight.
        weights = [size if count is None else count for count, size in zip(counts, sizes, strict=True)]
        overall = weighted_mean(means, weights)
        names = list(field["band_names"])
        fields.append(
            {
                "field": field["field"],
                "counts": counts,
                "means": means,
                "mean_overall": overall,
                "index": index_to(overall, means),
                "band_names": names,
                "bands": [_fit(bands or (), len(names)) for bands in _fit(field["bands"], n_clusters)],
            }
        )
    return {"sizes": sizes, "fields": fields}


def weighted_mean(values: Sequence[float | None], weights: Sequence[float | None]) -> float | None:
    """Mean of the shown values; None when nothing is shown."""
    shown = [(v, w) for v, w in zip(values, weights, strict=True) if v is not None and w is not None]
    total = sum(weight for _, weight in shown)
    return sum(value * weight for value, weight in shown) / total if total else None


def index_to(overall: float | None, means: Sequence[float | None]) -> list[float | None]:
    """Each mean as a percentage of the overall mean; None where hidden or where a ratio says nothing (not positive)."""
    if overall is None or overall <= 0:
        return [None] * len(means)
    return [None if mean is None or mean < 0 else 100 * mean / overall for mean in means]


def _highlights(profiles: Mapping[str, Any], n_clusters: int) -> list[list[dict[str, Any]]]:
    """Per segment, the fields whose means are farthest from the overall mean by ratio."""
    found: list[list[dict[str, Any]]] = []
    for segment in range(n_clusters):
        distances = [
            (abs(math.log(max(index, 1.0) / 100)), {"party": party, "field": field["field"], "index": index})
            for party, profile in profiles.items()
            for field in profile["fields"]
            if (index := field["index"][segment]) is not None
        ]
        far = [pair for pair in distances if pair[0] >= math.log(HIGHLIGHT_FACTOR)]
        far.sort(key=lambda pair: -pair[0])
        found.append([item for _, item in far[:HIGHLIGHTS]])
    return found


def _risk(job: Job, releases: Releases, pooled: Mapping[str, Any]) -> dict[str, Any]:
    release = _release(releases, job.roles.label_holder, RiskRelease)
    quality = _quality(release, pooled)
    return quality | {
        "model": release.get("model"),
        "largest_score_difference": pooled.get("largest_score_difference"),
    }


def _scorecard(job: Job, releases: Releases, pooled: Mapping[str, Any]) -> dict[str, Any]:
    release = _release(releases, job.roles.label_holder, ScorecardRelease)
    return _quality(release, pooled) | {"model": release.get("model"), "fields": release.get("fields")}


def _quality(release: Release, pooled: Mapping[str, Any]) -> dict[str, Any]:
    """What a model is worth on held-out rows, beside the label holder's own and, in a rehearsal, the pooled ones."""
    measures = {
        measure: {
            "bank_only": release.get(f"{measure}_alone"),
            "joint": release.get(f"{measure}_joint"),
            "pooled": pooled.get(f"{measure}_pooled"),
            "pooled_sklearn": pooled.get(f"{measure}_sklearn"),
        }
        for measure in ("auc", "ks")
    }
    return measures | {
        "train_rows": release.get("train_rows"),
        "test_rows": release.get("test_rows"),
        "importance": sorted(
            ([party, field, share] for party, field, share in release.get("importance", ())),
            key=lambda row: -row[2],
        ),
    }


def _by_stage(traffic: Traffic, measure: Any) -> dict[str, dict[str, Any]]:
    return {
        stage: {party: measure(counts) for party, counts in parties.items()}
        for stage, parties in traffic.items()
    }


def _bytes(job: Job, traffic: Traffic) -> dict[str, Any]:
    """Bytes of frames, sealed and signed, as each party counted them."""
    sent = _by_stage(traffic, lambda counts: sum(counts["bytes_sent"].values()))
    received = _by_stage(traffic, lambda counts: sum(counts["bytes_received"].values()))

    def total(by_stage: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
        return {party: sum(parties.get(party, 0) for parties in by_stage.values()) for party in job.roles.all}

    return {
        "sent": total(sent),
        "received": total(received),
        "by_stage": sent,
        "received_by_stage": received,
    }


def _received(traffic: Traffic, party: str) -> dict[str, int] | None:
    """Messages by tag that a party counted in all stages, or None when it counts none."""
    reports = [parties[party]["received"] for parties in traffic.values() if party in parties]
    if not reports:
        return None
    total: Counter[str] = Counter()
    for report in reports:
        total.update(report)
    return dict(total)


def _peak_memory(traffic: Traffic) -> dict[str, int]:
    """The most memory each party's node has held."""
    peaks: dict[str, int] = {}
    for parties in traffic.values():
        for party, counts in parties.items():
            peaks[party] = max(peaks.get(party, 0), counts.get("peak_memory_bytes", 0))
    return peaks


def _disclosures(job: Job, traffic: Traffic, releases: Releases) -> list[dict[str, Any]]:
    """What each party learned: the protocols' own lists, with the messages that really arrived.

    The coordinator does not count what it receives, so its numbers are null, apart from the releases, which are here.
    """
    found = []
    for party, role in _roles(job).items():
        received = _received(traffic, party)
        counted = _released(releases) if received is None else received
        for protocol, disclosure in _declared(job, role):
            known = received is not None or all(tag in counted for tag in disclosure.messages)
            messages = sum(counted.get(tag, 0) for tag in disclosure.messages)
            found.append(
                {
                    "party": party,
                    "role": role,
                    "protocol": protocol,
                    "what": disclosure.what,
                    "per_row": disclosure.per_row,
                    "messages": messages if known else None,
                }
            )
    return found


def _undeclared(job: Job, traffic: Traffic) -> list[dict[str, Any]]:
    """Messages that arrived although no protocol declares them for their recipient (the session's own apart)."""
    found = []
    for party, role in _roles(job).items():
        declared = {tag for _, disclosure in _declared(job, role) for tag in disclosure.messages}
        for tag, count in (_received(traffic, party) or {}).items():
            if tag not in declared and not tag.startswith("session."):
                found.append({"party": party, "message": tag, "messages": count})
    return found


def _roles(job: Job) -> dict[str, str]:
    """Every participant's role, the label holder first and the coordinator last."""
    return {party: job.plan_of(party).role.value for party in job.roles.all} | {COORDINATOR: COORDINATOR}


def _declared(job: Job, role: str) -> list[tuple[str, Disclosure]]:
    """(protocol, disclosure) of everything that the job's protocols tell this role."""
    return [
        (protocol.protocol, disclosure)
        for stage in job.stages
        for protocol in protocols_of(stage, job.match, job.risk)
        for disclosure in _for_role(protocol, role)
    ]


def _released(releases: Releases) -> dict[str, int]:
    return dict(Counter(tag for party in releases.values() for tag in party))


def _for_role(protocol: Disclosures, role: str) -> tuple[Disclosure, ...]:
    if role == PartyRole.LABEL_HOLDER:
        return protocol.label_holder
    if role == PartyRole.FEATURE_HOLDER:
        return protocol.feature_holder
    return protocol.coordinator


def _fit(values: Iterable[Any], length: int) -> list[Any]:
    """The values as a list of that length: a party's list may be too long or too short."""
    return [*values, *[None] * length][:length]


def _clean(value: Any) -> Any:
    """Lists for tuples, None for numbers that are not finite, and no control characters in names."""
    if isinstance(value, Mapping):
        return {_clean(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str):
        return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in value)
    return value
