"""A real browser, Debian's Chromium without a window, and those who sit before it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from .. import debian

PROGRAM = "chromium"

WAIT_MILLISECONDS = 20_000
"""For whatever a page is to show; a busy machine takes its time."""


@contextmanager
def browser() -> Iterator[Any]:
    """Run the browser; skip the test where there is none. In CI it is installed."""
    if os.environ.get("CI"):
        assert not debian.install([PROGRAM])
    elif debian.missing([PROGRAM]):
        pytest.skip(f"Chromium is not installed. {debian.advice([PROGRAM])}")
    else:
        pytest.importorskip("playwright", reason="pip install '.[once]'")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=debian.program(PROGRAM), args=["--disable-gpu"]
        )
        try:
            yield running
        finally:
            running.close()


class Person:
    """Somebody before a browser of their own, without cookies of another one's.

    `page` is Playwright's; `noticed` is whatever should never be: dialogs, scripts that fail, and, when
    the window is closed, what the console complains of.
    """

    def __init__(self, browser: Any, base_url: str, **options: Any) -> None:
        """Open a window; `options` are those of Playwright's `new_context`."""
        self._context = browser.new_context(base_url=base_url, locale="en-GB", **options)
        self._context.set_default_timeout(WAIT_MILLISECONDS)
        self._pages: set[str] = set()
        self._complaints: list[tuple[str, str]] = []
        self.noticed: list[str] = []
        self.page = self._context.new_page()
        self.page.on("dialog", self._dialog)
        self.page.on("pageerror", lambda error: self.noticed.append(f"error: {error}"))
        self.page.on("console", self._console)
        self.page.on("response", self._response)

    def _dialog(self, dialog: Any) -> None:
        self.noticed.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self._complaints.append((message.location["url"], message.text))

    def _response(self, response: Any) -> None:
        if response.request.is_navigation_request():
            self._pages.add(response.url)

    def go(self, path: str) -> Any:
        """Go to a page."""
        self.page.goto(path)
        return self.page

    def press(self, button: str) -> None:
        """Press a button, and wait for the page to which it leads."""
        with self.page.expect_navigation():
            self.page.get_by_role("button", name=button, exact=True).click()

    def follow(self, link: str) -> None:
        """Follow a link, and wait for the page."""
        with self.page.expect_navigation():
            self.page.get_by_role("link", name=link, exact=True).click()

    def send(self, path: str, fields: dict[str, str]) -> None:
        """Send a form without its page, with the cookies of this window: what a test begins with."""
        headers = {"Sec-Fetch-Site": "same-origin"}
        answer = self._context.request.post(path, form=fields, headers=headers)
        assert answer.ok, answer.text()

    def close(self) -> None:
        """Close the window."""
        self._context.close()
        for url, text in self._complaints:
            # The status of a page that was asked for is no complaint: a conflict is 409.
            if url not in self._pages or "the server responded" not in text:
                self.noticed.append(f"console: {text} ({url})")
