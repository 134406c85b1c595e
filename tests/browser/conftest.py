"""A browser of the machine, and a market it can visit."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from tests.live import Server, live_server

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_ASKED = {"resultTypes": ["violations"]}  # what is well is counted only, not described


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """One for each file: while Playwright runs, its event loop counts as running in this thread,
    and a later test of the same process could not call asyncio.run."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with live_server(tmp_path / "var") as server:
        yield server


class Tab:
    """A window of one person; every page it looks at is checked for accessibility and blocked content."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        page.on("console", lambda said: self._heard(said.type, said.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: dialog.accept())

    def _heard(self, kind: str, text: str) -> None:
        # A refusal's status is shown in the console too; everything else there is a defect.
        if kind in {"error", "warning"} and "Failed to load resource" not in text:
            self.complaints.append(text)

    def see(self, path: str = "", shot: str = "") -> Page:
        """Go to `path` (or stay), and find nothing wrong with the page."""
        if path:
            self.page.goto(self.url + path)
        found = Axe().run(self.page, options=_ASKED)
        assert found.violations_count == 0, f"{self.page.url}\n{found.generate_report()}"
        assert self.complaints == [], self.page.url
        wide = self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert wide <= 0, f"{self.page.url} is {wide} px wider than the window"
        if shot and (folder := os.environ.get("SHUGANG_TEST_SCREENSHOTS")):
            self.page.screenshot(path=f"{folder}/{shot}.png", full_page=True)
        return self.page


class Visitors:
    """Opens windows with clean cookies."""

    def __init__(self, browser: Browser, server: Server) -> None:
        self.browser = browser
        self.server = server

    def tab(self, lang: str = "zh-CN", *, phone: bool = False, session: str = "") -> Tab:
        """A new person's window. session: the cookie of somebody who has signed in."""
        size = {"width": 390, "height": 844} if phone else {"width": 1280, "height": 800}
        context = self.browser.new_context(locale=lang, viewport=size, device_scale_factor=1)  # type: ignore[arg-type]
        if session:
            context.add_cookies([{"name": "shugang_session", "value": session, "url": self.server.url}])
        return Tab(context.new_page(), self.server.url)


@pytest.fixture
def visitors(browser: Browser, server: Server) -> Iterator[Visitors]:
    yield Visitors(browser, server)
    for context in browser.contexts:
        context.close()
