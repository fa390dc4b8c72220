"""Models that contain people's rows: what a deep search of fitted estimators finds, and nothing else, is told."""

from __future__ import annotations

import warnings
from functools import cache, partial

import numpy as np
import pytest
from sklearn.cluster import DBSCAN, FeatureAgglomeration, KMeans
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import VotingClassifier
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    LabelEncoder,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
)
from sklearn.svm import SVC
from sklearn.utils._test_common.instance_generator import _construct_instances
from sklearn.utils.discovery import all_estimators

from clients.forgetting.records import Found, Kind, check_clusters, check_release, records_in
from federation.kmeans_messages import Clustering
from privacy.errors import Denied
from privacy.reasons import Reason

ROWS, COLUMNS = 34, 3
"""An even number of rows: trees have odd numbers of nodes."""
_random = np.random.default_rng(7)
Y = np.arange(ROWS) % 2
X = np.abs(_random.normal(10, 3, (ROWS, COLUMNS))) + 1.5 * Y[:, None]
TWO = np.column_stack([Y, 1 - Y])
TARGETS = {
    **dict.fromkeys(("CCA", "PLSCanonical", "PLSRegression", "PLSSVD"), TWO.astype(float)),
    **dict.fromkeys(
        ("MultiOutputClassifier", "MultiOutputRegressor", "ClassifierChain", "RegressorChain"), TWO
    ),
    "GammaRegressor": Y + 1.0,
}
OTHERWISE = {
    **dict.fromkeys(("CountVectorizer", "TfidfVectorizer", "DictVectorizer"), "takes words: tested below"),
    **dict.fromkeys(("LabelEncoder", "LabelBinarizer", "MultiLabelBinarizer"), "takes labels: tested below"),
    "KernelCenterer": "takes similarities of rows, no rows",
    "FrozenEstimator": "keeps what was fitted before: tested below, as part of others",
}
"""Estimators that cannot be fitted on the table."""
TOLD_ANYWAY = {
    "RandomTreesEmbedding": "the categories of its encoder are leaves of trees, which may be of one row",
    "RobustScaler": "a median is somebody's value where the number of rows is odd",
}
"""Estimators of which something is told though no value of this table is in them."""
QUICKLY = {"max_iter": 20, "n_estimators": 3, "cv": 2, "random_state": 0, "max_trials": 5}
NAMES = sorted(name for name, _ in all_estimators() if name not in OTHERWISE)


@cache
def fitted(name):
    made = next(iter(_construct_instances(dict(all_estimators())[name])))
    known = made.get_params(deep=False)
    quickly = {key: value for key, value in QUICKLY.items() if key in known}
    if name == "TSNE":
        quickly["max_iter"] = 250  # its fewest
    elif name.startswith("OrthogonalMatching"):
        quickly.pop("max_iter", None)  # there, a number of columns
    made.set_params(**quickly)
    target = TARGETS.get(name, TWO.astype(float) if name.startswith("MultiTask") else Y)
    data = X[:, 0] if name == "IsotonicRegression" else X
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return made.fit(data, target)


def arrays(value, seen, depth=0):
    """Every array and number that an object holds, however it would be pickled; knows nothing of estimators."""
    if id(value) in seen or depth > 20 or isinstance(value, str | bytes | type):
        return
    seen[id(value)] = value
    if isinstance(value, np.ndarray):
        if value.dtype.names:
            yield from (np.ascontiguousarray(value[name]) for name in value.dtype.names)
        elif value.dtype == object:
            for item in value.ravel():
                yield from arrays(item, seen, depth + 1)
        else:
            yield value
    elif isinstance(value, int | float | np.number):
        yield np.array([value])
    elif value is not None:
        for item in inside(value):
            yield from arrays(item, seen, depth + 1)


