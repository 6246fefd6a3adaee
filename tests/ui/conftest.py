"""A real Chromium on the pages, with nothing but the loopback server to talk to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import ui_answers
from chromium import chromium
from ui_server import Site, serve

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


class Watched:
    """A page of the browser, and what must not happen on it.

    :param page: Playwright's page
    :param site: the server
    :param errors: messages of the console and uncaught exceptions
    :param foreign: requests to other hosts
    """

    def __init__(self, page: Page, site: Site) -> None:
        self.page = page
        self.site = site
        self.errors: list[str] = []
        self.foreign: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        page.on("request", lambda request: self._check(request.url))

    def _check(self, url: str) -> None:
        if not url.startswith((self.site.url.split("/prefix")[0] + "/prefix/", "data:", "blob:")):
            self.foreign.append(url)

    def open(self, page: str) -> Page:
        """Open one of the pages, and return once it shows something."""
        self.page.goto(self.site.url + page)
        self.page.wait_for_selector("#content:not([hidden]), #empty:not([hidden]), #message:not([hidden])")
        return self.page

    def open_whole(self, page: str) -> Page:
        """Open one of the pages, and return once it shows all that it will: a run's samples come last."""
        if not page.startswith("run.html"):
            return self.open(page)
        with self.page.expect_response(lambda answer: urlsplit(answer.url).path.endswith("/hardware")):
            self.open(page)
        # What the page does with the answer comes before the second frame from now.
        self.page.evaluate("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(() => r())))")
        return self.page

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than the window."""
        return int(
            self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        )


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def server() -> Iterator[Site]:
    with serve() as site:
        yield site


@pytest.fixture
def site(server: Site) -> Site:
    server.asked.clear()
    run = ui_answers.run()
    server.answer(f"/dags/{run['dag_id']}/runs/{run['run_id']}", run)
    server.answer(f"/dags/{run['dag_id']}/runs/{run['run_id']}/hardware", ui_answers.hardware())
    server.answer(f"/dags/{run['dag_id']}/trend", ui_answers.trend())
    server.answer("/pipelines", ui_answers.pipelines())
    return server


@pytest.fixture(params=["light"])
def watched(browser: Browser, site: Site, request: pytest.FixtureRequest) -> Iterator[Watched]:
    """A page of 1,280 px whose console stays empty and which asks no other host."""
    context = browser.new_context(color_scheme=request.param, viewport={"width": 1280, "height": 900})
    context.set_default_timeout(30_000)
    watching = Watched(context.new_page(), site)
    yield watching
    context.close()
    assert watching.foreign == []
    assert [error for error in watching.errors if "Failed to load resource" not in error] == []
