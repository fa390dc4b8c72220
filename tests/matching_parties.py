"""All roles of a matching in one process, for tests: lists by party name, the first one the label holder's."""

import numpy as np

from federation import align
from federation.align_lists import TOKENS_PER_PART
from federation.jobs import MatchMode, MatchPlan
from federation.messages import COORDINATOR
from federation.roles import MemoryStore, Parties, Rehearsal
from federation.set_algebra import parse
from privacy.parallel import Workers


def as_identifiers(values):
    """Texts or bytes as `Identifiers`."""
    if isinstance(values, np.ndarray):
        return values
    encoded = [one.encode() if isinstance(one, str) else one for one in values]
    return np.array(encoded, dtype=f"S{max(map(len, encoded), default=1) or 1}")


def plan(mode=MatchMode.KEYED, **changes):
    return MatchPlan(mode=mode, **changes)


def roles_of(
    lists, match=None, *, k_min=1, stores=None, tokens_per_part=TOKENS_PER_PART, kind="phone", n_jobs=1
):
    """The roles by name, the coordinator among them. stores: what earlier attempts left, by name."""
    match = match or plan()
    names = list(lists)
    parties = Parties(names[0], tuple(names[1:]))
    stores = {} if stores is None else stores
    keyed = match.mode is MatchMode.KEYED
    coordinator = align.KeyedCoordinator if keyed else align.CircleCoordinator
    roles = {
        COORDINATOR: coordinator(
            parties,
            k_min=k_min,
            members=parse(match.members, names) if match.members else None,
            size_only=match.size_only,
            store=stores.setdefault(COORDINATOR, MemoryStore()),
            **({"tokens_per_part": tokens_per_part} if keyed else {}),
        )
    }
    for name in names:
        role = align.LabelHolder if name == names[0] else align.FeatureHolder
        roles[name] = role(
            parties,
            name,
            kind,
            as_identifiers(lists[name]),
            plan=match,
            k_min=k_min,
            store=stores.setdefault(name, MemoryStore()),
            workers=Workers(n_jobs),
        )
    return roles


def rehearse(lists, match=None, *, carry=lambda message: message, **changes):
    """Run a matching to its end; returns the results by name and the transcript."""
    rehearsal = Rehearsal(roles_of(lists, match, **changes), carry)
    return rehearsal.run(), rehearsal.transcript
