"""What of a fitted scikit-learn estimator is made of single people's rows: by class, for scikit-learn 1.6 to 1.9.

A class is named as it stands in the estimator's method resolution order, so that subclasses are covered.
`tests/unit/test_records.py` fits every estimator there is on a planted table and finds what is missing here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

ROWS: Final[Mapping[str, tuple[str, ...]]] = {
    "NeighborsBase": ("_fit_X", "_tree"),
    "KNNImputer": ("_fit_X",),
    "KernelDensity": ("tree_",),
    "BaseLibSVM": ("support_vectors_",),
    "GaussianProcessRegressor": ("X_train_",),
    "_BinaryGaussianProcessClassifierLaplace": ("X_train_",),
    "KernelRidge": ("X_fit_",),
    "KernelPCA": ("X_fit_",),
    "BaseLabelPropagation": ("X_",),
    "DBSCAN": ("components_",),
    "HDBSCAN": ("_raw_data", "centroids_", "medoids_"),
    "Nystroem": ("components_",),
    "AffinityPropagation": ("cluster_centers_",),
    "MeanShift": ("cluster_centers_",),
    "Birch": ("root_", "dummy_leaf_", "subcluster_centers_"),
    "KMedoids": ("cluster_centers_",),
    "CLARA": ("cluster_centers_",),
}
"""Parts that hold whole rows: stored ones, exemplars, medoids, centres of clusters that may be of one row."""
EXTREMES: Final[Mapping[str, tuple[str, ...]]] = {
    "MinMaxScaler": ("data_min_", "data_max_", "data_range_", "min_", "scale_"),
    "MaxAbsScaler": ("max_abs_", "scale_"),
    "RobustScaler": ("center_",),
    "KBinsDiscretizer": ("bin_edges_",),
    "QuantileTransformer": ("quantiles_",),
    "SplineTransformer": ("bsplines_",),
    "SimpleImputer": ("statistics_",),
    "IsotonicRegression": ("X_thresholds_", "X_min_", "X_max_", "y_thresholds_", "f_"),
}
"""Parts that hold single values of a column: of somebody, but not a row. Labels (`classes_`) are not told: every
classifier has them."""
CATEGORIES: Final[Mapping[str, tuple[str, str]]] = {
    "OneHotEncoder": ("categories_", "min_frequency"),
    "OrdinalEncoder": ("categories_", "min_frequency"),
    "TargetEncoder": ("categories_", ""),
    "CountVectorizer": ("vocabulary_", "min_df"),
    "DictVectorizer": ("vocabulary_", ""),
}
"""Parts with every value that occurs, a rare one too, and the parameter that keeps rare ones out."""
CLUSTERS: Final = frozenset({"_BaseKMeans"})
"""Clusterings whose centres are means: of a small cluster, a statement about few."""
PER_ROW: Final = frozenset(
    {
        *("labels_", "row_labels_", "embedding_", "_x_scores", "_y_scores", "x_scores_", "y_scores_"),
        *("affinity_matrix_", "dissimilarity_matrix_", "dist_matrix_", "dist_", "transduction_"),
        *(
            "label_distributions_",
            "labeled_iter_",
            "core_distances_",
            "reachability_",
            "predecessor_",
            "ordering_",
        ),
        *(
            "probabilities_",
            "negative_outlier_factor_",
            "oob_decision_function_",
            "oob_prediction_",
            "inlier_mask_",
        ),
        *(
            "core_sample_indices_",
            "sample_weight_",
            "outlier_label_",
            "outliers_",
            "rows_",
            "children_",
            "K_fit_rows_",
        ),
    }
)
"""Attributes with an entry for every row of training: what became of each person."""
PER_ROW_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "MinCovDet": ("support_", "raw_support_"),
    "_BaseRidgeCV": ("cv_results_",),
}
"""The same where the name means something else in other classes."""
OF_FIELDS: Final = frozenset({"FeatureAgglomeration"})
"""Estimators whose `labels_` are of columns."""


def names_of(value: object) -> frozenset[str]:
    """The names of an object's class and of all its bases."""
    return frozenset(kind.__name__ for kind in type(value).__mro__)


def is_from_rows(value: Any) -> bool:
    """Whether what `EXTREMES` names is somebody's value: a mean, or a constant, is nobody's."""
    return not ("SimpleImputer" in names_of(value) and value.strategy in {"mean", "constant"})


def has_rare_categories(value: Any, limit: str, k_min: int) -> bool:
    """Whether an encoder may know a category of fewer than k_min people.

    Categories that its user has listed come from no row.
    """
    listed = getattr(value, "categories", "auto")
    if (not isinstance(listed, str) and listed is not None) or getattr(value, "fixed_vocabulary_", False):
        return False
    fewest = getattr(value, limit, None) if limit else None
    return not (isinstance(fewest, int | np.integer) and fewest >= k_min)


def has_small_cluster(labels: np.ndarray[Any, Any], n_clusters: int, k_min: int) -> bool:
    """Whether a cluster has fewer than k_min rows. An empty one keeps the row that it began with. labels: (n,)."""
    sizes = np.bincount(labels[labels >= 0], minlength=n_clusters)
    return bool((sizes < k_min).any())
