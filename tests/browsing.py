"""A real Chromium that is watched: it may say nothing on its console, break no policy, ask no other host.

Nothing in here waits longer than it must; a busy machine is given time.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Browser, BrowserContext, Download, Locator, Page, Playwright, expect

from privacy.texts import text

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
LANGUAGES = ("zh-CN", "en")
PATIENCE_MS = 60_000
WIDE, NARROW = {"width": 1280, "height": 860}, {"width": 390, "height": 844}
SCREENSHOTS = "SILHOUETTE_SCREENSHOTS"
"""Names the folder in which the pictures of all pages are kept."""
_MOST_TABS = 120
_TELL = """addEventListener("securitypolicyviolation", event =>
  console.error("policy broken: " + event.violatedDirective + " " + event.blockedURI));"""
_IS_FOCUSED = "element => element === document.activeElement"
_TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"

expect.set_options(timeout=PATIENCE_MS)


class Who(NamedTuple):
    """Somebody at an edge. path: of the edge's login."""

    url: str
    path: str
    name: str
    password: str


def launch(playwright: Playwright) -> Browser:
    """The system's own Chromium."""
    return playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS])


class Window:
    """One browser of one person, in one language. pictures: the folder for what it shows."""

    def __init__(self, browser: Browser, who: Who, language: str, pictures: Path) -> None:
        self.who, self.language, self.troubles = who, language, []
        self._pictures = pictures
        self.context: BrowserContext = browser.new_context(
            base_url=who.url,
            locale=language,
            viewport=WIDE,
            ignore_https_errors=True,
            reduced_motion="reduce",
        )
        self.context.set_default_timeout(PATIENCE_MS)
        self.context.add_init_script(_TELL)
        self.context.on("console", self._heard)
        self.context.on("weberror", lambda error: self.troubles.append(str(error.error)))
        self.context.on("request", self._asked)
        self.page: Page = self.context.new_page()

    def _heard(self, message) -> None:
        if message.type in ("error", "warning"):
            self.troubles.append(f"{message.type}: {message.text}")

    def _asked(self, request) -> None:
        if not request.url.startswith((self.who.url, "data:", "blob:")):
            self.troubles.append(f"asked elsewhere: {request.url}")

    def t(self, key: str, **values) -> str:
        """A text of the catalogue in the language of the page."""
        return text(key, language=self.language, **values)

    # --- by the keyboard alone

    def tab_to(self, target: Locator) -> None:
        """Press Tab until it has the focus, which must then be seen."""
        for _ in range(_MOST_TABS):
            if target.evaluate(_IS_FOCUSED):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"no way there by the keyboard: {target}")

    def type_into(self, label: str, words: str) -> None:
        """Go to a field by Tab and type."""
        field = self.page.get_by_label(label, exact=True)
        self.tab_to(field)
        self.page.keyboard.press("Control+a")
        self.page.keyboard.type(words)

    def choose(self, name: str, value: str) -> None:
        """Go to a list by Tab and move down to a value."""
        chosen = self.page.locator(f'select[name="{name}"]')
        self.tab_to(chosen)
        for _ in range(chosen.locator("option").count()):
            if chosen.input_value() == value:
                return
            self.page.keyboard.press("ArrowDown")
        assert chosen.input_value() == value

    def mark(self, name: str, value: str) -> None:
        """Go to the radio buttons of a name by Tab and move to a value."""
        buttons = self.page.locator(f'input[name="{name}"]')
        self.tab_to(buttons.first)
        self.page.keyboard.press("Space")
        for _ in range(buttons.count()):
            if self.page.locator(f'input[name="{name}"][value="{value}"]').is_checked():
                return
            self.page.keyboard.press("ArrowDown")
        raise AssertionError(f"no way to {value} by the keyboard")

    def press(self, label: str) -> None:
        """Go to a button by Tab and press it."""
        self.tab_to(self.page.get_by_role("button", name=label, exact=True).first)
        self.page.keyboard.press("Enter")

    def log_in(self, place: str) -> None:
        """By name and password. place: "console" or "desk", whose words the page speaks."""
        self.page.goto(self.who.path)
        self.type_into(self.t(f"{place}.login.name"), self.who.name)
        self.type_into(self.t(f"{place}.login.password"), self.who.password)
        self.page.keyboard.press("Enter")
        expect(self.page.locator(".who")).to_contain_text(self.who.name)
        assert self.page.locator("html").get_attribute("lang") == self.language

    # --- by the mouse

    def go(self, label: str) -> None:
        """Follow an entry of the navigation."""
        self.page.locator("nav.side").get_by_role("link", name=label, exact=True).click()
        expect(self.page.get_by_role("heading", level=1)).to_be_visible()

    def click(self, label: str) -> None:
        """A button, or a link that looks like one or not."""
        main = self.page.locator("main")
        wanted = main.get_by_role("button", name=label, exact=True)
        wanted.or_(main.get_by_role("link", name=label, exact=True)).first.click()

    def unfold(self, label: str) -> None:
        """What stands folded under a summary."""
        self.page.locator("main summary", has_text=label).first.click()

    def keep(self, label: str) -> Download:
        """Click what hands out a file."""
        with self.page.expect_download() as found:
            self.click(label)
        return found.value

    def sees(self, words: str) -> None:
        """The page's own part shows these words."""
        expect(self.page.locator("main")).to_contain_text(words)

    def look(self, name: str, *, is_main: bool = True) -> None:
        """A picture of the whole page; of a main page as on a phone too, which must not have to be pushed sideways."""
        stem = f"{name}-{self.language}"
        self.page.screenshot(path=self._pictures / f"{stem}-1280.png", full_page=True)
        assert self.page.evaluate(_TOO_WIDE) <= 0, name
        if is_main:
            self.page.set_viewport_size(NARROW)
            # Charts take on the new width in the frame after the next.
            self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done, 50)))")
            assert self.page.evaluate(_TOO_WIDE) <= 0, f"{name} on a phone"
            self.page.screenshot(path=self._pictures / f"{stem}-390.png", full_page=True)
            self.page.set_viewport_size(WIDE)


@contextmanager
def window(browser: Browser, who: Who, language: str, pictures: Path) -> Iterator[Window]:
    """Opened, watched, closed; what it had to say is told at the end."""
    opened = Window(browser, who, language, pictures)
    try:
        yield opened
        assert opened.troubles == []
    finally:
        opened.context.close()


def pictures_folder(default: Path) -> Path:
    """Where pictures go."""
    folder = Path(os.environ.get(SCREENSHOTS) or default)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
