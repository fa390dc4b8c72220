"""Model cards: what each model in a node's vault was trained on, which of these rows have left since, what replaced it.

A deletion takes a person's row out of what a training would start from; the trained weights stay, and remain usable for
a while: it is disputed whether they are personal information, and they cannot be changed for one person without telling
about that person (ADR 24). So the outcome for a model is `restricted_technical` until its deadline and not `erased`: by
then it is trained again without the row (`[forget]`), or it is retired and refused (R-MODEL-TAINTED).

Every matched row of a job counts as one that its models were trained with, also those that were held out: a partner is
not told which these are. How many have left is the difference of two numbers; nobody's name is in a card.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

import msgspec

from clients.context import StageContext
from clients.finished import HANDLE, read_handle, record_name
from clients.forgetting.digests import digest_of_model
from clients.forgetting.holding import records_held
from clients.home import NodeHome
from clients.rights.located import Located
from federation.jobs import Stage
from federation.pace import today
from privacy.audit import EventType
from privacy.errors import ConfigInvalid, Denied
from privacy.policy import PurposeClass
from privacy.reasons import Finding, Reason
from privacy.rights import Artefact, Outcome, Result

CARD: Final = "card/"
MODEL: Final = "model/"
"""A job's records: the card and the model itself, under the model's number."""
CREDIT_DAYS: Final = 30
"""By when a model that lending rests on is trained again after a deletion: our choice, as the law names no time."""
OTHER_DAYS: Final = 90
"""The same for every other model; PIPL 47 lets "technically hard to delete" stand for no longer than is needed."""


class ModelState(StrEnum):
    """active, tainted (usable until its deadline), superseded by another, retired."""

    ACTIVE = "active"
    TAINTED = "tainted"
    SUPERSEDED = "superseded"
    RETIRED = "retired"


class ModelCard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One party's card of one model.

    stages: of the job; attestation, snapshot: what this party had attested when the model was finished, and its root
    over those whose consents held. rows: matched when it was finished; digest: of what the model says
    (`clients.forgetting.digests`). is_credit: whether lending rests on it. supersedes, superseded_by: numbers of
    models; honoured: by how many rows it was trained without those of the one before. since: the day of the first
    deletion after it was trained; retired: the day from which it is refused.
    """

    number: str
    kind: str
    session: str
    job: str
    purpose: str
    parties: tuple[str, ...]
    stages: tuple[str, ...]
    k_min: int
    attestation: str
    snapshot: str
    rows: int
    trained: date
    digest: str
    is_credit: bool
    supersedes: str = ""
    superseded_by: str = ""
    honoured: int = 0
    since: date | None = None
    retired: date | None = None

    @property
    def deadline(self) -> date | None:
        """Until when it may be used after a deletion, that day included; None: nobody has left."""
        days = CREDIT_DAYS if self.is_credit else OTHER_DAYS
        return None if self.since is None else self.since + timedelta(days=days)

    def state(self, day: date) -> ModelState:
        """What it is on a day: past its deadline a tainted model is retired, whether or not that was noted."""
        if self.superseded_by:
            return ModelState.SUPERSEDED
        if self.retired is not None or (self.deadline is not None and day > self.deadline):
            return ModelState.RETIRED
        return ModelState.ACTIVE if self.since is None else ModelState.TAINTED

    @property
    def is_unplaced(self) -> bool:
        """Whether a job with `[forget]` trained it and it took no model's place: nobody has counted the changes then.

        The job did not end, or another one had replaced the earlier model first.
        """
        return Stage.RECALL.value in self.stages and not self.supersedes

    @property
    def rows_band(self) -> int:
        """`rows` rounded down to a multiple of k_min."""
        return self.rows // self.k_min * self.k_min


def keep_card(context: StageContext, kind: str, number: str, data: bytes) -> None:
    """Store the card of a model that this job has trained; of a stage that began again only the last model is kept.

    When the job has ended everywhere, the model replaces the one it was trained again for.
    """
    replaced = context.trained.get(kind, number)
    if replaced != number:
        for record in (CARD, MODEL):
            context.home.vault.remove_one(record_name(context.session, record + replaced))
    context.trained[kind] = number
    job, attestation = context.job, context.gate.attestation()
    card = ModelCard(
        number=number,
        kind=kind,
        session=context.session,
        job=job.name,
        purpose=job.purpose,
        parties=job.roles.all,
        stages=tuple(stage.value for stage in job.stages),
        k_min=context.k_min,
        attestation=attestation.binding.hex(),
        snapshot=attestation.snapshot,
        rows=len(context.kept.rows),
        trained=today(),
        digest=digest_of_model(kind, data, is_label_holder=context.is_label_holder),
        is_credit=context.gate.terms.purpose.treatment is PurposeClass.CREDIT_RISK,
    )
    context.keep(CARD + number, msgspec.json.encode(card))
    if job.forget is not None:
        before = job.forget.session
        context.at_end(lambda: _supersede(context, before, kind, number))


