"""The self-check of a small handler: 19 items from the evidence, in the shape of the schema that is shipped."""

from __future__ import annotations

import json

import audit_items_scene as scene
import msgspec
import pytest
from audience_scene import PEOPLE, marketing_home
from json_schema import problems
from typer.testing import CliRunner

from clients.cli import app
from clients.small_handler import people_of
from privacy.audit import EventType
from privacy.audit_items import small
from privacy.audit_items.small import PEOPLE_LIMIT, read_self_check, schema, self_check, shipped_schema
from privacy.catalog import Catalog
from privacy.errors import ConfigInvalid, SilhouetteError

POLICY = scene.policy()


def made(entries=None, people=1_000):
    events = scene.log(scene.told() if entries is None else entries, POLICY)
    catalog = Catalog.load().with_overrides(POLICY.overrides)
    return self_check(events, POLICY, catalog, people, scene.signed(events))


def plain(form):
    return json.loads(msgspec.json.encode(form))


def test_nineteen_items_fit_the_shipped_schema():
    """Scenario 37 of the design."""
    form = plain(made())
    assert [item["item"] for item in form["items"]] == list(range(1, 20))
    assert problems(form, shipped_schema(), shipped_schema()) == []
    assert read_self_check(msgspec.json.encode(form)) == made()
    assert len({item["title"]["zh"] for item in form["items"]}) == 19


def test_the_shipped_schema_is_the_forms():
    assert shipped_schema() == schema()


@pytest.mark.parametrize(
    ("change", "at"),
    [
        (lambda form: form["items"].pop(), "$.items"),
        (lambda form: form.pop("note"), "$.note"),
        (lambda form: form.update(surprise=1), "$.surprise"),
        (lambda form: form.update(people=PEOPLE_LIMIT), "$.people"),
        (lambda form: form.update(policy="x"), "$.policy"),
        (lambda form: form["items"][3].update(result="fine"), "$.items[3].result"),
        (lambda form: form["items"][3]["title"].update(zh=""), "$.items[3].title.zh"),
        (lambda form: form["items"][3]["evidence"].update(events="7"), "$.items[3].evidence.events"),
    ],
)
def test_another_shape_is_refused_by_the_schema_and_by_the_reader(change, at):
    form = plain(made())
    change(form)
    assert at in problems(form, shipped_schema(), shipped_schema())
    with pytest.raises(ConfigInvalid):
        read_self_check(msgspec.json.encode(form))


def test_an_item_says_what_was_found():
    found = {item.evidence.guideline: item for item in made().items}
    assert found[2].result is small.Result.AGREES
    assert found[2].evidence.events > 0
    assert all(check.holds for check in found[2].evidence.checks)
    nothing = {item.evidence.guideline: item for item in made([]).items}
    assert nothing[25].result is small.Result.ABSENT
    assert nothing[25].open
    late = [entry for entry in scene.told() if entry["type"] != "pipia.approved"]
    assert {item.evidence.guideline: item for item in made(late).items}[23].result is not small.Result.AGREES


def test_a_larger_handler_is_refused():
    assert made(people=PEOPLE_LIMIT - 1).people == PEOPLE_LIMIT - 1
    with pytest.raises(ConfigInvalid) as refusal:
        made(people=PEOPLE_LIMIT)
    assert "fewer than 100,000" in refusal.value.render("en")


def run(*words):
    result = CliRunner().invoke(app, ["audit", "small", *map(str, words)])
    if isinstance(result.exception, SilhouetteError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_by_command(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    home = marketing_home(tmp_path)
    form = json.loads(run("--home", home.folder, "--json"))
    assert problems(form, shipped_schema(), shipped_schema()) == []
    assert form["people"] == len(PEOPLE)
    assert not any(phone in json.dumps(form) for phone in PEOPLE)
    assert "Item 19, " in run("--home", home.folder)
    with pytest.raises(ConfigInvalid):
        run("--home", home.folder, "--people", PEOPLE_LIMIT)


def test_people_of_an_admitted_table_are_counted(tmp_path):
    home = marketing_home(tmp_path)
    assert people_of(home) == len(PEOPLE)
    home.audit.append(EventType.DATASET_ADMITTED, actor="node", numbers={"rows": 150_000, "eligible": 10})
    assert people_of(home) == 150_000
    with pytest.raises(ConfigInvalid):
        run("--home", home.folder)
