"""One coordinator for all tests that only look."""

import pytest
from console_scene import Scene


@pytest.fixture(scope="session")
def scene(tmp_path_factory):
    return Scene(tmp_path_factory.mktemp("console"))
