"""Rows of a finished job at two to four parties, some of which have been deleted at some of them."""

import numpy as np

from federation import recall, wire
from federation.roles import Parties, Rehearsal

NAMES = ("bank", "shop", "carrier", "grid")
SESSION = "5e" * 16
RULES = {"k_min": 5, "least_changes": 3}


def references(n_rows, seed=1):
    return np.random.default_rng(seed).integers(0, 256, (n_rows, 16), dtype=np.uint8)


def over_the_wire(message):
    return wire.decode(wire.encode(message))


class Scene:
    """gone: by party, which rows of the earlier matching are not there any more."""

    def __init__(self, n_rows=40, gone=None, partners=2, **rules):
        self.parties = Parties("bank", NAMES[1 : 1 + partners])
        self.before, self.all = n_rows, references(n_rows)
        self.rules = {**RULES, "before": n_rows, **rules}
        self.kept = {
            name: np.delete(np.arange(n_rows), sorted((gone or {}).get(name, ())))
            for name in self.parties.all
        }

    def role(self, name, **changes):
        kind = recall.LabelHolder if name == "bank" else recall.FeatureHolder
        return kind(self.parties, SESSION, self.all[self.kept[name]], **(self.rules | changes))

    def roles(self):
        return {name: self.role(name) for name in self.parties.all}

    def run(self):
        """(rows of the earlier matching that stay, by party; transcript)."""
        rehearsal = Rehearsal(self.roles(), over_the_wire)
        found = rehearsal.run()
        return {name: self.kept[name][of.places] for name, of in found.items()}, rehearsal.transcript
