"""What need not happen at every turn of a loop."""

import time

from federation.pace import Every


def test_due_at_once_and_then_after_the_interval(monkeypatch):
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    hourly = Every(3600.0)
    assert hourly.is_due()
    assert not hourly.is_due()
    now += 3599.0
    assert not hourly.is_due()
    now += 1.0
    assert hourly.is_due()
    assert not hourly.is_due()