def cards(home: NodeHome, session: str = "") -> list[ModelCard]:
    """All cards, or those of one session, the oldest first."""
    found = []
    for owner in [session] if session else sessions_with_cards(home):
        for name in home.vault.names(record_name(owner, CARD)):
            data = home.vault.get(name)
            if data is not None:
                found.append(msgspec.json.decode(data, type=ModelCard))
    return sorted(found, key=lambda card: (card.trained, card.session, card.number))


def sessions_with_cards(home: NodeHome) -> list[str]:
    """The sessions that have trained a model here."""
    names = home.vault.names("job/")
    return sorted({name.split("/")[1] for name in names if f"/{CARD}" in name})


def card_of(home: NodeHome, number: str) -> ModelCard:
    """Raises `ConfigInvalid` when there is no such model here."""
    for card in cards(home):
        if card.number == number:
            return card
    raise ConfigInvalid("card_unknown", name=number)


def tainted_by(home: NodeHome, card: ModelCard) -> int:
    """How many of a model's rows have left since: of those it had, without those that are still matched here."""
    data = home.vault.get(record_name(card.session, HANDLE))
    left = card.rows - (0 if data is None else len(read_handle(data)[0]))
    return max(left, int(card.since is not None))


def check_usable(home: NodeHome, number: str) -> None:
    """Raises `Denied` (R-MODEL-TAINTED) for a model that was superseded or retired, or is past its deadline.

    A model from before there were cards has none and is not refused.
    """
    for card in cards(home):
        if card.number == number and card.state(today()) in {ModelState.SUPERSEDED, ModelState.RETIRED}:
            raise Denied.of([Finding(Reason.MODEL_TAINTED, number)])


def taint(home: NodeHome, subjects: Sequence[Located]) -> list[Outcome]:
    """Mark the models that subjects' rows took part in, one outcome per subject.

    RESTRICTED_TECHNICAL until the latest deadline of a model that is in use; NOT_FOUND where there is none. A model
    that is made of single people's rows (`clients.forgetting.holding`) is retired at once. Again for the same subjects
    it changes nothing.
    """
    outcomes = []
    for subject in subjects:
        deadlines = []
        for session in {row.session for row in subject.shared}:
            for card in cards(home, session):
                if card.state(today()) in {ModelState.SUPERSEDED, ModelState.RETIRED}:
                    continue
                marked = card if card.since else _put(home, msgspec.structs.replace(card, since=today()))
                deadlines.append(marked.deadline or today())
                if records_held(home, card.kind, session, card.k_min):
                    _retire(home, marked, today(), Reason.MODEL_CONTAINS_RECORDS)
        outcomes.append(
            Outcome(
                artefact=Artefact.MODEL,
                result=Result.RESTRICTED_TECHNICAL,
                review=max(deadlines),
                reason=Reason.MODEL_TAINTED.value,
            )
            if deadlines
            else Outcome(artefact=Artefact.MODEL, result=Result.NOT_FOUND)
        )
    return outcomes


def retire_overdue(home: NodeHome, day: date) -> list[ModelCard]:
    """Retire what is past its deadline: nothing unsafe is released in its place. Returns what was retired now."""
    retired = []
    for card in cards(home):
        if card.retired is None and card.state(day) is ModelState.RETIRED:
            retired.append(_retire(home, card, day, Reason.MODEL_TAINTED))
    return retired


def _retire(home: NodeHome, card: ModelCard, day: date, reason: Reason) -> ModelCard:
    home.audit.append(
        EventType.MODEL_RETIRED,
        actor="node",
        artefact=card.kind,
        reasons=(reason.value,),
        digests={"model": card.digest},
    )
    return _put(home, msgspec.structs.replace(card, retired=day))


def _supersede(context: StageContext, before: str, kind: str, number: str) -> None:
    """The new model takes the place of the earlier session's model of its kind, at this party.

    Where another model has taken that place already, it takes none and is never released (`ModelCard.is_unplaced`):
    what it differs by from that one has not been counted.
    """
    home, session = context.home, context.session
    if context.trained[kind] != number:
        return  # its stage has begun again since
    new = next(card for card in cards(home, session) if card.number == number)
    for old in cards(home, before):
        if old.kind != kind or old.superseded_by:
            continue
        honoured = old.rows - new.rows
        _put(home, msgspec.structs.replace(old, superseded_by=number))
        _put(home, msgspec.structs.replace(new, supersedes=old.number, honoured=honoured))
        home.audit.append(
            EventType.MODEL_SUPERSEDED,
            actor="node",
            session=session,
            artefact=new.kind,
            numbers={"changes": honoured},
            digests={"model": old.digest, "successor": new.digest},
        )


def _put(home: NodeHome, card: ModelCard) -> ModelCard:
    """Replace a card; until when it may be read stays."""
    home.vault.put(record_name(card.session, CARD + card.number), msgspec.json.encode(card))
    return card


def segments_number(session: str) -> str:
    """The number under which a session's segments are listed among its models, 32 hexadecimal digits."""
    return hashlib.sha256(b"silhouette segments\x00" + session.encode()).hexdigest()[:32]
