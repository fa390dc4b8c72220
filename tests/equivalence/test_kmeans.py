"""Vertical k-means equals scikit-learn on the pooled table; segment profiles equal pandas."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.impute import SimpleImputer
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from federation import clusters, insight, kmeans
from federation.clusters import KMeansOptions
from federation.messages import COORDINATOR
from federation.roles import Parties, Rehearsal, View
from privacy.errors import ConfigInvalid, PackingOverflow, SchemaMismatch
from privacy.paillier_secret import SecretKey
from privacy.parameters import TESTING_ONLY

SECRET = SecretKey.generate(512, testing_only=True)


def table_of(seed, n_rows=120, n_fields=6, n_groups=3, spread=2.0):
    """Standardised Gaussian groups (n_rows, n_fields) and the group of each row."""
    generator = np.random.default_rng(seed)
    group = generator.integers(0, n_groups, n_rows)
    centres = generator.normal(scale=spread, size=(n_groups, n_fields))
    values, _ = clusters.standardize(centres[group] + generator.normal(size=(n_rows, n_fields)))
    return values, group


def rehearse(values, options, n_partners=2, cut=None):
    """Run the protocol with the columns dealt out to the parties."""
    parties = Parties("bank", tuple(f"partner{number}" for number in range(n_partners)))
    parts = np.array_split(values, cut or n_partners + 1, axis=1)
    views = [View(tuple(f"c{place}" for place in range(part.shape[1])), part) for part in parts]
    roles = {
        "bank": kmeans.LabelHolder(
            parties,
            views[0],
            decryptor=SECRET,
            public_key=SECRET.public,
            options=options,
            profile=TESTING_ONLY,
        ),
        COORDINATOR: kmeans.Coordinator(parties, profile=TESTING_ONLY),
    }
    for name, view in zip(parties.feature_holders, views[1:], strict=True):
        roles[name] = kmeans.FeatureHolder(parties, view, options=options, profile=TESTING_ONLY)
    results = Rehearsal(roles).run()
    assert all(role.progress.done == role.progress.total for role in roles.values() if role.progress.total)
    return parties, results


def some_cluster_empties(values, starts, max_iter):
    """Whether a cluster becomes empty on the way: there scikit-learn has another rule."""
    centroids, labels = values[starts], None
    for _ in range(max_iter):
        previous, labels = labels, clusters.assign(clusters.partial_differences(values, centroids))
        if len(np.unique(labels)) < len(starts):
            return True
        if np.array_equal(labels, previous):
            break
        centroids = clusters.update_centroids(values, labels, centroids)
    return False


def assert_equals_pooled(values, options, parties, results):
    """The clustering is scikit-learn's from the same start rows."""
    chosen = results["bank"]
    pooled = KMeans(
        chosen.n_clusters,
        init=values[chosen.starts],
        n_init=1,
        tol=0,
        max_iter=options.max_iter,
        algorithm="lloyd",
    ).fit(values)
    centroids = np.hstack([results[name].centroids for name in parties.all])
    assert adjusted_rand_score(pooled.labels_, chosen.assignments) == 1.0
    assert np.array_equal(pooled.labels_, chosen.assignments)
    assert np.allclose(centroids, pooled.cluster_centers_, rtol=0, atol=1e-6)
    assert chosen.inertia == pytest.approx(pooled.inertia_, rel=1e-6)
    assert chosen.iterations == pooled.n_iter_
    for name in parties.feature_holders:
        assert np.array_equal(results[name].assignments, chosen.assignments)
        assert results[name].n_clusters == chosen.n_clusters


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("n_partners", [1, 2])
def test_equals_scikit_learn(seed, n_partners):
    values, _ = table_of(seed, n_rows=200)
    options = KMeansOptions(n_clusters=4, seed=seed, n_init=2)
    parties, results = rehearse(values, options, n_partners)
    assert results["bank"].converged
    assert_equals_pooled(values, options, parties, results)


@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 2),
    st.integers(2, 5),
    st.integers(1, 40),
    st.sampled_from(["k-means++", "random"]),
)
def test_equals_scikit_learn_on_any_table(seed, n_partners, n_clusters, max_iter, start):
    values, _ = table_of(seed, n_rows=60, spread=1.0)
    options = KMeansOptions(n_clusters=n_clusters, seed=seed, n_init=1, max_iter=max_iter, start=start)
    parties, results = rehearse(values, options, n_partners)
    assume(not some_cluster_empties(values, results["bank"].starts, max_iter))
    assert_equals_pooled(values, options, parties, results)


