"""A job's shards at one party: its settings reach the roles, what was kept is found again, rows may leave meanwhile."""

import msgspec
import numpy as np
import pytest
from gate_scene import admit, home_of

from benchmarks.shards import Forgetting, forget, forget_jointly, quality, synthetic
from clients.context import StageContext
from clients.gate.gate import Gate
from clients.risk_shards import SHARDS_RECORD, figure_bins, seed_before
from clients.risk_stages import RiskStage
from clients.tables import FieldSpec, TableSpec
from federation.binning import Binning
from federation.boosting_options import BoostingOptions
from federation.jobs import ForgetPlan, Job, PartyPlan, PartyRole, RiskPlan
from federation.scoring import LabelHolderModel
from federation.shards import ShardedFeatureHolder, ShardedLabelHolder
from federation.shards_messages import Shards
from federation.shards_records import FeatureShards, LabelShard, LabelShards, TrainedRows, deal, digest_of
from privacy.identifiers import IdentifierKind

PEOPLE = 90
PHONES = [f"139{number:08d}" for number in range(PEOPLE)]
PLAN = RiskPlan(trees=2, depth=2, bins=8, shards=2, first_tree_local=False)
EARLIER = "e5" * 16
SMALL = BoostingOptions(trees=2, depth=2, bins=8, k_min=5, min_child_rows=5)


def context_at(folder, party, plan=PLAN, **changes):
    is_bank = party == "bank"
    rows = [f"{phone},{place}" + f",{place % 3 % 2}" * is_bank for place, phone in enumerate(PHONES)]
    file = folder / f"{party}.csv"
    file.write_text("\n".join(["phone,income" + ",bad" * is_bank, *rows]))
    spec = TableSpec(
        path=str(file),
        id_column="phone",
        id_kind=IdentifierKind.PHONE,
        fields=(FieldSpec(name="income"),),
        label_column="bad" if is_bank else None,
    )
    home = home_of(folder / f"{party}-home", spec, party, ("shop",) if is_bank else ("bank",))
    parties = (
        PartyPlan(name="bank", role=PartyRole.LABEL_HOLDER, risk_fields=("income",)),
        PartyPlan(name="shop", role=PartyRole.FEATURE_HOLDER, risk_fields=("income",)),
    )
    job = Job(
        name="look", purpose="credit_risk", parties=parties, profile="TESTING_ONLY", risk=plan, **changes
    )
    admit(home, job)
    made = StageContext(home, job, "f2" * 16, Gate(home, job, "look", is_preview=True))
    made.match(np.arange(PEOPLE), np.zeros((PEOPLE, 16), np.uint8))
    return made


@pytest.fixture
def bank(tmp_path):
    return context_at(tmp_path, "bank")


def opening(role):
    return next(out.message for out in role.start() if isinstance(out.message, Shards))


def model(number, seed, rows=(0.0,)):
    return LabelHolderModel(
        model_id=bytes([number]) * 16, owners=("bank", "shop"), base_score=0.5, trees=(), splits=(), seed=seed,
        binning=Binning(("income",), (rows,)), field_gains={"income": 0.0}, partner_gains={"shop": 0.0},
    )  # fmt: skip


def test_a_jobs_shards_reach_both_roles(tmp_path):
    bank, shop = context_at(tmp_path, "bank"), context_at(tmp_path, "shop")
    holder, partner = RiskStage(bank).role, RiskStage(shop).role
    assert isinstance(holder, ShardedLabelHolder)
    assert isinstance(partner, ShardedFeatureHolder)
    assert partner.receive("bank", opening(holder)) == []
    dealt = deal(bank.file_rows(bank.kept.train_rows), PLAN.shards, PLAN.seed)
    assert holder._dealt.tolist() == dealt.tolist()
    assert 0 < dealt.sum() < len(dealt)
    assert partner._keys.tolist() == list(range(PEOPLE))


def test_one_shard_is_the_usual_training(tmp_path):
    context = context_at(tmp_path, "bank", msgspec.structs.replace(PLAN, shards=1))
    assert not isinstance(RiskStage(context).role, ShardedLabelHolder)


def test_rows_that_leave_meanwhile_go_from_the_shard_that_is_trained(bank):
    first = RiskStage(bank)
    first.role.start()
    begun = first.role._roles[0].model_id
    gone = bank.kept.train_rows[first.role._dealt == 0][:2]
    bank.drop(gone)
    second = RiskStage(bank)
    second.role.start()
    assert second.role._roles[0].model_id == begun
    assert len(second.role._rows) == len(first.role._rows) - 2
    assert second.role._trained[0].rows == first.role._trained[0].rows, "its bins have seen them"
    assert len(bank.kept.train_rows) == len(second.role._rows)


def test_what_an_earlier_session_kept_is_gone_on_with(tmp_path):
    bank = context_at(tmp_path, "bank", forget=ForgetPlan(session=EARLIER))
    rows = RiskStage(bank).role._keys
    dealt = deal(rows, PLAN.shards, PLAN.seed)
    label, income = rows % 3 % 2, bank.aligned(("income",)).values[bank.kept.train_rows]
    parts = []
    for place in range(PLAN.shards):
        chosen = dealt == place
        digest = digest_of(rows[chosen], label[chosen], income[chosen] + place)
        parts.append(LabelShard(model(place, 70 + place), TrainedRows(b"", digest, int(chosen.sum()))))
    bank.home.vault.put(f"job/{EARLIER}/{SHARDS_RECORD}", LabelShards(tuple(parts)).to_bytes())
    role = RiskStage(bank).role
    assert opening(role).kept == (parts[0].model.model_id, b""), "the incomes of the second are others now"
    assert role._roles[1]._ensemble.draws.seed == 71


def test_a_partner_finds_its_own_parts(tmp_path):
    shop = context_at(tmp_path, "shop", forget=ForgetPlan(session=EARLIER))
    assert RiskStage(shop).role._kept is None
    shop.home.vault.put(f"job/{EARLIER}/{SHARDS_RECORD}", FeatureShards(()).to_bytes())
    assert RiskStage(shop).role._kept == FeatureShards(())


def test_without_shards_the_whole_model_is_trained_with_the_seed_it_had(tmp_path):
    plan = msgspec.structs.replace(PLAN, shards=1)
    bank = context_at(tmp_path, "bank", plan, forget=ForgetPlan(session=EARLIER))
    assert seed_before(bank) is None
    bank.home.vault.put(f"job/{EARLIER}/risk_model", model(1, 77).to_bytes())
    assert seed_before(bank) == 77
    assert RiskStage(bank).role._ensemble.draws.seed == 77


@pytest.mark.parametrize("shards", [1, 2])
def test_figures_are_by_the_models_bins_or_those_of_all_training_rows(tmp_path, shards):
    bank = context_at(tmp_path, "bank", msgspec.structs.replace(PLAN, shards=shards))
    RiskStage(bank)
    many = model(1, 0, tuple(float(edge) for edge in range(60)))
    edges = figure_bins(bank, many, bank.kept.train_rows).edges[0]
    assert len(edges) == (60 if shards == 1 else PLAN.bins - 1)


# --- the benchmark


def test_forgetting_is_timed_on_the_right_outcome():
    pooled = synthetic(400)
    assert 0.5 < quality(pooled, 2, SMALL) < 1
    for found in (forget(pooled, 3, 1, SMALL), forget_jointly(pooled, 3, 1, 512, SMALL)):
        assert isinstance(found, Forgetting)
        assert found.is_equal
        assert (found.shards, found.deletions, found.touched) == (3, 1, 1)
        assert found.forget_seconds < found.train_seconds
