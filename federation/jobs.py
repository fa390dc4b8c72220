"""What a job is: purpose, parties, fields and parameters. The same record, with the same digest, at every party."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from federation.boosting_options import Growth
from federation.messages import COORDINATOR
from federation.roles import Parties
from federation.set_algebra import LONGEST_EXPRESSION, Expression, everybody, parse
from privacy.digests import IdFormat
from privacy.errors import ConfigInvalid
from privacy.parameters import Profile, profile_named

Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,31}\Z")]
LONGEST_DEADLINE_SECONDS: Final = 7 * 24 * 3600
Seed = Annotated[int, Meta(ge=0, lt=2**32)]


class PartyRole(StrEnum):
    """`label_holder`: whose question it is, holds label and keys; `feature_holder`: a partner with more columns."""

    LABEL_HOLDER = "label_holder"
    FEATURE_HOLDER = "feature_holder"


class Stage(StrEnum):
    """The steps of a job, in order."""

    MATCH = "match"
    RECALL = "recall"
    """In place of the matching: the rows of an earlier job that everybody still has."""
    SEGMENTS = "segments"
    BINS = "bins"
    SELECT = "select"
    SCORECARD = "scorecard"
    POINTS = "points"
    RISK = "risk"
    SCORE = "score"
    ENTERPRISE = "enterprise"
    WITNESS = "witness"
    """Not one of a job's own: after each of them everybody signs the state of everybody's audit log."""


class Method(StrEnum):
    """The kinds of processing that policies, notices, assessments and agreements speak of."""

    MATCHING = "matching"
    KMEANS = "kmeans"
    SCORECARD = "scorecard"
    SECUREBOOST = "secureboost"
    SCORING = "scoring"
    ENTERPRISE = "enterprise"


METHOD_OF_STAGE: Final = {
    Stage.MATCH: Method.MATCHING,
    Stage.RECALL: Method.MATCHING,
    Stage.SEGMENTS: Method.KMEANS,
    Stage.BINS: Method.SCORECARD,
    Stage.SELECT: Method.SCORECARD,
    Stage.SCORECARD: Method.SCORECARD,
    Stage.POINTS: Method.SCORING,
    Stage.RISK: Method.SECUREBOOST,
    Stage.SCORE: Method.SCORING,
    Stage.ENTERPRISE: Method.ENTERPRISE,
}


class _Closed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A record whose unknown keys are refused."""


class PartyPlan(_Closed, frozen=True):
    """What one party brings: its role and the fields of its table that each stage may use.

    enterprise_fields: what firms are judged by; those named `firm_electricity*` are a panel, oldest month first.
    """

    name: Name
    role: PartyRole
    segment_fields: tuple[str, ...] = ()
    risk_fields: tuple[str, ...] = ()
    enterprise_fields: tuple[str, ...] = ()

    @property
    def fields(self) -> tuple[str, ...]:
        """All fields that the job names for this party, each once."""
        return tuple(dict.fromkeys((*self.segment_fields, *self.risk_fields, *self.enterprise_fields)))


class MatchMode(StrEnum):
    """How shared customers are found (`federation.align`, `federation.align_oprf`).

    `ecdh`: what others see of a list does not let them enumerate it; for up to about a million.
    `keyed`: a key that all parties share; scales to tens of millions. `oprf`: two parties, fast, and the
    coordinator sees no token; experimental.
    """

    ECDH = "ecdh"
    KEYED = "keyed"
    OPRF = "oprf"


class MatchPlan(_Closed, frozen=True):
    """Finding shared customers.

    size_only: stop at the number of shared customers, rounded down to a multiple of k_min: nobody learns who.
    members: a set expression over party names (`federation.set_algebra`), for example "bank & (shop | telecom)";
        empty stands for the customers of all parties, which every later stage needs.
    id_format: plain, or the unkeyed hash in which some party was given its list; the others then hash their own
        identifiers likewise before they blind them.
    """

    mode: MatchMode = MatchMode.ECDH
    size_only: bool = False
    members: Annotated[str, Meta(max_length=LONGEST_EXPRESSION)] = ""
    id_format: IdFormat = IdFormat.PLAIN


class SegmentsPlan(_Closed, frozen=True):
    """Vertical k-means. `n_clusters` "auto" chooses among `candidates` by split-half stability."""

    n_clusters: Annotated[int, Meta(ge=2, le=50)] | Literal["auto"] = "auto"
    candidates: tuple[Annotated[int, Meta(ge=2, le=50)], ...] = (2, 3, 4, 5, 6)
    n_init: Annotated[int, Meta(ge=1, le=20)] = 2
    max_iter: Annotated[int, Meta(ge=1, le=1000)] = 300
    seed: Seed = 20


