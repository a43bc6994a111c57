"""A headless Chromium that sees pages as a reader does, and keeps all that a sound page has none of.

What is kept of a visit: the requests that leave the page, errors and warnings of the console (a refusal of the
content-security policy is one), exceptions, and what axe finds. Nothing is fetched from another machine: the browser
has no network but loopback.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, cast
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, FloatRect, Page, Request, Route, sync_playwright

from tests.browser.install import WAY_OUT, NoChromium, find

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    # Names of other machines lead nowhere, so that nothing waits for them.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
)
WIDTH, HEIGHT = 1200, 900
_WAIT_MILLISECONDS = 120_000
"""A shared machine may stop for long at any time: how long a page took says nothing."""
_AXE = "axe.run({resultTypes: ['violations']}).then(found => JSON.parse(JSON.stringify(found)))"


@dataclass(frozen=True)
class Visit:
    """One open page. `requests`: addresses it asked for beside its own; `complaints`: what the console said."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def texts(self, selector: str) -> list[str]:
        """The visible texts of the elements that the CSS selector finds, with tabs between the cells of a row."""
        return [text.strip(" \n") for text in self.page.locator(selector).all_inner_texts()]

    def drawn(self, selector: str) -> list[FloatRect]:
        """Where each element that the CSS selector finds is drawn: x, y, width and height in pixels."""
        boxes = [element.bounding_box() for element in self.page.locator(selector).all()]
        return [box for box in boxes if box is not None]

    def inaccessible(self) -> list[str]:
        """What axe finds: rule, what it asks, and the elements that break it."""
        # By the debugger, as a page's content-security policy allows no such script.
        session = self.page.context.new_cdp_session(self.page)
        axe = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
        session.send("Runtime.evaluate", {"expression": axe})
        asked = {"expression": _AXE, "awaitPromise": True, "returnByValue": True}
        answer = session.send("Runtime.evaluate", asked)["result"]["value"]
        session.detach()
        return [_violation(found) for found in cast(list[dict[str, Any]], answer["violations"])]

    def policy(self) -> str:
        """The content-security policy that the page has in itself; empty where it has none."""
        found = self.page.locator('meta[http-equiv="Content-Security-Policy"]')
        return (found.first.get_attribute("content") or "") if found.count() else ""

    def overflow(self) -> int:
        """By how many pixels the page is wider than the window."""
        return cast(int, self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))

    def assert_sound(self, *, asked: tuple[str, ...] = ()) -> None:
        """Nothing complained, nothing left the page but for the addresses `asked`, axe finds nothing, and it fits."""
        faults = [*self.complaints, *(f"asked for {each}" for each in self.requests if each not in asked)]
        faults += self.inaccessible()
        if self.overflow() > 0:
            faults.append(f"the page is {self.overflow()} pixels wider than the window")
        assert not faults, "\n".join(faults)


@dataclass(frozen=True)
class Chromium:
    """A running browser; each visit has a page of its own."""

    context: BrowserContext

    @contextmanager
    def visit(self, address: str, *, headers: dict[str, str] | None = None) -> Iterator[Visit]:
        """The page at a file: or http: address, loaded. `headers` are sent with each request."""
        page = self.context.new_page()
        page.set_default_timeout(_WAIT_MILLISECONDS)
        visit = Visit(page)
        own = urlsplit(address)

        def asked(request: Request) -> None:
            if urlsplit(request.url)[:4] != own[:4]:
                visit.requests.append(request.url)

        page.on("request", asked)
        page.on("console", lambda said: _heard(visit, said.type, said.text))
        page.on("pageerror", lambda error: visit.complaints.append(f"exception: {error}"))
        if headers:
            page.set_extra_http_headers(headers)
        try:
            page.goto(address, wait_until="load")
            yield visit
        finally:
            page.close()

    @contextmanager
    def visit_html(self, text: str, *, headers: dict[str, str] | None = None) -> Iterator[Visit]:
        """The page `text`, as a server would send it with `headers`."""
        address = "http://report.localhost/"

        def answer(route: Route) -> None:
            route.fulfill(body=text, headers={"Content-Type": "text/html; charset=utf-8", **(headers or {})})

        self.context.route(address, answer)
        try:
            with self.visit(address) as visit:
                yield visit
        finally:
            self.context.unroute(address, answer)


@contextmanager
def running() -> Iterator[Chromium]:
    """A browser with a profile of its own, which ends with all its processes.

    While it runs this thread counts as one with an event loop: a module whose tests use it has no asynchronous tests.
    """
    binary = find()
    if binary is None:
        raise NoChromium(f"there is no Chromium; run make browser, or {WAY_OUT}")
    with tempfile.TemporaryDirectory(prefix="medley-chromium-") as profile, sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=binary,
            headless=True,
            args=FLAGS,
            env={**os.environ, "HOME": profile, "XDG_CONFIG_HOME": profile},
            viewport={"width": WIDTH, "height": HEIGHT},
            timeout=_WAIT_MILLISECONDS,
        )
        try:
            yield Chromium(context)
        finally:
            context.close()


def _heard(visit: Visit, kind: str, text: str) -> None:
    if kind in ("error", "warning", "assert"):
        visit.complaints.append(f"{kind}: {text}")


def _violation(found: dict[str, Any]) -> str:
    nodes = "; ".join(node["html"][:120] for node in found["nodes"][:3])
    return f"{found['id']} ({found['impact']}): {found['help']}: {len(found['nodes'])} elements: {nodes}"
