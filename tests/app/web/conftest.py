"""A served house: the application without its supervisor, and clients that are let in."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from bs4 import BeautifulSoup
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, sync_playwright
from starlette.testclient import TestClient

from app.main import create_app
from app.paths import Home
from app.services.context import Context
from app.settings import Settings
from tests.app.web import browsing, gallery
from tests.app.web.serving import Served

OURS = {"origin": "http://testserver", "hx-request": "true"}
Soup = Callable[[str], BeautifulSoup]


@pytest.fixture
def settings(home: Home) -> Settings:
    return Settings(home=home.path, port=0, allowed_hosts=["testserver"])


@pytest.fixture
def app(ctx: Context) -> Iterator[FastAPI]:
    application = create_app(ctx.settings, supervise=False)
    yield application
    application.state.ctx.db.close()


@pytest.fixture
def stranger(app: FastAPI) -> Iterator[TestClient]:
    """Nobody: no cookie, no header."""
    with TestClient(app, follow_redirects=False, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def client(stranger: TestClient, app: FastAPI) -> TestClient:
    """Logged in by the printed URL, as the human's browser is."""
    assert stranger.get(f"/?token={app.state.token}").status_code == 303
    return stranger


@pytest.fixture
def gallery_house(ctx: Context) -> Context:
    gallery.fill(ctx)
    return ctx


@pytest.fixture
def soup(client: TestClient) -> Soup:
    """The parsed page at a path, which must be fine."""

    def get(path: str) -> BeautifulSoup:
        answer = client.get(path)
        assert answer.status_code == 200, answer.text
        return BeautifulSoup(answer.text, "html.parser")

    return get


@pytest.fixture
def post(client: TestClient) -> Callable[..., Any]:
    """A form sent as the page's own script sends it."""

    def send(path: str, **fields: object) -> Any:
        return client.post(path, data=fields, headers=OURS)

    return send


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=browsing.CHROMIUM, args=browsing.ARGUMENTS
        )
        yield chromium
        chromium.close()


@pytest.fixture
def served(ctx: Context) -> Iterator[Served]:
    server = Served(ctx.settings)
    yield server
    server.stop()


@pytest.fixture
def complaints() -> list[str]:
    """What the console said that is no expected refusal."""
    return []


@pytest.fixture
def visit(browser: Browser, served: Served, complaints: list[str]) -> Iterator[Page]:
    """A page that is logged in and notes every complaint."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    browsing.watch(page, complaints)
    page.goto(served.login)
    yield page
    context.close()