class RiskPlan(_Closed, frozen=True):
    """Vertical gradient boosting (SecureBoost) on the label holder's 0/1 label.

    patience to max_leaves: as `federation.boosting_options.BoostingOptions` explains them. shards: how many trainings,
    on a part of the rows each, the model is the mean of (`federation.shards`).
    """

    trees: Annotated[int, Meta(ge=1, le=1000)] = 20
    depth: Annotated[int, Meta(ge=1, le=10)] = 4
    bins: Annotated[int, Meta(ge=2, le=128)] = 32
    learning_rate: Annotated[float, Meta(gt=0, le=1)] = 0.3
    l2: Annotated[float, Meta(ge=0, le=1e6)] = 1.0
    min_child_rows: Annotated[int, Meta(ge=1)] | None = None
    first_tree_local: bool = True
    patience: Annotated[int, Meta(ge=0, le=1000)] = 0
    validation_share: Annotated[float, Meta(ge=0.01, le=0.5)] = 0.1
    class_weight: Literal["none", "balanced"] | Annotated[float, Meta(ge=1e-4, le=1e4)] = "none"
    goss_top: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    goss_other: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    growth: Growth = Growth.LEVEL
    max_leaves: Annotated[int, Meta(ge=2, le=1024)] = 31
    shards: Annotated[int, Meta(ge=1, le=20)] = 1
    test_share: Annotated[float, Meta(gt=0, lt=1)] = 0.3
    seed: Seed = 42


class ScorecardPlan(_Closed, frozen=True):
    """Vertical scorecard: bins with weights of evidence, logistic regression, points.

    special: values that mean something else than their size, each a bin of its own. min_iv, max_correlation, max_vif,
    min_stability: which fields stay (`federation.collinearity`). degree, passes, batches, l2: of the fit
    (`federation.scorecard_fit`). start: number of an earlier scorecard of the same parties and purpose, from whose
    weights the fit goes on, field by field.
    base, pdo, odds: of the points; step: a party's points of a row are shown in multiples of it.
    """

    pre_bins: Annotated[int, Meta(ge=2, le=100)] = 20
    max_bins: Annotated[int, Meta(ge=2, le=50)] = 8
    min_bin_share: Annotated[float, Meta(ge=0, le=0.5)] = 0.05
    trend: Literal["auto", "ascending", "descending", "none"] = "auto"
    special: Annotated[tuple[float, ...], Meta(max_length=16)] = ()
    min_iv: Annotated[float, Meta(ge=0, le=10)] = 0.02
    max_correlation: Annotated[float, Meta(gt=0, le=1)] = 0.7
    max_vif: Annotated[float, Meta(ge=1, le=1e6)] = 10.0
    min_stability: Annotated[float, Meta(ge=0, le=1)] = 0.6
    degree: Literal[3, 5] = 5
    passes: Annotated[int, Meta(ge=1, le=50)] = 3
    batches: Annotated[int, Meta(ge=1, le=250)] = 5
    l2: Annotated[float, Meta(ge=1e-6, le=1e6)] = 1.0
    start: Annotated[str, Meta(pattern=r"^([0-9a-f]{32})?\Z")] = ""
    base: Annotated[float, Meta(ge=0, le=10_000)] = 600.0
    pdo: Annotated[float, Meta(ge=1, le=1000)] = 20.0
    odds: Annotated[float, Meta(ge=0.01, le=100_000)] = 50.0
    step: Annotated[int, Meta(ge=1, le=50)] = 1
    test_share: Annotated[float, Meta(gt=0, lt=1)] = 0.3
    seed: Seed = 42


class ScoringPlan(_Closed, frozen=True):
    """Scoring a batch with a model that an earlier job of the same purpose trained.

    model: its number, 32 hexadecimal digits, as that job's result names it. reasons: how many fields each party names
    per person, under the names it has published; of trees partners name none.
    """

    model: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
    kind: Literal["scorecard", "boosting"] = "scorecard"
    reasons: Annotated[int, Meta(ge=0, le=4)] = 3

    @property
    def method(self) -> Method:
        """What trained the model."""
        return {"scorecard": Method.SCORECARD, "boosting": Method.SECUREBOOST}[self.kind]