def inside(value):
    if isinstance(value, dict):
        yield from (*value.keys(), *value.values())
        return
    if isinstance(value, list | tuple | set | frozenset):
        yield from value
        return
    yield getattr(value, "__dict__", None)
    if not callable(value) or hasattr(value, "fit"):
        try:
            yield value.__reduce_ex__(2)[1:]
        except Exception:  # what cannot be pickled is looked at by its attributes alone
            return


SORTED = np.sort(X.ravel())


def nearest(values):
    """(n,): the value of the table nearest to each of (n,) values."""
    place = np.searchsorted(SORTED, values).clip(1, len(SORTED) - 1)
    below, above = SORTED[place - 1], SORTED[place]
    return np.where(values - below < above - values, below, above)


def same(one, other):
    return np.isclose(one, other, rtol=1e-9, atol=0)


def has_row(found):
    """Whether some three numbers along an axis are a row of the table."""
    for axis in (place for place, size in enumerate(found.shape) if size == COLUMNS):
        flat = np.moveaxis(found, axis, -1).reshape(-1, COLUMNS)
        flat = flat[same(flat, nearest(flat)).all(axis=1)]
        if same(flat[:, None], X[None]).all(axis=-1).any():
            return True
    return False


def looked_for(model):
    """(whole rows found, single values found, something with an entry per row found)."""
    rows = values = per_row = False
    for found in arrays(model, {}):
        per_row |= ROWS in found.shape
        if found.dtype.kind != "f" or not found.size:
            continue
        rows = rows or has_row(found)
        values = values or bool(same(found, nearest(found)).any())
    return rows, values, per_row


@pytest.mark.parametrize("name", NAMES)
def test_planted_rows_are_found_exactly_when_they_are_told(name):
    model = fitted(name)
    kinds = {found.kind for found in records_in(model, k_min=2)}
    rows, values, per_row = looked_for(model)
    assert Kind.UNKNOWN not in kinds
    assert rows == bool(kinds & {Kind.ROWS, Kind.CLUSTER})
    if not rows and name not in TOLD_ANYWAY:
        assert values == bool(kinds & {Kind.EXTREMES, Kind.CATEGORIES})
    assert not per_row or kinds, "what became of each row is never passed over"


def test_the_search_of_this_test_finds_rows():
    assert looked_for(NearestNeighbors().fit(X))[0]
    assert looked_for({"a": [(X[3],)]}) == (True, True, False)
    assert looked_for(StandardScaler().fit(X)) == (False, False, False)
    holders = [name for name in NAMES if looked_for(fitted(name))[0]]
    assert len(holders) > 20


# --- the release gate


def denied(model, **options):
    with pytest.raises(Denied) as refusal:
        check_release(model, **options)
    assert {finding.reason for finding in refusal.value.findings} == {Reason.MODEL_CONTAINS_RECORDS}
    return refusal.value


def test_neighbours_are_not_released_and_the_part_is_named():
    """Scenario 20 of the design."""
    refusal = denied(make_pipeline(StandardScaler(), KNeighborsClassifier()).fit(X, Y))
    about = [finding.about for finding in refusal.findings]
    assert any(part.startswith("steps[1][1]._fit_X: ") for part in about)
    for language, word in (("en", "retire the model"), ("zh-CN", "模型")):
        assert word in refusal.render(language)


def test_extremes_are_a_note():
    notes = check_release(make_pipeline(MinMaxScaler(), LogisticRegression()).fit(X, Y))
    assert {note.kind for note in notes} == {Kind.EXTREMES}
    assert "steps[0][1].data_max_" in {note.part for note in notes}
    assert "clip" in notes[0].remedy("en")


def test_aggregates_are_released():
    for model in (LinearRegression(), make_pipeline(StandardScaler(), LogisticRegression())):
        assert check_release(model.fit(X, Y)) == []


