"""Giving a party's own part of a model out of its vault, with its card: what may be, and as what."""

from __future__ import annotations

from base64 import b64encode
from datetime import date

import msgspec
import numpy as np

from clients.finished import SEGMENTS
from clients.forgetting.cards import ModelCard, ModelState, tainted_by
from clients.forgetting.digests import segments_part
from clients.forgetting.earlier import record
from clients.forgetting.holding import records_held
from clients.gate.policy import active_policy
from clients.home import NodeHome
from clients.models import find_model
from federation.jobs import Method
from privacy.audit import EventType
from privacy.errors import ConfigInvalid, Denied
from privacy.reasons import Finding, Reason


class CardView(msgspec.Struct, frozen=True, kw_only=True):
    """A card as its holder's people see it. rows: rounded down to a multiple of k_min; tainted_by: how many rows have
    left since it was trained; deadline: until when it may be used, where some have."""

    number: str
    kind: str
    state: ModelState
    session: str
    job: str
    purpose: str
    parties: tuple[str, ...]
    stages: tuple[str, ...]
    trained: date
    rows: int
    attestation: str
    snapshot: str
    digest: str
    tainted_by: int
    since: date | None
    deadline: date | None
    supersedes: str
    superseded_by: str
    honoured: int


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """A released part: the card without the number of rows that have left, and the part in base64."""

    card: CardView
    part: str


def view(home: NodeHome, card: ModelCard, day: date) -> CardView:
    """What a card says on a day."""
    return CardView(
        number=card.number,
        kind=card.kind,
        state=card.state(day),
        session=card.session,
        job=card.job,
        purpose=card.purpose,
        parties=card.parties,
        stages=card.stages,
        trained=card.trained,
        rows=card.rows_band,
        attestation=card.attestation,
        snapshot=card.snapshot,
        digest=card.digest,
        tainted_by=tainted_by(home, card),
        since=card.since,
        deadline=card.deadline,
        supersedes=card.supersedes,
        superseded_by=card.superseded_by,
        honoured=card.honoured,
    )


def check_release(home: NodeHome, card: ModelCard, day: date) -> None:
    """Raises `Denied` with every reason for which a model stays where it is.

    R-MODEL-TAINTED: replaced, retired or past its deadline. R-DIFFERENCING-RISK: it differs from the one before by too
    few rows, or nobody has counted by how many; that one is retired at its deadline all the same, and the holder has no
    model then: to release an unsafe one in its place would tell about the people who left. R-MODEL-CONTAINS-RECORDS: a
    part of it speaks of few.
    R-ADM-NO-HUMAN-PATH: by the policy in force it decides about people, and nobody can be asked for a review (PIPL 24).
    """
    findings = []
    if card.state(day) in {ModelState.SUPERSEDED, ModelState.RETIRED}:
        findings.append(Finding(Reason.MODEL_TAINTED, card.number))
    if card.is_unplaced or (card.supersedes and card.honoured < home.settings.release_after_changes):
        findings.append(Finding(Reason.DIFFERENCING_RISK, card.number))
    findings += records_held(home, card.kind, card.session, card.k_min)
    purpose = active_policy(home).purpose(card.purpose)
    if purpose is not None and purpose.automated_decision and not purpose.human_route:
        findings.append(Finding(Reason.ADM_NO_HUMAN_PATH, card.purpose))
    if findings:
        raise Denied.of(findings)


def release(home: NodeHome, card: ModelCard, day: date) -> Release:
    """This party's part of a model with its card, noted in the log, as a refusal is.

    Raises `Denied` as `check_release` does, `ConfigInvalid` when the model itself is not kept any more.
    """
    try:
        check_release(home, card, day)
    except Denied as denied:
        home.audit.append(
            EventType.ACCESS_DENIED,
            actor="operator",
            artefact=card.kind,
            reasons=denied.findings.codes,
            digests={"model": card.digest},
        )
        raise
    part = part_of(home, card)
    home.audit.append(
        EventType.MODEL_RELEASED, actor="node", artefact=card.kind, digests={"model": card.digest}
    )
    # How many have left is no business of whoever gets the model: it may be one person.
    seen = msgspec.structs.replace(view(home, card, day), tainted_by=0)
    return Release(card=seen, part=b64encode(part).decode())


def part_of(home: NodeHome, card: ModelCard) -> bytes:
    """The part as it is stored; of segments the centroids, without anybody's row. Raises `ConfigInvalid`."""
    if card.kind == Method.KMEANS:
        kept = msgspec.msgpack.decode(record(home, card.session, SEGMENTS))
        centroids = np.frombuffer(kept["centroids"], dtype=np.float64)
        return segments_part(kept["n_clusters"], tuple(kept["fields"]), centroids)
    stored = find_model(home, card.number)
    if stored is None:
        raise ConfigInvalid("card_unknown", name=card.number)
    return stored.data
