"""A party's part in the stage that takes the place of the matching in a job with `[forget]`."""

from __future__ import annotations

import numpy as np

from clients.context import StageContext
from clients.forgetting.cards import cards
from clients.forgetting.earlier import JOB, ROWS, EarlierJob
from federation import recall
from federation.jobs import encode_job
from federation.messages import Message
from privacy.audit import EventType
from privacy.errors import ConfigInvalid


class RecallStage:
    """Which rows of the earlier job everybody still has, and the gate still lets through."""

    role: recall.LabelHolder | recall.FeatureHolder

    def __init__(self, context: StageContext) -> None:
        """Raises `ConfigInvalid` when the job is not the earlier one again, nothing was kept of that, or its models
        were trained again already."""
        self._context = context
        job = context.job
        if job.forget is None:
            raise ConfigInvalid("job_invalid", job=job.name, problem="forget")
        earlier = EarlierJob.read(context.home, job.forget.session)
        earlier.check(job)
        # Changes are counted against the named job: against one that was replaced they would say nothing of what the
        # new model differs by from its successor.
        if any(card.superseded_by or card.is_unplaced for card in cards(context.home, earlier.session)):
            raise ConfigInvalid("forget_superseded", job=job.name, name=earlier.session)
        loaded = context.table.rows
        at = np.minimum(np.searchsorted(loaded, earlier.places), max(0, len(loaded) - 1))
        admitted = loaded[at] == earlier.places if len(loaded) else np.zeros(len(at), dtype=np.bool_)
        self._rows, self._references = at[admitted].astype(np.int64), earlier.references[admitted]
        # Splits, batches and shards hang on places in the file: with a new extract they are other people's.
        if (context.tokens()[self._rows] != earlier.tokens[admitted]).any():
            raise ConfigInvalid("forget_table_changed", job=job.name, file=context.table.file)
        role = recall.LabelHolder if context.is_label_holder else recall.FeatureHolder
        self.role = role(
            job.roles,
            earlier.session,
            self._references,
            before=earlier.rows,
            k_min=context.k_min,
            least_changes=context.home.settings.release_after_changes,
        )

    def finish(self) -> list[Message]:
        """Nothing is released: how many are left, beside the earlier job's figures, would tell how many left."""
        found, context = self.role.result, self._context
        if found is None:
            return []
        context.match(self._rows[found.places], self._references[found.places])
        context.keep(JOB, encode_job(context.job))
        context.keep_handle()
        numbers = {"matched": len(found.places), "changes": found.changes}
        context.gate.note(EventType.MATCH_RUN, artefact="recall", numbers=numbers)
        context.at_end(lambda: keep_rows(context))
        return []


def keep_rows(context: StageContext) -> None:
    """Remember how many rows a job had when it ended, for a job that trains its models again."""
    rows = len(context.kept.rows)
    context.keep(ROWS, rows.to_bytes(max(1, (rows.bit_length() + 7) // 8)))
