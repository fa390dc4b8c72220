"""The report of a finished job, for the tests of its figures and of its pages."""

from typing import Any

import pytest
from report_scene import COMPARE, make_job, make_result

from server.report import build_report


@pytest.fixture
def report() -> dict[str, Any]:
    return build_report(make_job(), make_result(), COMPARE, {"total": 40.0})