class EnterprisePlan(_Closed, frozen=True):
    """Judging firms with the model of the same job: health score, risk levels, early warnings, due-diligence tasks.

    cash_flow, orders, growth, payments: points of each topic of the health score, together 100
    (`federation.enterprise.health`); growth has few, for it is a single column, which its points tell.
    level_bounds: the probabilities at which levels B to E begin. since, until: months of the panel, counted from 1; an
    earlier warning does not count, a later reading is not looked at; 0: all.
    acknowledge_days: after which a task that nobody has taken on goes to the next person.
    """

    cash_flow: Annotated[int, Meta(ge=0, le=100)] = 20
    orders: Annotated[int, Meta(ge=0, le=100)] = 45
    growth: Annotated[int, Meta(ge=0, le=25)] = 15
    payments: Annotated[int, Meta(ge=0, le=100)] = 20
    level_bounds: Annotated[tuple[float, ...], Meta(max_length=4)] = (0.02, 0.05, 0.10, 0.20)
    since: Annotated[int, Meta(ge=0, le=120)] = 0
    until: Annotated[int, Meta(ge=0, le=120)] = 0
    acknowledge_days: Annotated[int, Meta(ge=1, le=90)] = 5

    @property
    def weights(self) -> dict[str, int]:
        """Points by topic."""
        return {
            "cash_flow": self.cash_flow,
            "orders": self.orders,
            "growth": self.growth,
            "payments": self.payments,
        }


class ForgetPlan(_Closed, frozen=True):
    """Training an earlier job's models again, without the rows that have left since (`federation.recall`).

    session: the earlier job's, 32 hexadecimal digits; what else this job says is what that one said, but for its name
    and its deadlines.
    """

    session: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]


class Deadlines(_Closed, frozen=True):
    """Seconds after which a job fails and names the party it waited for.

    join: until every party has opened the session; silence: without a sign of life from a party (a party that
    lives calls at least every ten seconds); step: without any progress of the job.
    """

    join: Annotated[float, Meta(gt=0, le=LONGEST_DEADLINE_SECONDS)] = 90.0
    silence: Annotated[float, Meta(ge=15, le=LONGEST_DEADLINE_SECONDS)] = 30.0
    step: Annotated[float, Meta(gt=0, le=LONGEST_DEADLINE_SECONDS)] = 900.0


class Job(_Closed, frozen=True):
    """One job, as every party sees and approves it.

    purpose: as every party's policy registers it. project: jobs of one project may be told to concern the same people,
        those of different projects may not; empty stands for the job's own name.
    alpha_keys: the label holder's Paillier key is an alpha-key: encryption and decryption are about four times
        faster, under more assumptions, one of them on the label holder's conduct (`privacy.alpha_keys`).
    """

    name: Name
    purpose: Name
    parties: tuple[PartyPlan, ...]
    project: Annotated[str, Meta(pattern=r"^([a-z][a-z0-9_-]{0,31})?\Z")] = ""
    profile: str = "standard"
    alpha_keys: bool = False
    match: MatchPlan = MatchPlan()
    segments: SegmentsPlan | None = None
    risk: RiskPlan | None = None
    scorecard: ScorecardPlan | None = None
    scoring: ScoringPlan | None = None
    enterprise: EnterprisePlan | None = None
    forget: ForgetPlan | None = None
    deadlines: Deadlines = Deadlines()

    @property
    def project_name(self) -> str:
        """The project this job belongs to."""
        return self.project or self.name

    @property
    def methods(self) -> tuple[str, ...]:
        """The kinds of processing of its stages, in order."""
        return tuple(dict.fromkeys(METHOD_OF_STAGE[stage].value for stage in self.stages))

    @property
    def security(self) -> Profile:
        """The security profile. Raises `ConfigInvalid` when its name is unknown."""
        return profile_named(self.profile)

    @property
    def roles(self) -> Parties:
        """Who is the label holder, who are the feature holders."""
        holder = next(party.name for party in self.parties if party.role is PartyRole.LABEL_HOLDER)
        return Parties(holder, tuple(party.name for party in self.parties if party.name != holder))

    @property
    def members(self) -> Expression:
        """Who is in the result of the matching. Raises `ConfigInvalid` for an expression that cannot be read."""
        if not self.match.members:
            return everybody(self.roles.all)
        return parse(self.match.members, self.roles.all)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages this job runs, in order."""
        wanted = [Stage.RECALL if self.forget else Stage.MATCH]
        if self.segments:
            wanted.append(Stage.SEGMENTS)
        if self.scorecard:
            wanted += [Stage.BINS, Stage.SELECT, Stage.SCORECARD, Stage.POINTS]
        if self.risk:
            wanted += [Stage.RISK, Stage.SCORE]
        if self.scoring:
            wanted.append(Stage.POINTS if self.scoring.kind == "scorecard" else Stage.SCORE)
        if self.enterprise:
            wanted.append(Stage.ENTERPRISE)
        return tuple(wanted)

    def is_again(self, earlier: Job) -> bool:
        """Whether this job asks for the same as an earlier one, names, deadlines and what is to be forgotten apart."""
        return _without_names(self) == _without_names(earlier)

    @property
    def needs_label(self) -> bool:
        """Whether the label holder reads its label."""
        return self.risk is not None or self.scorecard is not None

    def plan_of(self, party: str) -> PartyPlan:
        """One party's plan. Raises `ConfigInvalid` when it takes no part."""
        for plan in self.parties:
            if plan.name == party:
                return plan
        raise ConfigInvalid("job_party_unknown", party=party, job=self.name)

    @property
    def digest(self) -> str:
        """SHA-256 of the job's canonical encoding; all frames of a session are bound to it."""
        return hashlib.sha256(encode_job(self)).hexdigest()


