"""A real browser for the report: the machine's own Chromium, without any network."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright

from keyward.report_page import page as render

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Page

    from keyward.report import Report

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--no-sandbox",  # containers have no user namespaces; the page is the project's own
    "--disable-gpu",
    "--disable-dev-shm-usage",  # containers have a small /dev/shm
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)

MISSING = "no Chromium on this machine: the report was not tried in a real browser"

WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(`${event.violatedDirective} ${event.blockedURI}`);
});
"""


def chromium() -> str | None:
    """Where the machine's Chromium is, if it has one."""
    return next(filter(None, map(shutil.which, CHROMIUMS)), None)


class Opened:
    """A report in a browser, and what the browser had to say of it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.requested: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requested.append(request.url))
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(dialog.message))

    def violations(self) -> list[str]:
        """What the page's policy refused so far."""
        refused: list[str] = self.page.evaluate("window.violations")
        return refused


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The machine's Chromium; without one the tests are skipped, and the run says so.

    It ends with its module: while playwright runs, nothing else in its thread can use asyncio.
    """
    executable = chromium()
    if executable is None:
        pytest.skip(MISSING)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def open_report(browser: Browser, tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    """Opens a report as a file, offline, in a context of its own."""
    contexts: list[BrowserContext] = []

    def opened(
        report: Report, *, width: int = 1280, dark: bool = False, script: bool = True
    ) -> Opened:
        file = tmp_path / f"report-{len(contexts)}.html"
        file.write_text(render(report), encoding="utf-8")
        context = browser.new_context(
            viewport={"width": width, "height": 800},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            offline=True,
            java_script_enabled=script,
        )
        contexts.append(context)
        if script:
            context.add_init_script(WATCH)
        seen = Opened(context.new_page())
        seen.page.goto(file.as_uri())
        return seen

    yield opened
    for context in contexts:
        context.close()
