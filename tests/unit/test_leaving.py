"""What leaves each party in a job, told before anything has run."""

import dataclasses

import msgspec
import pytest

from federation.disclosed import protocols_of
from federation.jobs import Job, MatchMode, MatchPlan, PartyPlan, PartyRole, RiskPlan, SegmentsPlan, Stage
from federation.leaving import leaving, leaving_of, to_records
from federation.messages import COORDINATOR
from privacy.errors import ConfigInvalid
from privacy.texts import LANGUAGES, text

JOB = Job(
    name="lending",
    purpose="credit_risk",
    parties=(
        PartyPlan(
            name="bank",
            role=PartyRole.LABEL_HOLDER,
            segment_fields=("income",),
            risk_fields=("income", "age"),
        ),
        PartyPlan(
            name="shop",
            role=PartyRole.FEATURE_HOLDER,
            segment_fields=("spend",),
            risk_fields=("spend", "visits"),
        ),
        PartyPlan(name="telecom", role=PartyRole.FEATURE_HOLDER, risk_fields=("calls",)),
    ),
    segments=SegmentsPlan(),
    risk=RiskPlan(trees=2, depth=2, bins=8),
)


def of_stage(found, stage):
    return next(item for item in found.stages if item.stage is stage)


def test_every_party_and_every_stage_is_there():
    found = leaving(JOB)
    assert [party.party for party in found] == ["bank", "shop", "telecom"]
    for party in found:
        assert tuple(stage.stage for stage in party.stages) == JOB.stages


def test_nothing_that_others_learn_is_left_out():
    """Every declaration about a role that somebody else has is in the party's list, with that somebody."""
    for party in leaving(JOB):
        for stage in party.stages:
            told = {(item.protocol, item.what): item.to for item in stage.items}
            for protocol in protocols_of(stage.stage, JOB.match, JOB.risk):
                for names, learned in (
                    ((JOB.roles.label_holder,), protocol.label_holder),
                    (JOB.roles.feature_holders, protocol.feature_holder),
                    ((COORDINATOR,), protocol.coordinator),
                ):
                    others = set(names) - {party.party}
                    for item in learned if others else ():
                        assert others <= set(told[protocol.protocol, item.what])


def test_nothing_is_told_to_oneself():
    for party in leaving(JOB):
        assert all(party.party not in item.to for stage in party.stages for item in stage.items)


def test_a_stage_names_the_fields_that_it_reads():
    shop = leaving_of(JOB, "shop")
    assert of_stage(shop, Stage.MATCH).fields == ()
    assert of_stage(shop, Stage.SEGMENTS).fields == ("spend",)
    assert of_stage(shop, Stage.RISK).fields == ("spend", "visits")


def test_sizes_are_those_of_the_partners_sums():
    assert leaving_of(JOB, "bank").sizes is None
    sizes = leaving_of(JOB, "shop", rows=5_000).sizes
    assert sizes["rows"] == 5_000
    assert set(sizes["fields"]) == {"spend", "visits"}
    without = msgspec.structs.replace(JOB, risk=None)
    assert leaving_of(without, "shop").sizes is None


def test_the_way_of_matching_changes_what_leaves():
    two = msgspec.structs.replace(JOB, parties=JOB.parties[:2])
    other = msgspec.structs.replace(two, match=MatchPlan(mode=MatchMode.OPRF))
    assert of_stage(leaving_of(two, "shop"), Stage.MATCH) != of_stage(leaving_of(other, "shop"), Stage.MATCH)


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_is_told_in_words(language):
    record = to_records(leaving_of(JOB, "shop"), language)
    first = record["stages"][0]["leaves"][0]
    assert first["text"] == text(f"disclosures.{first['protocol']}.{first['what']}", language=language)
    assert msgspec.json.decode(msgspec.json.encode(record))["party"] == "shop"


def test_a_stranger_is_refused():
    with pytest.raises(ConfigInvalid) as caught:
        leaving_of(JOB, "nobody")
    assert caught.value.key == "job_party_unknown"


def test_it_follows_from_the_job_alone():
    assert leaving(JOB) == leaving(JOB)
    assert dataclasses.is_dataclass(leaving_of(JOB, "bank"))
