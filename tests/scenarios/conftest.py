"""The acceptance scenarios: which of them hold is told at the end of the run."""

from collections import defaultdict

import pytest
from scenario_world import World

SCENARIOS = 38
"""Of the design; those of later releases have no test yet."""

_results: dict[int, list[bool]] = defaultdict(list)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    for mark in item.iter_markers("scenario"):
        if report.when == "call" or not report.passed:
            _results[mark.args[0]].append(report.outcome == "passed" and not hasattr(report, "wasxfail"))
    return report


def pytest_terminal_summary(terminalreporter):
    if not _results:
        return
    failing = sorted(number for number, results in _results.items() if not all(results))
    if failing:
        terminalreporter.write_line("not holding: " + ", ".join(map(str, failing)))
    terminalreporter.write_line(f"{len(_results) - len(failing)} of {SCENARIOS} scenarios hold")


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Makes a world; what it opened is closed afterwards."""
    made = []

    def make(*parties, **options):
        folder = tmp_path / f"world-{len(made)}"
        folder.mkdir()
        made.append(World(folder, monkeypatch, parties or ("bank", "shop"), **options))
        return made[-1]

    yield make
    for one in made:
        for home in one.nodes.values() if hasattr(one, "federation") else ():
            home.vault.close()
