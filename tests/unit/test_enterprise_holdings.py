"""What a party judges its firms by: its own units again; rules and panels only where the gate left values alone."""

from __future__ import annotations

import msgspec
import numpy as np
import pandas as pd
import pytest
from gate_scene import home_of, policy_for

from clients.answered import AnsweredToday
from clients.context import StageContext
from clients.enterprise.stage import _ANSWERS, EnterpriseStage, exchange_options, holdings_of
from clients.gate.gate import Gate
from clients.gate.policy import activate
from clients.sample.enterprise_job import enterprise_table, write_enterprise_job
from clients.sample.enterprise_world import make_enterprises, write_enterprises
from federation.enterprise import health
from federation.jobfile import read_job_file
from privacy.catalog import Action, Override
from privacy.errors import ConfigInvalid

LAWSUITS = "firm_lawsuits_24m"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("firms")
    write_enterprises(make_enterprises(400, 9), folder)
    return folder, msgspec.structs.replace(
        read_job_file(write_enterprise_job(folder)).job, profile="TESTING_ONLY"
    )


def context_of(world, where, party, *overrides):
    folder, job = world
    others = tuple(name for name in job.roles.all if name != party)
    home = home_of(where, enterprise_table(folder, party), party, others)
    activate(home, msgspec.structs.replace(policy_for(home, job), overrides=overrides), is_rehearsal=True)
    context = StageContext(home, job, "f1" * 20, Gate(home, job, "look", is_preview=True))
    rows = np.arange(len(context.table))
    context.match(rows, np.zeros((len(rows), 16), np.uint8))
    return context


def test_a_rule_takes_no_means_of_buckets(world, tmp_path):
    coarse = holdings_of(context_of(world, tmp_path / "coarse", "utility"))
    assert LAWSUITS in coarse.columns
    assert coarse.rules == {}
    reason = "A published rule needs the count itself."
    exact = holdings_of(
        context_of(
            world, tmp_path / "exact", "utility", Override(field=LAWSUITS, reason=reason, action=Action.USE)
        )
    )
    assert set(exact.rules) == {LAWSUITS}
    counts = exact.rules[LAWSUITS]
    known = counts[np.isfinite(counts)]
    assert (known == np.rint(known)).all(), "whole again, though the model's transform is a logarithm"
    assert known.max() >= 2
    assert exact.panel.shape == (exact.rows, 24)


def test_columns_are_in_their_own_units(world, tmp_path):
    found = holdings_of(context_of(world, tmp_path / "platform", "platform"))
    table = pd.read_csv(world[0] / "platform" / "firms.csv")
    for name in ("employees", "years_registered", "order_growth"):
        assert np.nanmean(found.columns[name]) == pytest.approx(table[name].mean(), rel=0.05)
    assert found.panel is None


def test_the_jobs_plan_becomes_the_protocols_options(world):
    plan = msgspec.structs.replace(world[1].enterprise, growth=5, orders=55, since=12, until=20)
    options = exchange_options(msgspec.structs.replace(world[1], enterprise=plan))
    assert {topic.name: topic.weight for topic in options.topics} == plan.weights
    assert (options.since, options.until, options.bounds) == (12, 20, plan.level_bounds)
    assert options.topics != health.TOPICS
    with pytest.raises(ConfigInvalid):
        exchange_options(msgspec.structs.replace(world[1], enterprise=None))


def test_the_bank_needs_a_models_probability_and_a_partner_answers_so_often_a_day(world, tmp_path):
    with pytest.raises(ConfigInvalid) as problem:
        EnterpriseStage(context_of(world, tmp_path / "bank", "bank"))
    assert problem.value.key == "enterprise_probability"
    context = context_of(world, tmp_path / "platform", "platform")
    firms, limit = context.table.own_identifiers[context.kept.rows], context.home.settings.scores_per_day
    for _ in range(limit - 1):
        AnsweredToday(context.home, _ANSWERS).add(firms)  # of an earlier session each
    for _ in range(2):  # the second one is a rerun after somebody has left
        stage = EnterpriseStage(context)
        stage.role.start()
        stage.finish()
        assert stage.role.result.all()
    assert not AnsweredToday(context.home, _ANSWERS).allowed(firms).any()
