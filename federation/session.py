"""A session: how the coordinator drives the stages of one job, and how parties answer.

The coordinator sends `StartStage` to all parties, relays or computes its own role, waits for every party's
`StageFinished`, and so on to `EndSession`. Consents may change meanwhile: the party concerned attests anew, tells the
others which rows leave, and the stage begins again without them; what was finished before stays. A party that cannot
go on sends `StageFailed`; the coordinator then sends `Abort` to the others. Texts in these messages come from the
catalogue and never hold a value of a table.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from federation.messages import Array, Message
from federation.roles import Disclosure, Disclosures
from privacy.reasons import Reason

Hex = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Id = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]
SessionName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")]
"""A party names records and a folder of results after it: nothing that leads elsewhere."""


class Offer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the coordinator's Flower message gives a party so that it can join: where, with which token, what job."""

    session: SessionName
    relay: str
    token: str
    job: bytes
    attempt: int = 1


class Ready(Message, frozen=True, tag="session.ready/1"):
    """Party -> coordinator: joined, with this version installed."""

    version: Annotated[str, Meta(max_length=64)]


class Attestation(Message, frozen=True, tag="session.attestation/1"):
    """Party -> everybody: on what it works from now on. Every later frame is bound to it (`binding`).

    policy: digest of its activated policy; schema: digest of the columns that the job may use and how they are
    minimised; snapshot: Merkle root over the commitments of the subjects whose consents hold (`privacy.snapshots`),
    empty before any row has been read; agreements and pipia: the ids of the documents that it relies on.
    """

    policy: Hex
    schema: Hex
    snapshot: Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?\Z")]
    agreements: Annotated[tuple[Id, ...], Meta(max_length=64)]
    pipia: Id

    @property
    def binding(self) -> bytes:
        """SHA-256 of the attestation, 32 bytes."""
        return hashlib.sha256(b"silhouette attestation v1\x00" + msgspec.msgpack.encode(self)).digest()


class StartStage(Message, frozen=True, tag="session.start_stage/1"):
    """Coordinator -> party: begin stage number `stage` (from 1), called `name`.

    Numbers go on when a stage is begun again because rows had to leave. voids: how many `StageVoided` the coordinator
    had received by then. Who has heard of more such news knows that this run will be void as well, and waits for the
    next; who has heard of as many has heard the same, so that all who begin do so with the same rows.
    """

    stage: int
    name: str
    voids: int = 0


class RowsWithdrawn(Message, frozen=True, tag="session.rows_withdrawn/1"):
    """Party -> party: the stage that runs is void, and goes on without some rows (PIPL 15, 23).

    positions: uint32 (n,), places in the result of the matching as it first was; rematch: the matching itself is void,
    and begins again with a list that others see nothing of.
    """

    positions: Array
    rematch: bool


class StageVoided(Message, frozen=True, tag="session.stage_voided/1"):
    """Party -> coordinator: consents have changed; what runs is void and has to begin again.

    Sent after `RowsWithdrawn` has gone to every other party.
    """

    rematch: bool


class StageProgress(Message, frozen=True, tag="session.stage_progress/1"):
    """Party -> coordinator: `done` of `total` steps of the stage; `step` is a key into the texts."""

    stage: int
    done: int
    total: int
    step: Annotated[str, Meta(max_length=64)]


class StageFinished(Message, frozen=True, tag="session.stage_finished/1"):
    """Party -> coordinator: the stage is done here. Traffic of the stage: bytes by peer, received messages by tag.

    peak_memory_bytes: the most memory that the node's process has held so far.
    """

    stage: int
    seconds: float
    bytes_sent: dict[str, int]
    bytes_received: dict[str, int]
    received: dict[str, int]
    peak_memory_bytes: int


class StageFailed(Message, frozen=True, tag="session.stage_failed/1"):
    """Party -> coordinator: cannot go on.

    code: the error's class; texts: its message by language; reasons: the codes of a refusal (`privacy.reasons`).
    """

    code: str
    texts: dict[str, str]
    reasons: Annotated[tuple[Reason, ...], Meta(max_length=64)] = ()


class Abort(Message, frozen=True, tag="session.abort/1"):
    """Coordinator -> party: the job has failed elsewhere."""

    code: str
    texts: dict[str, str]


class EndSession(Message, frozen=True, tag="session.end/1"):
    """Coordinator -> party: the job is done."""


class MatchRelease(Message, frozen=True, tag="session.match_release/1"):
    """Party -> coordinator, for the report: how its table shrank to the matched rows.

    funnel: (reason, rows) from the file to the eligible rows; a count from 1 to k_min - 1 is None.
    """

    rows: int
    eligible: int
    matched: int
    funnel: tuple[tuple[str, int | None], ...]


class ClusterRelease(Message, frozen=True, tag="session.cluster_release/1"):
    """Label holder -> coordinator, for the report: the chosen k, (k, stability) per candidate, iterations.

    Not the inertia: it is decrypted from what the coordinator sent, so releasing it would let a coordinator that
    deviates read a ciphertext of its choice.
    """

    n_clusters: int
    stability: tuple[tuple[int, float], ...]
    iterations: int


class RiskRelease(Message, frozen=True, tag="session.risk_release/1"):
    """Label holder -> coordinator, for the report: quality on held-out rows and what the model rests on.

    importance: (party, field or "" for a partner's total, share of the gain); default_rate: per segment, None under
    k_min rows or when the job has no segments. model: its number, by which later jobs score with it.
    """

    model: str
    train_rows: int
    test_rows: int
    auc_alone: float
    ks_alone: float
    auc_joint: float
    ks_joint: float
    importance: tuple[tuple[str, str, float], ...]
    default_rate: tuple[float | None, ...]


class ScorecardRelease(Message, frozen=True, tag="session.scorecard_release/1"):
    """Label holder -> coordinator, for the report: quality of the scorecard on held-out rows.

    importance: (party, field or "" for a partner's total, share of the kept fields' information value).
    fields: per party, how many fields stayed; model: its number, by which later jobs score with it.
    """

    model: str
    train_rows: int
    test_rows: int
    auc_alone: float
    ks_alone: float
    auc_joint: float
    ks_joint: float
    importance: tuple[tuple[str, str, float], ...]
    fields: dict[str, int]


MESSAGES: Final = (
    Ready,
    Attestation,
    StartStage,
    RowsWithdrawn,
    StageVoided,
    StageProgress,
    StageFinished,
    StageFailed,
    Abort,
    EndSession,
    MatchRelease,
    ClusterRelease,
    RiskRelease,
    ScorecardRelease,
)

_GATE: Final = (
    Disclosure("attestation", ("session.attestation/1",)),
    Disclosure("rows_withdrawn", ("session.rows_withdrawn/1",), per_row=True),
)
GATE_DISCLOSES: Final = Disclosures(
    "session",
    _GATE,
    _GATE,
    (
        Disclosure("attestation", ("session.attestation/1",)),
        Disclosure("voided", ("session.stage_voided/1",)),
    ),
)
MATCH_RELEASES: Final = Disclosures(
    "session", coordinator=(Disclosure("match_release", ("session.match_release/1",)),)
)
SEGMENT_RELEASES: Final = Disclosures(
    "session", coordinator=(Disclosure("cluster_release", ("session.cluster_release/1",)),)
)
RISK_RELEASES: Final = Disclosures(
    "session", coordinator=(Disclosure("risk_release", ("session.risk_release/1",)),)
)
SCORECARD_RELEASES: Final = Disclosures(
    "session", coordinator=(Disclosure("scorecard_release", ("session.scorecard_release/1",)),)
)
