"""The interface does what its document says, whatever it is sent: no server error, no status that is not there."""

import re

import hypothesis
import pytest
import schemathesis
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from federation.web.problems import MEDIA_TYPE
from tests.api_scene import ApiScene

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
SETTINGS = hypothesis.settings(
    max_examples=6,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[hypothesis.Phase.generate],
    suppress_health_check=list(hypothesis.HealthCheck),
)


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """A coordinator that others' tests do not look at: what is sent here changes it. With a token of everybody's."""
    scene = ApiScene.create(tmp_path_factory.mktemp("told"))
    return scene, scene.token()


def operations(scene, token):
    headers = {"Authorization": f"Bearer {token}"}
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", scene.app, headers=headers)
    return [result.ok() for result in schema.get_all_operations()]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_every_answer_is_documented(told, mode):
    scene, token = told
    found, sent = [], 0
    for operation in operations(scene, token):

        @SETTINGS
        @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
        def ask(case):
            nonlocal sent
            sent += 1
            case.call_and_validate(headers={"Authorization": f"Bearer {token}"}, checks=CHECKS)

        try:
            ask()
        except hypothesis.errors.Unsatisfiable:  # nothing to get wrong there
            continue
        except Exception as problem:
            found.append(f"{operation.label}: {problem}")
    assert found == []
    assert sent > 100


def test_every_reference_leads_somewhere(told):
    found = told[0].app.state.openapi_document
    references = set(re.findall(r"'#/components/schemas/([^']+)'", str(found)))
    assert references <= set(found["components"]["schemas"])
    assert {"JobRecord", "ProblemDetails", "Page_JobSummary_"} <= references


def test_every_operation_is_described(told):
    found = told[0].app.state.openapi_document
    names = []
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            names.append(operation["operationId"])
            assert operation["summary"], path
            assert operation["tags"], path
            assert {"401", "403", "422", "429", "500", "503"} <= set(operation["responses"]), path
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    assert list(answer["content"]) == [MEDIA_TYPE], (path, status)
            if method in {"post", "put", "patch"} and "requestBody" in operation:
                assert "example" in operation["requestBody"]["content"]["application/json"], path
            if method in {"put", "patch"} and path not in {"/api/v1/me/language", "/api/v1/me/password"}:
                assert {"412", "428"} <= set(operation["responses"]), path
    assert len(names) == len(set(names))
    assert set(found["components"]["securitySchemes"]) == {"token", "login"}
