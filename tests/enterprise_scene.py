"""Firms at three holders, and the exchange of what each says of them."""

import numpy as np
from scorecard_scene import over_the_wire

from clients.sample.enterprises import COLUMNS, ENTERPRISE_PARTIES, draw_enterprises, electricity_columns
from federation.enterprise import exchange
from federation.enterprise.holdings import ExchangeOptions, Holdings
from federation.enterprise.levels import RULES
from federation.roles import Parties, Rehearsal

PARTIES = Parties(ENTERPRISE_PARTIES[0], ENTERPRISE_PARTIES[1:])


class EnterpriseScene:
    """`rows` firms without dirt, but for `missing` of the cells."""

    def __init__(self, rows=600, seed=23, options=None, missing=0.02):
        rng = np.random.default_rng(seed)
        self.firms = draw_enterprises(rows, rng)
        self.options = options or ExchangeOptions()
        self.rows = rows
        self.columns = {
            party: {
                item.name: self._column(item.name, rng, missing) for item in COLUMNS if item.party == party
            }
            for party in PARTIES.all
        }
        self.panel = self.firms[list(electricity_columns())].to_numpy(np.float64, copy=True)
        self.probability = self.firms["default_probability"].to_numpy(np.float64)

    def _column(self, name, rng, missing):
        values = self.firms[name].to_numpy(np.float64)
        return np.where(rng.random(len(values)) < missing, np.nan, values)

    def holdings(self, party):
        own = self.columns[party]
        exact = {rule.column: own[rule.column] for rule in RULES if rule.column in own}
        return Holdings(self.rows, own, exact, self.panel if party == "utility" else None)

    def label_holder(self):
        return exchange.LabelHolder(PARTIES, self.holdings("bank"), self.probability, self.options)

    def feature_holder(self, party, allowed=None):
        return exchange.FeatureHolder(PARTIES, self.holdings(party), self.options, allowed)

    def answer(self, party):
        """What an honest partner says."""
        return self.feature_holder(party).start()[0].message

    def run(self, allowed=None):
        roles = {"bank": self.label_holder()}
        roles |= {
            name: self.feature_holder(name, (allowed or {}).get(name)) for name in PARTIES.feature_holders
        }
        rehearsal = Rehearsal(roles, over_the_wire)
        return rehearsal.run(), rehearsal.transcript
