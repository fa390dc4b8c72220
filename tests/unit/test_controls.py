"""docs/pipl.md claims nothing that is not there: controls name code and tests that exist, every code has a control."""

from __future__ import annotations

import ast
import importlib
import re
from functools import cache

import msgspec
import pytest
from controls import PAGE, ROOT, Control, Controls, Status, page, read_controls

from privacy.audit import EventType
from privacy.audit_items.guideline import LEVELS
from privacy.catalog import Action, Catalog
from privacy.policy import PurposeClass
from privacy.reasons import Reason

FOUND = read_controls()
MUST_PROVE = {Status.BUILT, Status.PARTLY, Status.DOCUMENT}
MUST_SAY_WHAT_LACKS = {Status.PARTLY, Status.LATER}
PLANNED_IS_ALLOWED = False
"""Only while the tests of a new control are being written."""
PACKAGES = ("privacy", "federation", "clients", "server")


@cache
def functions_of(file: str) -> frozenset[str]:
    """The test functions of a file, as `name` or `Class::name`."""
    path = ROOT / file
    if not path.is_file():
        return frozenset()
    names = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.ClassDef):
            names |= {f"{node.name}::{item.name}" for item in node.body if isinstance(item, ast.FunctionDef)}
    return frozenset(name for name in names if name.split("::")[-1].startswith("test_"))


@cache
def mentions(pattern: str) -> frozenset[str]:
    """What `pattern.NAME` the code of the four packages says anywhere but where it is defined."""
    defined = {"Reason": "reasons.py", "EventType": "audit.py"}[pattern]
    sources = [
        file.read_text("utf-8")
        for package in PACKAGES
        for file in sorted((ROOT / package).rglob("*.py"))
        if file != ROOT / "privacy" / defined
    ]
    return frozenset(name for source in sources for name in re.findall(rf"\b{pattern}\.([A-Z_]+)", source))


def has_code(place: str) -> bool:
    """Whether "module" or "module:name.name" exists."""
    module, _, path = place.partition(":")
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError:
        return False
    for name in filter(None, path.split(".")):
        if not hasattr(found, name):
            return False
        found = getattr(found, name)
    return True


def has_test(place: str) -> bool:
    """Whether "file::function" exists."""
    file, _, name = place.partition("::")
    return file.startswith("tests/") and name in functions_of(file)


def faults(control: Control) -> list[str]:
    """What a control claims and is not so."""
    found = []
    if control.status in MUST_PROVE:
        found += ["no code"] * (not control.code) + ["no test"] * (not control.tests)
        found += [f"never refused with: {name}" for name in control.reasons if name not in mentions("Reason")]
        logged = {EventType(event).name for event in control.events if event in set(EventType)}
        found += [f"never logged: {name}" for name in sorted(logged - mentions("EventType"))]
    if control.status in {Status.LATER, Status.PEOPLE}:
        found += ["names code or tests"] * bool(control.code or control.tests)
    found += ["no gap"] * (control.status in MUST_SAY_WHAT_LACKS and not control.gap)
    if control.status is not Status.PLANNED:
        found += [f"no such code: {place}" for place in control.code if not has_code(place)]
    found += [f"no such test: {place}" for place in control.tests if not has_test(place)]
    found += [f"no such reason: {name}" for name in control.reasons if name not in Reason.__members__]
    found += [f"no such event: {event}" for event in control.events if event not in set(EventType)]
    return found


def title_of(control: Control) -> str:
    return control.article


@pytest.mark.parametrize("control", FOUND.controls, ids=title_of)
def test_a_control_claims_nothing_that_is_not_there(control):
    assert faults(control) == []


def test_no_control_is_only_planned():
    planned = [control.article for control in FOUND.controls if control.status is Status.PLANNED]
    assert PLANNED_IS_ALLOWED or planned == []


def test_every_reason_is_in_a_control():
    named = {name for control in FOUND.controls for name in control.reasons}
    assert sorted(set(Reason.__members__) - named) == []


