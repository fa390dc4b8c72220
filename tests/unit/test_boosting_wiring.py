"""What a job and a registration say of trees reaches the protocol."""

import dataclasses

import msgspec
import pytest

from clients.plans import boosting_options
from clients.tables import FieldSpec, TableSpec
from federation.boosting_options import BoostingOptions, Growth
from federation.jobs import Job, PartyPlan, PartyRole, RiskPlan, decode_job, encode_job
from privacy.errors import ConfigInvalid
from privacy.identifiers import IdentifierKind
from privacy.texts import LANGUAGES

PARTIES = (
    PartyPlan(name="bank", role=PartyRole.LABEL_HOLDER, risk_fields=("income",)),
    PartyPlan(name="shop", role=PartyRole.FEATURE_HOLDER, risk_fields=("spend",)),
)
PLAN = RiskPlan(
    trees=7, depth=3, bins=16, learning_rate=0.2, l2=2.0, min_child_rows=77, first_tree_local=False, patience=4,
    validation_share=0.25, class_weight=3, goss_top=0.2, goss_other=0.3, growth=Growth.LEAF, max_leaves=9,
)  # fmt: skip


def job_with(plan):
    return Job(name="trees", purpose="credit_risk", parties=PARTIES, risk=plan)


def test_every_option_of_a_job_reaches_the_trees():
    job = decode_job(encode_job(job_with(PLAN)))
    options = boosting_options(job)
    shared = {field.name for field in dataclasses.fields(BoostingOptions)} & set(RiskPlan.__struct_fields__)
    assert len(shared) == len(RiskPlan.__struct_fields__) - 3  # all but shards, test_share and seed
    for name in shared:
        assert getattr(options, name) == getattr(PLAN, name), name
        assert getattr(PLAN, name) != getattr(RiskPlan(), name), "else the test would not notice"


def test_the_defaults_are_the_trees_as_they_were():
    options = boosting_options(job_with(RiskPlan()))
    assert (options.patience, options.class_weight, options.growth) == (0, "none", Growth.LEVEL)
    assert not options.samples
    assert options.weight_bits == 0


@pytest.mark.parametrize("shares", [(0.2, 0.0), (0.0, 0.2), (0.6, 0.5)])
def test_shares_of_a_sample_that_do_not_fit_are_refused_with_the_job(shares):
    top, other = shares
    job = job_with(msgspec.structs.replace(PLAN, goss_top=top, goss_other=other))
    with pytest.raises(ConfigInvalid) as caught:
        decode_job(encode_job(job))
    assert "goss_top" in caught.value.render("en")


def test_only_registered_fields_hold_levels():
    spec = {"path": "a.csv", "id_column": "phone", "id_kind": IdentifierKind.PHONE}
    fields = (FieldSpec(name="city"), FieldSpec(name="income"))
    assert TableSpec(**spec, fields=fields, categorical_fields=("city",)).categorical_fields == ("city",)
    with pytest.raises(ConfigInvalid) as caught:
        TableSpec(**spec, fields=fields, categorical_fields=("city", "town"))
    assert caught.value.key == "table_categorical_unknown"
    for language in LANGUAGES:
        assert "town" in caught.value.render(language)
