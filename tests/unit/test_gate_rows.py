"""How the gate asks the store: once for each need, however many columns rest on it."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np

from clients.gate.rows import RowRules
from clients.tables.subjects import Funnel
from privacy.consent import Answer, ConsentKind, Need

FINANCIAL = Need("credit_risk", ConsentKind.SEPARATE, "sensitive:financial_situation")
CREDIT = Need("credit_risk", ConsentKind.SEPARATE, "sensitive:credit")


class Store:
    """Everybody has agreed, but for the subjects named by `withdrawn`."""

    def __init__(self, withdrawn):
        self.withdrawn, self.asked = withdrawn, []

    def answers(self, tokens, need, notices, at):
        self.asked.append((need, len(tokens)))
        return np.where(np.isin(tokens[:, 0], self.withdrawn), Answer.WITHDRAWN, Answer.YES).astype(np.uint8)


def test_columns_with_the_same_need_ask_once():
    store = Store(withdrawn=[1])
    tokens, funnel = np.column_stack([np.arange(4), np.zeros(4)]).astype(np.uint64), Funnel(4)
    rules = RowRules(None, SimpleNamespace(notices=frozenset()), store, datetime.now(UTC))
    first = rules.lacking(tokens, (FINANCIAL,), funnel)
    assert [(step, rows.tolist()) for step, rows in first] == [
        ("sensitive_consent_withdrawn", [False, True, False, False])
    ]
    funnel.exclude(*first[0])
    assert rules.lacking(tokens, (FINANCIAL, CREDIT), funnel) == []
    assert store.asked == [(FINANCIAL, 4), (CREDIT, 3)]
