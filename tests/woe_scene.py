"""Two or three parties that bin together, and the pooled table that they would have had."""

from typing import Union

import msgspec
import numpy as np

from federation import collinearity, wire, woe_binning
from federation.roles import Parties, Rehearsal, View
from federation.woe import FieldOptions, WoeOptions

_DECODER = msgspec.msgpack.Decoder(
    Union[(*woe_binning.MESSAGES, *collinearity.MESSAGES)], dec_hook=wire._decode_array
)
OPTIONS = WoeOptions(
    pre_bins=10, max_bins=5, k_min=15, min_bin_share=0.05,
    fields={"shop_2": FieldOptions("auto", (-99.0, -98.0)), "carrier_0": FieldOptions("ascending")},
)  # fmt: skip
WIDTHS = {"bank": 3, "shop": 4, "carrier": 2}


def over_the_wire(message):
    return _DECODER.decode(wire.encode(message))


class World:
    """values: the pooled table; label; train: the rows that are trained on."""

    def __init__(self, seed, partners=1, n_rows=400, mirrored=False):
        rng = np.random.default_rng(seed)
        self.parties = Parties("bank", ("shop", "carrier")[:partners])
        self.widths = [WIDTHS[name] for name in self.parties.all]
        values = rng.normal(size=(n_rows, sum(self.widths)))
        values[:, 1] += 2 * values[:, 0]
        values[:, 3] -= values[:, 0]
        values[:, 5] = np.where(rng.random(n_rows) < 0.15, -99.0, values[:, 5])
        values[:, 5] = np.where(rng.random(n_rows) < 0.01, -98.0, values[:, 5])
        values[:, 6] = np.round(values[:, 6] + values[:, 3])
        chance = 1 / (1 + np.exp(1 + values[:, 0] + values[:, 6] * 0.5 + (values[:, 5] < -50)))
        self.label = (rng.random(n_rows) < chance).astype(np.int8)
        values[rng.random(n_rows) < 0.12, 4] = np.nan
        values[rng.random(n_rows) < 0.01, 3] = np.nan
        self.train = np.sort(rng.permutation(n_rows)[: int(n_rows * 0.8)])
        if mirrored:  # a field whose bins look alike from both ends
            place = np.arange(len(self.train))
            values[self.train, 3] = place
            half = rng.random(len(place) // 2) < 0.3
            self.label[self.train] = np.concatenate([half, half[::-1]])
        self.values = values
        self.starts = np.cumsum([0, *self.widths])

    def columns(self, name):
        place = self.parties.all.index(name)
        return slice(self.starts[place], self.starts[place + 1])

    def view(self, name):
        values = self.values[:, self.columns(name)]
        return View(tuple(f"{name}_{place}" for place in range(values.shape[1])), values)

    @property
    def names(self):
        return tuple(field for name in self.parties.all for field in self.view(name).fields)

    def binning_roles(self, secret, options=OPTIONS, **partner_options):
        first, *others = self.parties.all
        return {
            first: woe_binning.LabelHolder(
                self.parties, self.view(first), self.label, self.train, options,
                decryptor=secret, public_key=secret.public,
            ),
            **{
                name: woe_binning.FeatureHolder(
                    self.parties, self.view(name), options, 512, **partner_options
                )
                for name in others
            },
        }  # fmt: skip

    def bin_together(self, secret, options=OPTIONS):
        rehearsal = Rehearsal(self.binning_roles(secret, options), over_the_wire)
        return rehearsal.run(), rehearsal.transcript

    def selection_roles(self, secret, bins, options):
        """bins: the results of `bin_together`."""
        first, *others = self.parties.all
        return {
            first: collinearity.LabelHolder(
                self.parties, self.view(first), bins[first], self.train, options,
                decryptor=secret, public_key=secret.public,
            ),
            **{
                name: collinearity.FeatureHolder(self.parties, self.view(name), bins[name], options, 512)
                for name in others
            },
        }  # fmt: skip