_MINIMUM_PARTIES: Final = 2
_FULL_SCORE: Final = 100
_LEVEL_BOUNDS: Final = 4


def encode_job(job: Job) -> bytes:
    """Canonical bytes: MessagePack, fields in declaration order, every number of its declared type."""
    # A float field may have been given as an integer; decoding settles it, so that all parties hash the same bytes.
    return msgspec.msgpack.encode(msgspec.msgpack.decode(msgspec.msgpack.encode(job), type=Job))


def _without_names(job: Job) -> bytes:
    project = job.project_name
    plain = msgspec.structs.replace(job, name="again", project=project, forget=None, deadlines=Deadlines())
    return encode_job(plain)


def decode_job(data: bytes) -> Job:
    """Inverse of `encode_job`, checked. Raises `ConfigInvalid`."""
    try:
        job = msgspec.msgpack.decode(data, type=Job)
    except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
        raise ConfigInvalid("job_invalid", job="?", problem=str(problem)) from None
    check_job(job)
    return job


def check_job(job: Job) -> None:
    """What the field types cannot say. Raises `ConfigInvalid` with the field and the remedy."""
    _ = job.security
    names = [party.name for party in job.parties]
    problem = ""
    if len(names) < _MINIMUM_PARTIES:
        problem = "parties: at least two"
    elif len(set(names)) < len(names) or COORDINATOR in names:
        problem = f"parties: names must differ and must not be '{COORDINATOR}'"
    elif [party.role for party in job.parties].count(PartyRole.LABEL_HOLDER) != 1:
        problem = "parties: exactly one label_holder"
    elif job.segments and not any(party.segment_fields for party in job.parties):
        problem = "segments: no party lists segment_fields"
    elif (job.needs_label or job.scoring) and not job.plan_of(job.roles.label_holder).risk_fields:
        problem = "risk: the label holder lists no risk_fields"
    elif job.scorecard and not all(party.risk_fields for party in job.parties):
        problem = "scorecard: every party lists risk_fields"
    elif job.scoring and (job.needs_label or job.segments):
        problem = "scoring: a job that scores with an earlier model trains nothing"
    elif job.forget and not (job.needs_label or job.segments):
        problem = "forget: the job trains no model"
    elif job.risk and job.scorecard and _split_of(job.risk) != _split_of(job.scorecard):
        problem = "risk, scorecard: test_share and seed must be the same"
    if problem:
        raise ConfigInvalid("job_invalid", job=job.name, problem=problem)
    _check_match(job)
    _check_risk(job)
    _check_enterprise(job)


def _check_risk(job: Job) -> None:
    plan = job.risk
    if plan is None:
        return
    is_half = (plan.goss_top > 0) != (plan.goss_other > 0)
    if is_half or plan.goss_top + plan.goss_other >= 1:
        problem = "risk: goss_top and goss_other are both 0, or both above 0 and together below 1"
        raise ConfigInvalid("job_invalid", job=job.name, problem=problem)


def _check_enterprise(job: Job) -> None:
    plan = job.enterprise
    if plan is None:
        return
    problem = ""
    if not (job.needs_label or job.scoring):
        problem = "enterprise: the job needs risk, scorecard or scoring, for the probability of default"
    elif not any(party.enterprise_fields for party in job.parties):
        problem = "enterprise: no party lists enterprise_fields"
    elif sum(plan.weights.values()) != _FULL_SCORE:
        problem = "enterprise: cash_flow, orders, growth and payments add up to 100"
    elif not _are_levels(plan.level_bounds):
        problem = "enterprise: level_bounds are four rising numbers between 0 and 1"
    elif plan.until and plan.until < plan.since:
        problem = "enterprise: until is not before since"
    if problem:
        raise ConfigInvalid("job_invalid", job=job.name, problem=problem)


def _are_levels(bounds: tuple[float, ...]) -> bool:
    inside = (0.0, *bounds, 1.0)
    return len(bounds) == _LEVEL_BOUNDS and all(low < high for low, high in pairwise(inside))


def _split_of(plan: RiskPlan | ScorecardPlan) -> tuple[float, int]:
    return plan.test_share, plan.seed


def _check_match(job: Job) -> None:
    plan, _ = job.match, job.members
    if (plan.size_only or plan.members) and len(job.stages) > 1:
        raise ConfigInvalid("match_without_rows", job=job.name)
    if plan.mode is MatchMode.OPRF and (
        len(job.parties) > _MINIMUM_PARTIES or plan.size_only or plan.members
    ):
        raise ConfigInvalid("match_oprf", job=job.name)
