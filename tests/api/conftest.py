import pytest

from tests.api_scene import ApiScene


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return ApiScene.create(tmp_path_factory.mktemp("api"))
