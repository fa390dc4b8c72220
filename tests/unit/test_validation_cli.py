"""`silhouette-node validation show`: the figures of the record, in both forms."""

import json

import pytest
from typer.testing import CliRunner
from validation_scene import make_evidence

from clients.validation.build import build
from clients.validation.cli import validation_app
from clients.validation.render import JSON_FILE, page_file, write_validation
from privacy.errors import ConfigInvalid, MessageInvalid


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("results")
    write_validation(build(make_evidence(2000)), made)
    return made


def shown(*words):
    result = CliRunner().invoke(validation_app, ["show", *map(str, words)], env={"COLUMNS": "200"})
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0
    return result.stdout


def test_it_shows_quality_and_every_check(folder):
    record, text = json.loads((folder / JSON_FILE).read_bytes()), shown(folder)
    for model in ("joint", "alone"):
        quality = record["performance"][model]["held_out"]
        assert f"{quality['auc']:.4f}" in text
        assert f"{quality['ks']:.4f}" in text
    assert record["identification"]["model_id"] in text
    assert page_file("en") in text.replace("\n", "")
    figures = [check["figure"] for check in record["checks"] if check["figure"] is not None]
    assert len(figures) > 5
    assert all(f"{figure:.3f}" in text for figure in figures)


def test_json_is_the_record(folder):
    assert json.loads(shown(folder, "--json")) == json.loads((folder / JSON_FILE).read_bytes())


def test_another_folder_or_file_is_a_clear_error(folder, tmp_path):
    with pytest.raises(ConfigInvalid):
        shown(tmp_path)
    (tmp_path / JSON_FILE).write_text("{}")
    with pytest.raises(MessageInvalid):
        shown(tmp_path)
