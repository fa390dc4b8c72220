"""All erasers, in the order of `privacy.rights.Artefact`: what leads to the rest goes last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from clients.home import NodeHome
from clients.rights.erasers.copies import CopyEraser
from clients.rights.erasers.decisions import DecisionEraser
from clients.rights.erasers.elsewhere import BackupEraser, ModelEraser
from clients.rights.erasers.features import FeatureEraser
from clients.rights.erasers.jobs import MatchEraser, ScoreEraser, SegmentEraser
from clients.rights.erasers.lists import AudienceEraser
from clients.rights.erasers.subjects import ConsentEraser, SubjectEraser
from clients.rights.erasers.unfinished import UnfinishedEraser
from clients.rights.located import Eraser, Located
from privacy.rights import Outcome

ERASERS: Final[tuple[Eraser, ...]] = (
    AudienceEraser(),
    SegmentEraser(),
    ScoreEraser(),
    DecisionEraser(),
    CopyEraser(),
    FeatureEraser(),
    UnfinishedEraser(),
    ModelEraser(),
    MatchEraser(),
    BackupEraser(),
    ConsentEraser(),
    SubjectEraser(),
)


def erasers_of(home: NodeHome, case: str = "") -> tuple[Eraser, ...]:
    """What deletes subjects from a node's stores, in order. case: for whose sake, in the ledger of deletions."""
    return tuple(BackupEraser(case) if isinstance(one, BackupEraser) else one for one in ERASERS)


def erase(home: NodeHome, subjects: Sequence[Located], case: str = "") -> list[Outcome]:
    """Delete subjects from everything; the outcomes of all artefacts, artefact by artefact.

    Where one artefact of somebody could not be deleted, the rest goes on, but the subject's own entry stays: it holds
    the restriction, and is what finds the rest again.
    """
    outcomes: list[Outcome] = []
    failed: set[int] = set()
    for eraser in erasers_of(home, case):
        chosen = list(range(len(subjects)))
        if isinstance(eraser, ConsentEraser | SubjectEraser):
            chosen = [place for place in chosen if place not in failed]
        found = eraser.erase(home, [subjects[place] for place in chosen])
        failed |= {place for place, one in zip(chosen, found, strict=True) if one.is_open}
        outcomes += found
    return outcomes
