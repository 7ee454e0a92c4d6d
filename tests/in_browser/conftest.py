"""The built pages, served on this machine, and a browser that may reach nothing else."""

import functools
import http.server
import os
import shutil
import threading

import pages
import pytest
from playwright.sync_api import sync_playwright

SCREENSHOTS = pages.SITE / "screenshots"
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}


def browser_program() -> str:
    """The Chromium named by CHROMIUM, or found on PATH."""
    names = [os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"]
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    if not found:
        pytest.exit(
            "No Chromium: install one (apt-get install chromium), or name it in CHROMIUM", 1
        )
    return found


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *of_request) -> None:
        pass


@pytest.fixture(scope="session")
def address():
    """Where the pages are served."""
    if not (pages.HTML / "index.html").is_file():
        pytest.exit("There are no pages. Run: make site", 1)
    handler = functools.partial(Quiet, directory=pages.HTML)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        # A container has no user namespaces for the sandbox, and often little shared memory.
        options = ["--no-sandbox", "--disable-dev-shm-usage"]
        chromium = playwright.chromium.launch(executable_path=browser_program(), args=options)
        yield chromium
        chromium.close()


class Visitor:
    """A page of the browser, and what went wrong in it."""

    def __init__(self, page, address: str) -> None:
        self.page = page
        self.address = address
        self.troubles: list[str] = []
        page.on("console", self.heard)
        page.on("pageerror", lambda error: self.troubles.append(f"error: {error}"))
        page.on("response", self.answered)
        page.route("**/*", self.asked)

    def heard(self, message) -> None:
        if message.type in ("error", "warning"):
            self.troubles.append(f"console: {message.text}")

    def answered(self, response) -> None:
        if response.status >= 400:
            self.troubles.append(f"{response.status}: {response.url}")

    def asked(self, route) -> None:
        if route.request.url.startswith((self.address, "data:", "blob:")):
            route.continue_()
        else:
            self.troubles.append(f"another host: {route.request.url}")
            route.abort()

    def open(self, name: str) -> None:
        self.page.goto(f"{self.address}/{name}", wait_until="load")


@pytest.fixture
def visitor(browser, address):
    """A browser that opens pages and notes what goes wrong."""
    context = browser.new_context(viewport=DESKTOP)
    yield Visitor(context.new_page(), address)
    context.close()
