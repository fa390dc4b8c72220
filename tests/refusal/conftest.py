"""One party of a session, and a coordinator and a partner that say what a test tells them to."""

import pytest
from party_scene import MATCHING_KEY, Scene

from privacy import matching


@pytest.fixture
def scene(tmp_path, monkeypatch):
    monkeypatch.setattr(matching, "derived_key", lambda master, stamps: MATCHING_KEY)
    made = Scene(tmp_path)
    yield made
    made.home.vault.close()
