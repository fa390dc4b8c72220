"""What a report says about groups of people: their attributes, and the reasons that they are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from clients.lending.reasons import Direction, name_in, parse_reasons, sentence
from clients.tables import FieldSpec
from clients.tables.attributes import Attribute
from clients.validation.evidence import Groups
from clients.validation.measures import Mask
from clients.validation.record import Words

MOST_GROUPS: Final = 12
"""More groups of one attribute than these make no table that anybody reads."""
OTHER: Final = "other"


def demographics_of(attributes: Mapping[str, Attribute], held_out: Mask, k_min: int) -> dict[str, Groups]:
    """Attributes by name as the fairness tables want them. held_out: (n,), which people the tables are about.

    Names are cells of the table: those that fewer than `k_min` people held out share are not shown, and neither are
    more than the `MOST_GROUPS` largest; such people are `OTHER` together. An attribute without a group
    to show is left out.
    """
    found = {}
    for key, attribute in sorted(attributes.items()):
        counts = np.bincount(
            attribute.places[held_out & (attribute.places >= 0)], minlength=len(attribute.names)
        )
        largest = np.argsort(-counts, kind="stable")[:MOST_GROUPS]
        shown = [place for place in range(len(counts)) if place in largest and counts[place] >= k_min]
        if not shown:
            continue
        into = np.full(len(attribute.names) + 1, len(shown), dtype=np.int64)
        into[shown] = np.arange(len(shown))
        into[-1] = -1  # place -1: not known
        places = into[attribute.places]
        names = tuple(attribute.names[place] for place in shown)
        found[key] = Groups((*names, OTHER) if (places == len(shown)).any() else names, places)
    return found


def reasons_of(cells: pd.Series[Any], fields: Sequence[FieldSpec]) -> dict[str, tuple[Words, Mask]]:
    """By the name of a field: what is said about it, and for whom (n,) it is among the reasons for a low score.

    cells: (n,) of the results (`clients.lending.reasons.parse_reasons`).
    """
    kinds = {item.name: item.kind for item in fields}
    texts = cells.fillna("").astype(str)
    codes, different = pd.factorize(texts)
    parsed = [
        {reason.name for reason in parse_reasons(cell) if reason.direction is Direction.RAISES}
        for cell in different
    ]
    found: dict[str, tuple[Words, Mask]] = {}
    for name in sorted(set().union(*parsed)):
        said = Words(
            en=sentence(name, Direction.RAISES, "en", kinds.get(name, "")),
            zh=sentence(name, Direction.RAISES, "zh-CN", kinds.get(name, "")),
        )
        hit = np.array([name in names for names in parsed], dtype=np.bool_)[codes]
        code = name_in(name, "en")
        if code in found:  # two parties have published the same name
            said, hit = found[code][0], found[code][1] | hit
        found[code] = (said, hit)
    return found