def test_rows_are_found_however_deep():
    neighbours = KNeighborsClassifier(3)
    models = (
        VotingClassifier([("a", LogisticRegression()), ("b", neighbours)]),
        GridSearchCV(neighbours, {"n_neighbors": [1, 2]}, cv=2),
        make_pipeline(ColumnTransformer([("all", StandardScaler(), [0, 1])]), SVC()),
    )
    for model in models:
        assert Kind.ROWS in {found.kind for found in records_in(model.fit(X, Y))}
    assert [found.kind for found in records_in({"model": [DBSCAN(eps=50).fit(X)]})].count(Kind.ROWS) == 1


def test_rare_categories_are_refused_and_common_or_listed_ones_are_not():
    cities = np.array([["a"]] * 60 + [["b"]] * 60 + [["village"]])
    for encoder in (OneHotEncoder, OrdinalEncoder):
        about = [finding.about for finding in denied(encoder().fit(cities)).findings]
        assert about[0].startswith("categories_: ")
        assert not any("village" in part for part in about)
        assert denied(encoder(min_frequency=49, **unknown_of(encoder)).fit(cities))
        assert check_release(encoder(min_frequency=50, **unknown_of(encoder)).fit(cities)) == []
        assert check_release(encoder(categories=[["a", "b", "village"]]).fit(cities)) == []


def unknown_of(encoder):
    return {"handle_unknown": "infrequent_if_exist"} if encoder is OneHotEncoder else {}


@pytest.mark.parametrize("kind", [CountVectorizer, TfidfVectorizer])
def test_words(kind):
    texts = ["good loan"] * 60 + ["zhang loan"]
    denied(kind().fit(texts))
    assert check_release(kind(min_df=50).fit(texts)) == []
    assert check_release(kind(vocabulary=["good", "loan"]).fit(texts)) == []
    assert not any("zhang" in found.part for found in records_in(kind().fit(texts)))
    denied(DictVectorizer().fit([{"city": "village"}]))


def test_labels_are_not_told():
    assert check_release(LabelEncoder().fit(["a", "b"])) == []


def test_a_cluster_of_few():
    centres = np.vstack([np.repeat([[0.0, 0.0], [9.0, 9.0]], 60, axis=0), [[99.0, 99.0]]])
    model = KMeans(3, n_init=1, random_state=0).fit(centres + _random.normal(0, 0.1, centres.shape))
    assert [found.kind for found in records_in(model)] == [Kind.CLUSTER, Kind.PER_ROW]
    model = KMeans(2, n_init=1, random_state=0).fit(centres[:-1] + _random.normal(0, 0.1, (120, 2)))
    assert [found.part for found in records_in(model)] == ["labels_"]
    del model.labels_
    assert check_release(model) == []
    assert records_in(FeatureAgglomeration(2).fit(X)) == []


def test_our_own_clusterings():
    labels = np.repeat([0, 1, 2], [60, 60, 3])
    found = records_in(Clustering(3, labels, np.zeros((3, 2))), k_min=50)
    assert found == [Found("centroids", Kind.CLUSTER), Found("assignments", Kind.PER_ROW)]
    assert len(records_in(Clustering(2, labels[:120], np.zeros((2, 2))))) == 1
    check_clusters(labels, 3, k_min=3)
    for few in ((labels, 3, 4), (labels[:120], 3, 2)):
        with pytest.raises(Denied) as refusal:
            check_clusters(*few)
        assert refusal.value.findings[0].reason is Reason.MODEL_CONTAINS_RECORDS


def test_what_nobody_knows_is_refused():
    class Own:
        def __init__(self):
            self.rows = X

    def remember(values, rows=X):
        return values - rows[0]

    for part in (Own(), FunctionTransformer(remember), partial(remember), {"a": Own()}):
        assert Kind.UNKNOWN in {found.kind for found in records_in(part)}
        denied(part)
    assert check_release(FunctionTransformer(np.log1p).fit(X)) == []


def test_an_object_that_holds_itself():
    model = LinearRegression().fit(X, Y)
    model.again = [model]
    assert check_release(model) == []


def test_a_part_is_named_without_a_value():
    model = {"13800138000": NearestNeighbors().fit(X)}
    assert not any("138" in found.part for found in records_in(model))
