"""A party dies in the middle of a training; the job is run again and goes on from the finished trees."""

import msgspec
import numpy as np
import pytest
from scenario_world import lending_job, plan_of

from clients import compare
from clients.context import UNFINISHED
from federation import wire
from federation.boosting_messages import Begin, Gradients
from federation.boosting_options import Growth
from federation.jobs import RiskPlan
from federation.wire import tag_of

PLAN = RiskPlan(trees=5, depth=2, bins=8)
EVERYTHING = RiskPlan(
    trees=5, depth=3, bins=8, patience=3, validation_share=0.2, class_weight="balanced",
    goss_top=0.3, goss_other=0.4, growth=Growth.LEAF, max_leaves=4,
)  # fmt: skip


def training_job(scene, plan):
    """Matching, trees and scores at the parties of the scene."""
    parties = tuple(map(plan_of, scene.parties))
    return msgspec.structs.replace(lending_job(), risk=plan, parties=parties)


class Dies:
    """The party cannot go on when it is about to seal the n-th message of a kind."""

    def __init__(self, own, kind, number):
        self._own, self._kind, self._left = own, kind, number

    def __call__(self, own, recipient, message):
        if own == self._own and tag_of(message) == self._kind:
            self._left -= 1
            if self._left == 0:
                raise RuntimeError


def agreed(world, parties=("bank", "shop", "telecom")):
    scene = world(*parties)
    scene.agree("credit_risk")
    for party in parties[1:]:
        name = scene.specs[party].fields[1].name
        scene.register(party, categorical_fields=(name,))
    scene.build()
    return scene


def sent_in(scene, kind, since):
    decoded = (wire.decode(data) for *_, data in scene.federation.messages[since:])
    return [message for message in decoded if isinstance(message, kind)]


def unfinished(scene, party):
    return [name for name in scene.home(party).vault.names(UNFINISHED) if "/risk/" in name]


def equals_pooled(scene):
    homes = [scene.home(party).folder for party in scene.parties]
    return compare.compare(homes, scene.session)["risk"]["largest_score_difference"] < 1e-12


@pytest.mark.parametrize(("plan", "dying"), [(PLAN, "bank"), (EVERYTHING, "bank"), (EVERYTHING, "shop")])
def test_a_training_goes_on_from_its_finished_trees(world, plan, dying):
    scene = agreed(world)
    job = training_job(scene, plan)
    scene.admit(job)
    kind = "boosting.level/1" if dying == "bank" else "boosting.candidates/1"
    assert scene.run(job, Dies(dying, kind, 13 if dying == "bank" else 7)).status == "failed"
    assert all(unfinished(scene, party) for party in scene.parties)
    growing = max(message.tree for message in sent_in(scene, Gradients, 0))
    assert growing > 1

    before = len(scene.federation.messages)
    outcome = scene.run(job)
    assert outcome.status == "done", outcome.texts
    assert {begin.trees for begin in sent_in(scene, Begin, before)} <= {0, growing}
    assert min(message.tree for message in sent_in(scene, Gradients, before)) == growing
    assert equals_pooled(scene)
    assert not any(unfinished(scene, party) for party in scene.parties)
    assert scene.leaks() == []
    released = outcome.result["releases"]["bank"]["session.risk_release/1"]
    assert released["train_rows"] + released["test_rows"] == 90


def test_where_a_partner_has_forgotten_the_next_run_starts_from_zero(world):
    scene = agreed(world, ("bank", "shop"))
    job = training_job(scene, PLAN)
    scene.admit(job)
    assert scene.run(job, Dies("bank", "boosting.level/1", 8)).status == "failed"
    for name in unfinished(scene, "shop"):
        scene.home("shop").vault.remove(name)

    refused = scene.run(job)
    assert refused.status == "failed"
    assert "run the job again" in refused.texts["en"]
    assert not unfinished(scene, "bank")

    before = len(scene.federation.messages)
    assert scene.run(job).status == "done"
    assert [begin.trees for begin in sent_in(scene, Begin, before)] == [0]
    assert equals_pooled(scene)


def test_after_a_withdrawal_between_two_runs_the_training_starts_from_zero(world):
    """The people that train are others then, and what was kept of them goes."""
    scene = agreed(world, ("bank", "shop"))
    job = training_job(scene, PLAN)
    scene.admit(job)
    assert scene.run(job, Dies("bank", "boosting.level/1", 8)).status == "failed"
    scene.withdraw("bank", scene.phones[11])
    before = len(scene.federation.messages)
    outcome = scene.run(job)
    assert outcome.status == "done", outcome.texts
    assert [begin.trees for begin in sent_in(scene, Begin, before)] == [0]
    assert len(np.unique(scene.contexts["bank"].kept.rows)) == 89
    assert equals_pooled(scene)