def test_stops_at_the_iteration_limit_as_scikit_learn_does():
    values, _ = table_of(5, n_rows=150, spread=0.5)
    options = KMeansOptions(n_clusters=5, seed=5, n_init=1, max_iter=2)
    parties, results = rehearse(values, options)
    assert not results["bank"].converged
    assert_equals_pooled(values, options, parties, results)


def test_the_best_of_several_starts_wins():
    values, _ = table_of(8, n_rows=150, n_groups=6, spread=1.5)
    single = KMeansOptions(n_clusters=6, seed=8, n_init=1, start="random")
    several = KMeansOptions(n_clusters=6, seed=8, n_init=5, start="random")
    parties, results = rehearse(values, several)
    assert_equals_pooled(values, several, parties, results)
    starts = [
        clusters.choose_starts(plan, values, several, number)
        for number, plan in enumerate(clusters.plan_fit(several, 150, 6))
    ]
    inertias = [KMeans(6, init=values[rows], n_init=1, tol=0).fit(values).inertia_ for rows in starts]
    assert results["bank"].inertia == pytest.approx(min(inertias), rel=1e-6)
    assert results["bank"].inertia < rehearse(values, single)[1]["bank"].inertia


def test_auto_finds_the_planted_number_of_segments():
    values, group = table_of(11, n_rows=240, n_groups=3, spread=3.0)
    options = KMeansOptions(seed=11, n_splits=2, split_rows=60)
    parties, results = rehearse(values, options)
    assert results["bank"].n_clusters == 3
    assert set(results["bank"].stability) == {2, 3, 4, 5, 6}
    assert adjusted_rand_score(group, results["bank"].assignments) > 0.85
    assert_equals_pooled(values, options, parties, results)


def test_stability_equals_the_pooled_computation():
    values, _ = table_of(12, n_rows=100, spread=1.0)
    options = KMeansOptions(seed=12, n_splits=2, split_rows=40, candidates=(2, 4), split_max_iter=15)
    _, results = rehearse(values, options)
    bank = values[:, :2]
    expected = {2: [], 4: []}
    plans = clusters.plan_selection(options, len(values))
    for place in range(0, len(plans), 2):
        models = []
        for number in (place, place + 1):
            rows = clusters.choose_starts(plans[number], bank, options, number)
            model = KMeans(plans[number].n_clusters, init=values[rows], n_init=1, tol=0, max_iter=15)
            models.append(model.fit(values[plans[number].rows]))
        both = values[np.concatenate([plans[place].rows, plans[place].predict])]
        score = adjusted_rand_score(models[0].predict(both), models[1].predict(both))
        expected[plans[place].n_clusters].append(score)
    assert results["bank"].stability == pytest.approx({k: np.mean(v) for k, v in expected.items()})


def test_halves_do_not_overlap_and_are_the_same_everywhere():
    options = KMeansOptions(seed=3, split_rows=10)
    first, again = (clusters.plan_selection(options, 51) for _ in range(2))
    assert len(first) == options.n_splits * len(options.candidates) * 2
    for plan, other in zip(first, again, strict=True):
        assert np.array_equal(plan.rows, other.rows)
        assert not np.intersect1d(plan.rows, plan.predict).size
        assert len(plan.rows) == len(plan.predict) == 10


def test_a_party_without_columns_of_its_own_is_no_obstacle():
    values, _ = table_of(4)
    options = KMeansOptions(n_clusters=3, seed=4, n_init=1)
    # Cut points: the label holder has no column, the first partner has all.
    parties, results = rehearse(values, options, n_partners=2, cut=[0, 6])
    assert_equals_pooled(values, options, parties, results)


def test_an_emptied_cluster_keeps_its_centroid():
    values = np.array([[0.0], [1.0], [2.0]])
    centroids = np.array([[0.0], [9.0]])
    moved = clusters.update_centroids(values, np.zeros(3, dtype=np.int64), centroids)
    assert moved.tolist() == [[1.0], [9.0]]


