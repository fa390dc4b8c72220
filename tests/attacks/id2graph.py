"""ID2Graph: a partner clusters the training rows by the tree nodes that they reach together, and guesses at labels.

Who. A feature holder: it is told which rows reach which node (`boosting.level`), of the other parties' splits too.
Source: Takahashi et al., arXiv 2307.10318: rows in one node are joined by an edge, communities of the graph go with
labels. Here in place of Louvain's method the leading singular vectors of the row-by-node table, which is the graph's
weighted bipartite form, and k-means on them, together with the partner's own columns or without.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix, hstack
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.extmath import randomized_svd
from threadpoolctl import threadpool_limits

from federation.boosting_messages import Chosen, Level, SplitSides
from federation.metrics import auc
from federation.scoring import flags_of


def nodes_of_twin(model, codes, own_features, options, *, textbook=False):
    """What a partner sees of every tree: {(tree, level): (n_rows,) number of the row's node, or -1}.

    model: `fit_trees`' on the pooled codes; own_features: the partner's. Levels above `depth`: below the last exchange
    leaves stay with the label holder, but for the partner's own splits, whose sides it knows. A tree that the label
    holder grows alone is not seen. textbook: leaves are seen as well.
    """
    seen = {}
    for number, tree in enumerate(model.trees[: options.trees]):
        if options.first_tree_local and number == 0:
            continue
        place = np.zeros(len(codes), dtype=np.int64)
        for level in range(options.depth + 1):
            if level:
                goes_on = (
                    level < options.depth
                    and _largest_child(tree, place, codes, model) >= 2 * options.min_child_rows
                )
                is_own = not (goes_on or textbook)
                place = _descend(model, tree, codes, place, own_features if is_own else None)
            if (place < 0).all():
                break
            seen[number, level] = place
    return seen


def _largest_child(tree, place, codes, model):
    """Rows of the largest child of this level's nodes: when none can be split, nobody is told of them."""
    below = _descend(model, tree, codes, place, None)
    return np.bincount(below[below >= 0]).max() if (below >= 0).any() else 0


def _descend(model, tree, codes, place, own_features):
    """The child of every row's node; -1 where there is none, or none that the partner sees."""
    below = np.full(len(place), -1)
    for node in np.unique(place[place >= 0]).tolist():
        if tree.left[node] < 0:
            continue
        split = model.splits[tree.split[node]]
        if own_features is None or split.feature in own_features:
            rows = np.flatnonzero(place == node)
            below[rows] = np.where(split.goes_left(codes[rows]), tree.left[node], tree.left[node] + 1)
    return below


def nodes_of_protocol(transcript, n_rows):
    """The same from what F received in a real run: {(tree, level): {rows of every node, as a frozenset}}.

    F's own answers are among it: it knows the sides of its own splits. Level-wise growth.
    """
    seen, open_nodes, last = {}, [], {}
    for _, _, message in transcript:
        if isinstance(message, Level) and message.level == 0:
            open_nodes = [np.arange(n_rows)]
            seen[message.tree, 0] = {frozenset(range(n_rows))}
        elif isinstance(message, Level):
            split = [
                node for node, is_split in zip(open_nodes, message.split.tolist(), strict=True) if is_split
            ]
            flags = flags_of(message.left, sum(map(len, split)), "bank")
            children = []
            for node, left in zip(split, np.split(flags, np.cumsum(list(map(len, split)))[:-1]), strict=True):
                children += [node[left], node[~left]]
            seen[message.tree, message.level] = {frozenset(child.tolist()) for child in children}
            open_nodes = [child for child, asked in zip(children, message.ask.tolist(), strict=True) if asked]
        elif isinstance(message, Chosen):
            last = (message, [open_nodes[place] for place in message.nodes])
        elif isinstance(message, SplitSides):
            nodes = last[1]
            flags = flags_of(message.left, sum(map(len, nodes)), "bank")
            own = set()
            for node, left in zip(nodes, np.split(flags, np.cumsum(list(map(len, nodes)))[:-1]), strict=True):
                own |= {frozenset(node[left].tolist()), frozenset(node[~left].tolist())}
            seen[message.tree, message.level + 1] = own
    return seen


def row_by_node(seen):
    """Sparse (n_rows, n_nodes): 1 / sqrt(size of the node) where a row reaches it, the deepest level seen per tree."""
    deepest = {}
    for (tree, _), place in sorted(seen.items()):
        above = deepest.get(tree, np.full(len(place), -1))
        offset = above.max() + 1
        deepest[tree] = np.where(place >= 0, place + offset, above)
    parts = []
    for place in deepest.values():
        _, column, size = np.unique(place, return_inverse=True, return_counts=True)
        weight = 1 / np.sqrt(size[column])
        parts.append(csr_matrix((weight, (np.arange(len(place)), column))))
    return hstack(parts).tocsr()


def embedding(seen, dimensions=4):
    """The rows by the graph's leading directions, the constant one left out: (n_rows, dimensions)."""
    table = row_by_node(seen)
    with threadpool_limits(1):
        left, size, _ = randomized_svd(table, dimensions + 1, random_state=0)
    return left[:, 1:] * size[1:] * np.sqrt(table.shape[0])


def best_direction(features, label):
    """The AUC of the direction that goes best with the labels, in its better sense: as if the partner knew which."""
    found = [auc(label, column) for column in features.T]
    return max(max(value, 1 - value) for value in found)


def guess_labels(features, label, clusters=2):
    """(ARI, AUC) of k-means' clusters with the labels: the AUC of ranking the rows by their cluster's rate of bad rows,
    as if the partner were told the rates (that favours it)."""
    scaled = (features - features.mean(0)) / np.maximum(features.std(0), 1e-9)
    with threadpool_limits(1):
        found = KMeans(clusters, n_init=4, random_state=0).fit_predict(scaled)
    rates = np.array([label[found == cluster].mean() for cluster in range(clusters)])
    return float(adjusted_rand_score(label, found)), auc(label, rates[found])
