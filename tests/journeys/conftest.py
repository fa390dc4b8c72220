"""One federation for all journeys: coordinator with console, three nodes with desks, one finished job, accounts."""

from __future__ import annotations

import functools

import pytest
from browsing import CHROMIUM, LANGUAGES, launch, pictures_folder, window
from journeys_scene import Journeys
from playwright.sync_api import sync_playwright


@pytest.fixture(scope="package")
def place(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: on Debian 'apt-get install chromium fonts-noto-cjk'")
    made = Journeys(tmp_path_factory.mktemp("journeys"))
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="package")
def browser(place):
    with sync_playwright() as playwright:
        started = launch(playwright)
        yield started
        started.close()


@pytest.fixture(params=LANGUAGES)
def language(request):
    return request.param


@pytest.fixture
def open_window(browser, language, tmp_path):
    """`open_window(who)`: a watched browser of one's own, as a context."""
    return functools.partial(window, browser, language=language, pictures=pictures_folder(tmp_path))
