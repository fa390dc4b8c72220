"""Trained models in a node's vault, each under its number: what a later job of the same purpose may score with."""

from __future__ import annotations

import hashlib

import msgspec

from clients.context import StageContext
from clients.forgetting.cards import MODEL, check_usable, keep_card
from clients.home import NodeHome
from privacy.audit import EventType
from privacy.errors import ConfigInvalid, Denied
from privacy.reasons import Finding, Reason


class StoredModel(msgspec.Struct, frozen=True, kw_only=True):
    """A party's part of a model. purpose: of the job that trained it; parties: who took part, label holder first."""

    kind: str
    purpose: str
    parties: tuple[str, ...]
    data: bytes


def keep_model(context: StageContext, kind: str, model_id: bytes, data: bytes) -> None:
    """Store this party's part for later jobs, and note its digest in the log."""
    job = context.job
    stored = StoredModel(kind=kind, purpose=job.purpose, parties=job.roles.all, data=data)
    context.keep(MODEL + model_id.hex(), msgspec.msgpack.encode(stored))
    keep_card(context, kind, model_id.hex(), data)
    digests = {"model": hashlib.sha256(data).hexdigest()}
    context.gate.note(EventType.MODEL_REGISTERED, artefact=kind, digests=digests)


def model_for(context: StageContext, kind: str, number: str) -> bytes:
    """This party's part of an earlier job's model.

    Raises `ConfigInvalid` when there is none of this number and kind, or other parties trained it, `Denied` when it was
    trained for another purpose (PIPL 6, 14), or may not be used any more after deletions (PIPL 47).
    """
    stored = find_model(context.home, number)
    if stored is None or stored.kind != kind or stored.parties != context.job.roles.all:
        raise ConfigInvalid("model_unknown", name=number, kind=kind, party=context.plan.name)
    if stored.purpose != context.job.purpose:
        raise Denied.of([Finding(Reason.PURPOSE_MISMATCH, context.job.purpose)])
    check_usable(context.home, number)
    return stored.data


def find_model(home: NodeHome, number: str) -> StoredModel | None:
    """This node's part of a model by its number, whatever its state; None when there is none."""
    for name in home.vault.names("job/"):
        if name.endswith("/" + MODEL + number):
            data = home.vault.get(name)
            if data is not None:
                return msgspec.msgpack.decode(data, type=StoredModel)
    return None
