"""For all tests: time that passes while others use the machine fails none, and which scenarios hold is told."""

import os
from collections import defaultdict

import pytest
from hypothesis import HealthCheck, settings

SCENARIOS = 38
"""Of the design; those of later releases have no test yet."""

# A machine that is busy with another worker's tests makes an example slow, not wrong.
settings.register_profile("busy", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

# A console takes its width from these once, when it is made; tests that want a width set one later.
for name in ("COLUMNS", "LINES"):
    os.environ.pop(name, None)

_results: dict[int, list[bool]] = defaultdict(list)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    # A report takes its test's properties along, from another process as well.
    for mark in item.iter_markers("scenario"):
        item.user_properties.append(("scenario", mark.args[0]))


def pytest_runtest_logreport(report):
    if report.when == "call" or not report.passed:
        for name, value in report.user_properties:
            if name == "scenario":
                _results[value].append(report.outcome == "passed" and not hasattr(report, "wasxfail"))


def pytest_terminal_summary(terminalreporter):
    if not _results:
        return
    failing = sorted(number for number, results in _results.items() if not all(results))
    if failing:
        terminalreporter.write_line("not holding: " + ", ".join(map(str, failing)))
    terminalreporter.write_line(f"{len(_results) - len(failing)} of {SCENARIOS} scenarios hold")
