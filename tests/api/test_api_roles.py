"""Every route of the interface declares who may, and exactly those may."""

import pytest

from federation.web.guard import Needs, Open, walk
from privacy.access import PERMISSIONS_OF, Permission, Role
from tests.api_scene import MODEL

NOBODY = "/logins"


def operations(scene):
    for path, methods in scene.app.state.openapi_document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path.removeprefix("/api/v1"), operation


def filled(scene, path):
    """The path with what is there."""
    names = {
        "/parties": ("bank", ""),
        "/datasets": ("customers", "bank"),
        "/purposes": ("credit_risk", "bank"),
        "/audiences": ("spring", "bank"),
        "/users": ("everybody", ""),
    }
    noun = "/" + path.split("/")[1]
    name, party = names.get(noun, ("", ""))
    numbers = {
        "/models": MODEL,
        "/audit": "0" if "events" in path else "C-ABCDEFGH",
        "/tokens": "0" * 32,
        "/confirmations": "C-ABCDEFGH",
    }
    number = numbers.get(noun, scene.done.number)
    return (
        path.replace("{name}", name)
        .replace("{party}", party)
        .replace("{number}", number)
        .replace("{attempt}", "1")
    )


def test_every_route_declares_who_may(scene):
    declared = list(walk(scene.app))
    assert len(declared) > 50
    assert [found for found in declared if found.declaration is None] == []
    open_paths = {found.path for found in declared if isinstance(found.declaration, Open)}
    assert open_paths == {"/api/v1/logins"}
    for found in declared:
        if isinstance(found.declaration, Needs):
            assert found.declaration.reason, found.path


def test_every_route_is_in_the_document(scene):
    documented = {(method, "/api/v1" + path) for method, path, _ in operations(scene)}
    routed = {(found.method, found.path) for found in walk(scene.app)}
    assert documented == routed


def test_nobody_comes_in_without_a_login(scene):
    for method, path, _ in operations(scene):
        if path == NOBODY:
            continue
        answer = scene.call(method, filled(scene, path), who="")
        assert answer.status_code == 401, path
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.json()["article"] == "PIPL 51"


@pytest.mark.parametrize("role", list(Role))
def test_a_role_may_exactly_what_it_is_for(scene, role):
    query = {"/audit/proofs/inclusion": {"event": 0}, "/audit/proofs/consistency": {"old": 1}}
    for method, path, operation in operations(scene):
        permission = operation.get("x-permission")
        if permission is None:
            continue
        answer = scene.call(method, filled(scene, path), who=role.value, params=query.get(path))
        may = Permission(permission) in PERMISSIONS_OF[role]
        if not may:
            assert answer.status_code == 403, (method, path)
            problem = answer.json()
            assert problem["code"] == "access_denied", (method, path)
            assert problem["remedy"]
            assert problem["article"] == "PIPL 51"
        elif method == "GET" and path != "/audit/checkpoints/latest":
            assert answer.status_code == 200, (method, path, answer.text)
        else:
            assert answer.status_code not in {401, 403}, (method, path, answer.text)
            assert str(answer.status_code) in operation["responses"], (method, path)
            assert answer.status_code < 500


def test_what_is_refused_and_used_is_in_the_log(scene):
    scene.call("GET", "/audit/events", who="modeller")
    scene.call("GET", "/datasets", who="modeller")
    events = list(scene.services.home.audit.events())
    denied = [event for event in events if event.type == "access.denied" and event.actor == "modeller"]
    granted = [event for event in events if event.type == "access.granted" and event.actor == "modeller"]
    assert ("audit:read", "api/v1/audit/events") in {(event.stage, event.artefact) for event in denied}
    assert ("datasets:read", "api/v1/datasets") in {(event.stage, event.artefact) for event in granted}