def test_differences_are_those_of_squared_distances():
    generator = np.random.default_rng(0)
    values, centroids = generator.normal(size=(50, 4)), generator.normal(size=(5, 4))
    distances = ((values[:, None, :] - centroids) ** 2).sum(axis=2)
    differences = clusters.partial_differences(values, centroids)
    assert np.allclose(differences, distances[:, 1:] - distances[:, :1], rtol=0, atol=1e-12)
    assert np.array_equal(clusters.assign(differences), distances.argmin(axis=1))


def test_an_extreme_value_stops_the_run_instead_of_wrapping():
    values, _ = table_of(6)
    values = values.copy()
    values[7, 5] = 400.0
    with pytest.raises(PackingOverflow) as caught:
        rehearse(values, KMeansOptions(n_clusters=3, start="random", seed=6))
    assert caught.value.key == "kmeans_distance_range"


def test_standardize_equals_scikit_learn():
    generator = np.random.default_rng(9)
    raw = generator.lognormal(size=(80, 4))
    raw[generator.random(raw.shape) < 0.2] = np.nan
    raw[:, 3] = 0.1
    pipeline = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    values, (mean, scale) = clusters.standardize(raw)
    assert np.allclose(values, pipeline.fit_transform(raw), rtol=0, atol=1e-9)
    assert np.allclose(mean, pipeline[-1].mean_)
    assert np.allclose(scale, pipeline[-1].scale_)
    raw[:, 2] = np.nan
    with pytest.raises(SchemaMismatch) as caught:
        clusters.standardize(raw)
    assert caught.value.values == {"column": 3}


@pytest.mark.parametrize(
    "options",
    [
        KMeansOptions(n_clusters=1),
        KMeansOptions(n_clusters=300),
        KMeansOptions(n_clusters=100),
        KMeansOptions(candidates=()),
        KMeansOptions(candidates=(2, 2)),
        KMeansOptions(candidates=(2, 31)),
        KMeansOptions(n_init=0),
        KMeansOptions(seed=-1),
    ],
)
def test_impossible_options_are_refused(options):
    with pytest.raises(ConfigInvalid):
        options.check(60)


def test_segment_profile_equals_pandas():
    generator = np.random.default_rng(2)
    n_rows = 3000
    frame = pd.DataFrame(
        {
            "income": generator.lognormal(9, 1, n_rows),
            "orders": generator.poisson(1.0, n_rows).astype(float),
            "age": generator.normal(35, 9, n_rows).round(),
        }
    )
    frame.loc[generator.random(n_rows) < 0.3, "age"] = np.nan
    segment = generator.integers(0, 3, n_rows)
    view = View(tuple(frame), frame.to_numpy())
    profile = insight.segment_profile(view, segment, 3, k_min=50)
    assert profile.sizes == tuple(np.bincount(segment).tolist())
    for field in profile.fields:
        by_segment = frame[field.field].groupby(segment)
        assert field.counts == tuple(by_segment.count().tolist())
        assert field.means == tuple(float(f"{mean:.4g}") for mean in by_segment.mean())
        limits = frame[field.field].quantile([0.25, 0.5, 0.75]).tolist()
        edges = sorted({-np.inf, *limits, np.inf})
        bands = pd.cut(frame[field.field], edges, labels=False).fillna(99)
        expected = pd.crosstab(segment, bands)
        assert np.array_equal(np.array(field.bands), expected.to_numpy())
    names = {field.field: field.band_names for field in profile.fields}
    assert names["income"] == ("q1", "q2", "q3", "q4")
    # Poisson(1): the quartiles are 0, 1 and 2.
    assert names["orders"] == ("q1", "q2", "q3", "q4")
    assert names["age"] == ("q1", "q2", "q3", "q4", "missing")


def test_tied_quartiles_become_one_band():
    column = np.array([0.0] * 60 + [1.0] * 20 + [2.0] * 20)
    profile = insight.segment_profile(View(("x",), column[:, None]), np.zeros(100, dtype=np.int64), 1, 5)
    assert profile.fields[0].band_names == ("q1-q2", "q3", "q4")
    assert profile.fields[0].bands == ((60, 20, 20),)
    constant = insight.segment_profile(
        View(("x",), np.ones((100, 1))), np.zeros(100, dtype=np.int64), 1, 5
    ).fields[0]
    assert (constant.band_names, constant.bands) == (("q1-q4",), ((100,),))
