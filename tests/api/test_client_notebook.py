"""The example notebook: made of its script's cells, without an error, and every cell runs at a coordinator here."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import msgspec
import pytest
import report_scene
from client_scene import jobs_whose_waits, opened
from console_scene import Scene

import federation.client
from federation.proposals import JobState

FOLDER = Path(__file__).parents[2] / "examples" / "notebook"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("make_notebook", FOLDER / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def kept():
    return json.loads((FOLDER / "joint_model.ipynb").read_text("utf-8"))


def test_the_kept_notebook_is_of_the_scripts_cells(script, kept):
    assert (kept["nbformat"], kept["nbformat_minor"]) == (4, 5)
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in kept["cells"]]
    assert cells == [*script.CELLS]
    assert len({cell["id"] for cell in kept["cells"]}) == len(cells)


def test_the_kept_notebook_was_run_from_its_first_cell_to_its_last(kept):
    code = [cell for cell in kept["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == [*range(1, len(code) + 1)]
    outputs = [output for cell in code for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} == {"stream", "execute_result"}
    shown = json.dumps(outputs)
    assert "shared customers" in shown
    assert "sht_" not in shown


def test_every_cell_runs(script, kept, tmp_path, monkeypatch):
    scene = Scene(tmp_path)
    parties = {"shop": "ecommerce"}
    home, world = scene.home, scene.world
    world.identities["ecommerce"] = world.identities["shop"]
    roster = home.roster
    as_shop = next(party for party in roster.parties if party.name == "shop")
    home.enrol(msgspec.structs.replace(as_shop, name="ecommerce"))
    world.jobs.stop(_operator(), scene.jobs["running"])
    scene.runner.step()

    def run_it():
        (job,) = world.jobs.page(states=[JobState.PROPOSED], party="ecommerce")
        for party in job.parties:
            world.say(job, party)
        runner = world.runner("second", "other")
        runner.step()
        result = json.dumps(report_scene.make_result())
        for old, new in parties.items():
            result = result.replace(f'"{old}"', f'"{new}"')
        world.record(job.number).finish(json.loads(result))
        runner.step()

    def connect():
        console = opened(scene, "mo")
        console.jobs = jobs_whose_waits(console, run_it)
        return console

    monkeypatch.setattr(federation.client, "connect", connect)
    monkeypatch.setenv("SILHOUETTE_LANG", "en")
    made = script.notebook()
    assert [cell["source"] for cell in made["cells"]] == [cell["source"] for cell in kept["cells"]]
    shown = json.dumps([cell.get("outputs") for cell in made["cells"]])
    assert "shared customers: 1000" in shown
    assert "Do what the title says" in shown


def _operator():
    from jobs_scene import MODELLER

    return MODELLER
