"""The door: every route and socket, by the route table, so that a new one can't forget."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.routing import Mount, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from app.errors import RemoteRefused
from app.main import check_bind, create_app
from app.services.context import Context
from app.settings import Settings
from app.web.security import LOGIN_FAILURES, OPEN_PATHS, SAFE_METHODS, Guard
from tests.app.web.conftest import OURS

FOREIGN_HOSTS = [
    "evil.com", "127.0.0.1.evil.com", "localhost.", "testserver.evil.com", "[::2]", "",
    "evil.com:80", "127.0.0.1:81", "localhost:8080", "127.1", "0.0.0.0",
]  # fmt: skip
FOREIGN_ORIGINS = [
    "http://evil.com", "null", "http://testserver:81", "http://testserver.evil.com", "file://",
    "http://sub.testserver", "",
]  # fmt: skip


def all_routes(app: FastAPI) -> list[tuple[str, str]]:
    """(method or "WS", path with every parameter filled) of the whole table."""
    found = []
    for entry in app.routes:
        for route in getattr(entry, "effective_route_contexts", lambda entry=entry: [entry])():
            kind = getattr(route, "original_route", route)
            path = re.sub(r"\{[^}]*\}", "1", route.path or kind.path)
            if isinstance(kind, Mount):
                found.append(("GET", f"{path}/app.css"))
            elif isinstance(kind, WebSocketRoute):
                found.append(("WS", path))
            else:
                found += [(method, path) for method in route.methods]
    return sorted(set(found))


def is_open(path: str) -> bool:
    return path in OPEN_PATHS or path.startswith("/static/")


def test_the_walk_finds_pages_sockets_and_the_api(app: FastAPI) -> None:
    found = all_routes(app)
    assert {("GET", "/"), ("POST", "/reviews/1/approve"), ("WS", "/ws/page")} <= set(found)
    assert ("WS", "/ws/sessions/1/log") in found
    assert sum(path.startswith("/api/") for _, path in found) > 10


def test_without_a_token_nothing_is_given(app: FastAPI, stranger: TestClient) -> None:
    for method, path in all_routes(app):
        if is_open(path):
            continue
        if method == "WS":
            assert refuses_socket(stranger, path, {"origin": OURS["origin"]}), path
            continue
        answer = stranger.request(method, path, headers=OURS)
        assert answer.status_code == 401, (method, path)
        assert answer.headers.get("hx-redirect", "/login") == "/login"
        plain = stranger.request(method, path)
        assert plain.status_code in (401, 303), (method, path)
        assert plain.headers.get("location", "/login") == "/login"


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
def test_another_host_name_is_refused_everywhere(
    app: FastAPI, client: TestClient, host: str
) -> None:
    for method, path in all_routes(app):
        if method == "WS":
            assert refuses_socket(client, path, {"host": host, "origin": f"http://{host}"})
        else:
            answer = client.request(method, path, headers={**OURS, "host": host})
            assert answer.status_code == 421, (method, path)


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
def test_another_origin_is_refused_everywhere(
    app: FastAPI, client: TestClient, origin: str
) -> None:
    for method, path in all_routes(app):
        if method == "WS":
            assert refuses_socket(client, path, {"origin": origin}), path
        else:
            answer = client.request(method, path, headers={**OURS, "origin": origin})
            assert answer.status_code == 403, (method, path)


@pytest.mark.parametrize("lacking", ["origin", "hx-request"])
def test_a_change_by_cookie_needs_each_factor(
    app: FastAPI, client: TestClient, lacking: str
) -> None:
    headers = {name: value for name, value in OURS.items() if name != lacking}
    for method, path in all_routes(app):
        if method != "WS" and method not in SAFE_METHODS and not is_open(path):
            assert client.request(method, path, headers=headers).status_code == 403, (method, path)


def test_a_socket_by_cookie_needs_an_origin(app: FastAPI, client: TestClient) -> None:
    for method, path in all_routes(app):
        if method == "WS":
            assert refuses_socket(client, path, {}), path


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_sites_page_can_fetch_nothing(app: FastAPI, client: TestClient, site: str) -> None:
    for method, path in all_routes(app):
        if method == "WS":
            continue
        answer = client.request(method, path, headers={**OURS, "sec-fetch-site": site})
        assert answer.status_code == 403, (method, path)
    opened = {"sec-fetch-site": site, "sec-fetch-mode": "navigate"}
    assert client.get("/", headers=opened).status_code == 200  # a link to us may be followed


def test_the_bearer_needs_no_origin_but_the_right_token(app: FastAPI, stranger: TestClient) -> None:
    right = {"authorization": f"Bearer {app.state.token}"}
    assert stranger.get("/tasks", headers=right).status_code == 200
    assert stranger.get("/tasks", headers={**right, "origin": "http://evil.com"}).status_code == 403
    for wrong in ("Bearer x", f"Basic {app.state.token}", "Bearer", app.state.guard.cookie):
        given = {"authorization": wrong}
        assert stranger.get("/tasks", headers=given).status_code == 401


def test_the_printed_url_becomes_a_strict_cookie(app: FastAPI, stranger: TestClient) -> None:
    answer = stranger.get(f"/tasks?x=1&token={app.state.token}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/tasks?x=1")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert app.state.token not in answer.headers["set-cookie"]
    assert stranger.get(f"//evil.com/?token={app.state.token}").headers["location"][:2] != "//"


def test_guessing_is_slowed_down_and_locks_nobody_out(app: FastAPI, stranger: TestClient) -> None:
    for _ in range(LOGIN_FAILURES):
        answer = stranger.post("/login", data={"token": "guess"}, headers=OURS)
        assert answer.status_code == 401
    assert stranger.post("/login", data={"token": "guess"}, headers=OURS).status_code == 429
    assert stranger.get("/?token=guess").status_code == 429
    assert stranger.get("/tasks", headers={"authorization": "Bearer guess"}).status_code == 429
    bearer = {"authorization": f"Bearer {app.state.token}"}
    assert stranger.get("/tasks", headers=bearer).status_code == 200


def test_the_login_page_takes_the_token(app: FastAPI, stranger: TestClient) -> None:
    given = {"token": f" {app.state.token} "}
    assert stranger.post("/login", data=given).status_code == 403  # not from our page
    answer = stranger.post("/login", data=given, headers={"origin": "http://testserver"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert stranger.get("/").status_code == 200


def test_every_answer_carries_the_headers(client: TestClient) -> None:
    for path in ("/", "/login", "/healthz", "/nope", "/static/app.css", "/api/v1/tasks"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "nonce" not in policy
        for part in ("default-src 'self'", "object-src 'none'", "base-uri 'none'"):
            assert part in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in headers
        assert not [name for name in headers if name.startswith("access-control")]
        if not path.startswith("/static/"):
            assert headers["cache-control"] == "no-store"


def test_a_body_too_large_is_refused(client: TestClient, post: Callable[..., Any]) -> None:
    assert post("/tasks", prompt="x" * (5 * 1024 * 1024)).status_code == 413
    headers = {**OURS, "content-length": "many"}
    assert client.post("/tasks", content=b"", headers=headers).status_code == 413


def test_two_hosts_are_one_too_many() -> None:
    guard = Guard("token", ["deck.example"])
    assert guard.admits_host("127.0.0.1:8484", "http", 8484)
    assert guard.admits_host("[::1]:8484", "ws", 8484)
    assert guard.admits_host("LOCALHOST:8484", "http", 8484)
    assert guard.admits_host("deck.example", "https", 8484)
    assert not guard.admits_host("127.0.0.1", "http", 8484)
    assert not guard.admits_host("[::1", "http", 8484)
    assert not guard.admits_host("127.0.0.1:8484.evil.com", "http", 8484)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "deck.example"])
def test_it_listens_on_loopback_only_unless_told(ctx: Context, host: str) -> None:
    with pytest.raises(RemoteRefused, match="allow-remote"):
        create_app(Settings(home=ctx.settings.home, host=host), supervise=False)
    check_bind(Settings(home=ctx.settings.home, host=host, allow_remote=True))


def refuses_socket(client: TestClient, path: str, headers: dict[str, str]) -> bool:
    try:
        with client.websocket_connect(path, headers=headers):
            return False
    except WebSocketDisconnect as closed:
        return closed.code == 1008