def test_every_event_that_is_logged_is_in_a_control():
    named = {EventType(event).name for control in FOUND.controls for event in control.events}
    assert sorted((mentions("EventType") & set(EventType.__members__)) - named) == []


def test_every_article_that_asks_something_of_a_handler_is_there():
    """Chapters II to V, and what proves fault: what is left out asks nothing of handlers."""
    numbers = {
        int(number)
        for control in FOUND.controls
        for part in control.article.split(";")
        if part.strip().startswith("PIPL")
        for number in re.findall(r"\d+", re.sub(r"\(.*?\)", "", part))
    }
    expected = {4, *range(5, 10), *range(13, 33), *range(38, 42), *range(44, 60), 66, 69, 73}
    assert sorted(expected - numbers) == []


def test_the_audit_items_are_all_there():
    assert [number for item in FOUND.items for number in item.numbers] == list(LEVELS) == list(range(1, 28))


def test_items_in_one_row_have_one_level():
    """The page tells the level that evidence in an audit bundle tells: `privacy.audit_items` decides it for both."""
    assert [
        item.number for item in FOUND.items if len({LEVELS[number] for number in item.numbers}) != 1
    ] == []


def test_images_of_public_places_and_public_sources_are_kept_out():
    catalog = Catalog.load()
    assert catalog.of_column("cctv_gate_3", "").is_prohibited
    source = catalog.of_column("scraped_posts", "")
    assert source.treatment(PurposeClass.CREDIT_RISK.value).action is Action.PROHIBITED
    assert source.treatment(PurposeClass.MARKETING.value).action is Action.DROP


def test_what_is_not_in_this_release_says_why_and_names_no_code():
    later = Control(article="PIPL 57", title="t", demand="d", control="c", status=Status.LATER)
    assert faults(later) == ["no gap"]
    assert faults(msgspec.structs.replace(later, gap="g", code=("privacy.audit",))) == ["names code or tests"]


def test_the_page_is_what_the_generator_writes():
    assert PAGE.read_text("utf-8") == page(), "run `make docs`"


def test_false_claims_are_found(monkeypatch):
    honest = Control(
        article="PIPL 6", title="t", demand="d", control="c", status=Status.BUILT,
        code=("privacy.reasons:Finding.render",), tests=("tests/unit/test_controls.py::test_false_claims_are_found",),
        reasons=("PURPOSE_MISMATCH",), events=("dataset.refused",),
    )  # fmt: skip
    assert faults(honest) == []
    false = {
        "no test": {"tests": ()},
        "no code": {"code": ()},
        "no such code: privacy.reasons:Finding.guess": {"code": ("privacy.reasons:Finding.guess",)},
        "no such code: privacy.guesses": {"code": ("privacy.guesses",)},
        "no such test: tests/unit/test_controls.py::test_guess": {
            "tests": ("tests/unit/test_controls.py::test_guess",)
        },
        "no such test: tests/unit/test_controls.py": {"tests": ("tests/unit/test_controls.py",)},
        "no such reason: GUESS": {"reasons": ("GUESS",)},
        "never refused with: PURPOSE_UNREGISTERED": {"reasons": ("PURPOSE_UNREGISTERED",)},
        "no gap": {"status": Status.PARTLY},
        "no such event: guess.made": {"events": ("guess.made",)},
        "never logged: ACCESS_BREAKGLASS": {"events": ("access.breakglass",)},
    }
    all_mentions = mentions
    monkeypatch.setitem(globals(), "mentions", lambda kind: all_mentions(kind) - {"PURPOSE_UNREGISTERED"})
    assert faults(honest) == []
    for fault, change in false.items():
        assert fault in faults(msgspec.structs.replace(honest, **change))


def test_an_unknown_status_is_refused():
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"control": [{"status": "done"}], "item": [], "question": []}, Controls)
