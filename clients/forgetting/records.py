"""Whether a fitted model contains people's rows: such a model is not released, and is retired when somebody is deleted.

PIPL 47, and our reading of it for models: k nearest neighbours, support vectors, exemplars, medoids and encoders of
rare categories hold records, so that forgetting a person means to build the model again (docs/pipl.md). Estimators are
searched by attributes, through pipelines and whatever they are built of; our own clusterings by the sizes of clusters.
What it does not promise. It looks at what is stored as it is: that the weights of a network, or the leaves of a tree,
betray nobody, it does not show. Objects that are neither scikit-learn's nor ours are refused, not searched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from functools import partial
from types import FunctionType, MethodType
from typing import Any, Final

import msgspec
import numpy as np
from numpy.random import Generator, RandomState

from clients.forgetting.holding_records import (
    CATEGORIES,
    CLUSTERS,
    EXTREMES,
    OF_FIELDS,
    PER_ROW,
    PER_ROW_OF,
    ROWS,
    has_rare_categories,
    has_small_cluster,
    is_from_rows,
    names_of,
)
from federation.kmeans_messages import Clustering
from privacy.errors import Denied
from privacy.parameters import STANDARD
from privacy.reasons import Finding, Reason
from privacy.texts import text

_DEEPEST: Final = 32
_PLAIN: Final = (
    str,
    bytes,
    bool,
    int,
    float,
    complex,
    type(None),
    type,
    np.generic,
    np.ufunc,
    Generator,
    RandomState,
)
_KNOWN: Final = (
    "sklearn.",
    "numpy.",
    "scipy.",
    "builtins.",
    "collections.",
    "functools.",
    "random.",
    "joblib.",
)
"""Where the classes of what is searched come from."""
_TREES: Final = frozenset({"BinaryTree", "KDTree", "BallTree", "BinaryTree64", "BinaryTree32"})
"""Trees of neighbours: rows, wherever they are."""


class Kind(StrEnum):
    """What was found. Every one but EXTREMES keeps a model from being released."""

    ROWS = "rows"
    CATEGORIES = "categories"
    CLUSTER = "cluster"
    PER_ROW = "per_row"
    UNKNOWN = "unknown"
    EXTREMES = "extremes"


class Found(msgspec.Struct, frozen=True):
    """One part of a model. part: the way to it, by names and places, never by a value."""

    part: str
    kind: Kind

    @property
    def is_note(self) -> bool:
        """Whether it is told, and keeps nothing from being released."""
        return self.kind is Kind.EXTREMES

    def remedy(self, language: str | None = None) -> str:
        """What can be done about it."""
        return text(f"records.remedy.{self.kind.value}", language=language)


def records_in(model: object, k_min: int = STANDARD.k_min) -> list[Found]:
    """What of a fitted model is made of people's rows; the worst first, and each part once.

    k_min: fewest people behind a category or a centre of a cluster.
    """
    found = dict.fromkeys(_search(model, "", k_min, {}, 0))
    return sorted(found, key=lambda one: (list(Kind).index(one.kind), one.part))


def check_release(model: object, k_min: int = STANDARD.k_min) -> list[Found]:
    """What is to be noted of a model that may be released.

    Raises `Denied` (R-MODEL-CONTAINS-RECORDS) that names every part for which it may not be.
    """
    found = records_in(model, k_min)
    kept = [one for one in found if not one.is_note]
    if kept:
        raise Denied.of(Finding(Reason.MODEL_CONTAINS_RECORDS, f"{one.part}: {one.remedy()}") for one in kept)
    return found


def check_clusters(assignments: np.ndarray[Any, Any], n_clusters: int, k_min: int) -> None:
    """The centroids of stored segments may be released: each is the mean of k_min rows at least. assignments: (n,).

    Raises `Denied` (R-MODEL-CONTAINS-RECORDS).
    """
    if has_small_cluster(assignments, n_clusters, k_min):
        one = Found("centroids", Kind.CLUSTER)
        raise Denied.of([Finding(Reason.MODEL_CONTAINS_RECORDS, f"{one.part}: {one.remedy()}")])


def _search(value: Any, part: str, k_min: int, seen: dict[int, Any], depth: int) -> Iterator[Found]:
    if isinstance(value, _PLAIN) or id(value) in seen:
        return
    seen[id(value)] = value  # kept: the address of what is gone may be given away again
    if depth > _DEEPEST:
        yield Found(part, Kind.UNKNOWN)
        return
    if isinstance(value, Clustering):
        yield Found(_join(part, "assignments"), Kind.PER_ROW)
        if has_small_cluster(value.assignments, value.n_clusters, k_min):
            yield Found(_join(part, "centroids"), Kind.CLUSTER)
        return
    items = _items(value)
    if items is None:
        yield from _object(value, part, k_min, seen, depth)
    else:
        named = ((f"[{place}]", item) for place, item in enumerate(items))
        yield from _inside(named, part, k_min, seen, depth)


def _items(value: Any) -> Iterable[Any] | None:
    """What a collection holds; None for anything else. Places name it: a key may be a value of a row."""
    if isinstance(value, np.ndarray):
        found: Iterable[Any] = value.ravel() if value.dtype == object else ()
        return found
    if isinstance(value, dict):
        return (item for pair in value.items() for item in pair)
    if isinstance(value, partial):
        return (value.func, value.args, value.keywords)
    return value if isinstance(value, list | tuple | set | frozenset) else None


def _object(value: Any, part: str, k_min: int, seen: dict[int, Any], depth: int) -> Iterator[Found]:
    names = names_of(value)
    if names & _TREES or any(name.startswith(("KDTree", "BallTree", "BinaryTree")) for name in names):
        yield Found(part or ".", Kind.ROWS)
        return
    is_function = isinstance(value, FunctionType | MethodType)
    module = f"{value.__module__ if is_function else type(value).__module__}."
    if not module.startswith(_KNOWN):
        yield Found(part or ".", Kind.UNKNOWN)
        return
    if is_function:
        return
    yield from _parts(value, names, part, k_min)
    attributes = getattr(value, "__dict__", {})
    told = {name for kind in names & ROWS.keys() for name in ROWS[kind]}
    told |= {CATEGORIES[kind][0] for kind in names & CATEGORIES.keys()}
    inner = ((f".{name}", item) for name, item in attributes.items() if name not in told)
    yield from _inside(inner, part, k_min, seen, depth)


def _parts(value: Any, names: frozenset[str], part: str, k_min: int) -> Iterator[Found]:
    """What the tables say about one object."""
    for kind, table in ((Kind.ROWS, ROWS), (Kind.EXTREMES, EXTREMES)):
        for name in (name for owner in names & table.keys() for name in table[owner]):
            if _is_there(value, name) and (kind is Kind.ROWS or is_from_rows(value)):
                yield Found(_join(part, name), kind)
    for name, limit in (CATEGORIES[owner] for owner in names & CATEGORIES.keys()):
        if _is_there(value, name) and has_rare_categories(value, limit, k_min):
            yield Found(_join(part, name), Kind.CATEGORIES)
    has_labels = names & CLUSTERS and _is_there(value, "labels_")
    if has_labels and has_small_cluster(value.labels_, len(value.cluster_centers_), k_min):
        yield Found(_join(part, "cluster_centers_"), Kind.CLUSTER)
    if not names & OF_FIELDS:
        own = {name for owner in names & PER_ROW_OF.keys() for name in PER_ROW_OF[owner]}
        for name in PER_ROW | own:
            if _is_there(value, name):
                yield Found(_join(part, name), Kind.PER_ROW)


def _inside(
    items: Iterable[tuple[str, Any]], part: str, k_min: int, seen: dict[int, Any], depth: int
) -> Iterator[Found]:
    for name, item in items:
        yield from _search(item, (part + name).removeprefix("."), k_min, seen, depth + 1)


def _join(part: str, name: str) -> str:
    return f"{part}.{name}" if part else name


def _is_there(value: Any, name: str) -> bool:
    """Whether an attribute is stored and holds something."""
    item = vars(value).get(name) if hasattr(value, "__dict__") else None
    if item is None:
        return False
    size = getattr(item, "size", None)
    return bool(size) if isinstance(size, int) else True
