"""The acceptance scenarios work in worlds of their own."""

import pytest
from scenario_world import World


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Makes a world; what it opened is closed afterwards."""
    made = []

    def make(*parties, **options):
        folder = tmp_path / f"world-{len(made)}"
        folder.mkdir()
        made.append(World(folder, monkeypatch, parties or ("bank", "shop"), **options))
        return made[-1]

    yield make
    for one in made:
        for home in one.nodes.values() if hasattr(one, "federation") else ():
            home.vault.close()
