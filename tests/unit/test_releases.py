"""What a party releases: no figure tells about fewer than k_min people, not even by its digits or its absence."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from clients import releases
from clients.releases import EXCLUSION_REASONS, match_release, risk_release
from clients.tables import FunnelStep
from federation import insight
from federation.roles import View
from privacy.consent import (
    CROSSBORDER,
    NOT_CONSENT,
    PROVIDE,
    SENSITIVE,
    STEP_REASONS,
    Answer,
    ConsentKind,
    Need,
    funnel_step,
)
from privacy.decision import Terms
from privacy.errors import CohortTooSmall
from privacy.identifiers import IdentifierReason

K_MIN = 50


def context(label, segments=None, n_segments=0, train_rows=(), k_min=K_MIN):
    """As much of a `StageContext` as the releases read."""
    return SimpleNamespace(
        k_min=k_min,
        aligned_label=lambda: np.asarray(label, dtype=np.int8),
        plan=SimpleNamespace(name="bank"),
        kept=SimpleNamespace(
            segments=segments,
            n_segments=n_segments,
            train_rows=np.asarray(train_rows, dtype=np.int64),
            model=SimpleNamespace(
                model_id=bytes(16), field_gains={"income": 1.0}, partner_gains={"shop": 3.0}
            ),
        ),
    )


# --- default rates


def rows_of(cells):
    """Segments and labels of (good, bad) per segment."""
    segments = np.repeat(np.arange(len(cells)), [good + bad for good, bad in cells])
    label = np.concatenate([np.repeat([0, 1], cell) for cell in cells])
    return segments, label


def rates(cells, k_min=K_MIN):
    segments, label = rows_of(cells)
    return releases._default_rate(context(label, segments, len(cells), k_min=k_min))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=2, max_size=6),
    st.integers(2, 20),
)
@example([(9, 9), (30, 30), (12, 12)], 10)
@example([(30, 30), (12, 12), (0, 0)], 10)
@example([(15, 5), (2, 1), (30, 30)], 10)
def test_a_segment_whose_size_is_hidden_shows_no_rate(cells, k_min):
    segments, label = rows_of(cells)
    if not len(segments):
        return
    view = View(("field",), np.arange(len(segments), dtype=float)[:, None])
    sizes = insight.segment_profile(view, segments, len(cells), k_min).sizes
    found = releases._default_rate(context(label, segments, len(cells), k_min=k_min))
    assert len(found) == len(cells)
    for size, rate, (good, bad) in zip(sizes, found, cells, strict=True):
        if size is None or min(good, bad) < k_min:
            assert rate is None
        if rate is not None:
            assert rate == round(bad / (good + bad), 3)


def test_rates_are_shown_where_they_may_be():
    assert rates([(300, 100), (200, 64)]) == (0.25, 0.242)
    assert rates([(300, 100), (200, 64), (700, 49)])[2] is None
    assert releases._default_rate(context([0, 1])) == ()


# --- quality on the held-out rows


def quality(n_rows, positives):
    generator = np.random.default_rng(6)
    label = generator.permutation([1] * positives + [0] * (n_rows - positives))
    scores = generator.normal(size=n_rows) + label / 2
    return label, scores, risk_release(context(label), scores, scores[::-1].copy())


@pytest.mark.parametrize(("positives", "decimals"), [(49, 2), (50, 4), (150, 4), (151, 2), (3, 2)])
def test_quality_is_rounded_by_the_smaller_class(positives, decimals):
    label, scores, release = quality(200, positives)
    assert release.auc_joint == round(roc_auc_score(label, scores), decimals)
    assert release.auc_alone == round(roc_auc_score(label, scores[::-1]), decimals)
    for figure in (release.auc_alone, release.ks_alone, release.auc_joint, release.ks_joint):
        assert figure == round(figure, decimals)
    assert release.test_rows == 200


def test_too_few_held_out_rows_are_refused():
    with pytest.raises(CohortTooSmall) as caught:
        quality(49, 20)
    assert caught.value.key == "test_rows_small"
    assert caught.value.values == {"k_min": K_MIN}
    assert quality(50, 20)[2].test_rows == 50


def possible_positives(n_rows, auc, ks, decimals):
    """Numbers of positives with some AUC and some KS that look like these (by brute force, no ties)."""
    found = []
    for positives in range(1, n_rows):
        negatives = n_rows - positives
        aucs = np.arange(positives * negatives + 1) / (positives * negatives)
        distances = np.abs(
            np.arange(positives + 1)[:, None] / positives - np.arange(negatives + 1)[None, :] / negatives
        )
        if (np.round(aucs, decimals) == round(auc, decimals)).any() and (
            np.round(distances, decimals) == round(ks, decimals)
        ).any():
            found.append(positives)
    return found


@pytest.mark.parametrize(("n_rows", "positives"), [(50, 1), (50, 7), (83, 3), (120, 11), (120, 49)])
def test_rounded_figures_leave_many_numbers_of_positives(n_rows, positives):
    label, scores, release = quality(n_rows, positives)
    left = possible_positives(n_rows, release.auc_joint, release.ks_joint, 2)
    assert positives in left
    assert len(left) > 25
    # What this is for: the exact figures leave few.
    exact = releases.metrics.auc(label, scores), releases.metrics.ks(label, scores)
    assert len(possible_positives(n_rows, *exact, 12)) < n_rows / 10


def test_four_decimals_leave_many_numbers_of_positives_in_large_classes():
    _, _, release = quality(300, 60)
    assert len(possible_positives(300, release.auc_joint, release.ks_joint, 4)) > 100


# --- the funnel


TERMS = Terms(
    purpose=SimpleNamespace(name="credit_risk", minimum_age=18),
    treatments={},
    classes={},
    needs=(Need("credit_risk"),),
    field_needs={},
    notices=frozenset(),
)


def funnel_of(**excluded):
    steps = [FunnelStep(reason, rows) for reason, rows in excluded.items()]
    eligible = 10_000 - sum(excluded.values())
    table = SimpleNamespace(
        funnel=(FunnelStep("rows_in_file", 10_000), *steps, FunnelStep("eligible", eligible))
    )
    gate = SimpleNamespace(terms=TERMS)
    return match_release(SimpleNamespace(table=table, k_min=K_MIN, gate=gate), matched=70)


def test_every_reason_that_the_terms_know_is_listed_whether_it_excluded_anybody_or_not():
    release = funnel_of(duplicate=420, no_consent=900, under_age=60)
    listed = [reason for reason, _ in release.funnel]
    consents = {"no_consent", "consent_withdrawn", "consent_expired", "consent_stale"}
    others = {reason for reason in EXCLUSION_REASONS if reason not in STEP_REASONS}
    assert set(listed) == others | set(NOT_CONSENT) | consents
    assert listed == [reason for reason in EXCLUSION_REASONS if reason in listed]
    shown = {reason: rows for reason, rows in release.funnel if rows is not None}
    assert shown.items() <= {"duplicate": 420, "no_consent": 900, "under_age": 60}.items()
    assert (release.rows, release.eligible, release.matched) == (10_000, 10_000 - 1380, 70)


def test_nobody_and_few_look_the_same():
    # The remainder of the sum is 40 both times, spread over all hidden reasons.
    few = funnel_of(duplicate=420, no_consent=60, identifier_missing=40)
    other = funnel_of(duplicate=420, no_consent=60, label_missing=40)
    assert few.funnel == other.funnel
    assert dict(few.funnel)["identifier_missing"] is dict(few.funnel)["label_missing"] is None


def test_the_reasons_are_all_that_can_leave_a_row_out():
    """A step without a text would stop a release with an error, and one that never comes would say "nobody"."""
    scopes = {
        ConsentKind.GENERAL: ("",),
        ConsentKind.GUARDIAN: ("",),
        ConsentKind.WRITTEN: (f"{SENSITIVE}financial_account",),
        ConsentKind.SEPARATE: (PROVIDE, CROSSBORDER, f"{SENSITIVE}financial_account"),
    }
    assert set(scopes) == set(ConsentKind)
    needs = [Need("credit_risk", kind, scope) for kind, found in scopes.items() for scope in found]
    consents = {funnel_step(need, answer) for need in needs for answer in Answer if answer is not Answer.YES}
    identifiers = {f"identifier_{reason.value}" for reason in IdentifierReason}
    assert len(EXCLUSION_REASONS) == len(set(EXCLUSION_REASONS))
    assert set(EXCLUSION_REASONS) == {*identifiers, *consents, *NOT_CONSENT, "duplicate", "label_missing"}
