"""Other people's pages in the human's own browser: they can neither read, change nor listen."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, BrowserContext

from app.services.context import Context
from app.store import tasks
from tests.app.web import browsing
from tests.app.web.serving import Served

pytestmark = browsing.MARKS


@contextmanager
def evil_site(page: str) -> Iterator[str]:
    """Another origin on this machine: same site for cookies, another port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: Any) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()


def test_another_page_can_neither_read_nor_change_nor_listen(
    gallery_house: Context, served: Served, browser: Browser
) -> None:
    context: BrowserContext = browser.new_context()
    page = context.new_page()
    page.goto(served.login)  # the victim is logged in; 127.0.0.1 is one site for its cookies
    attack = f"""<!doctype html><form id=f method=post action="{served.url}/tasks/1/cancel"></form>
    <iframe id=i src="{served.url}/"></iframe>"""
    with evil_site(attack) as url:
        page.goto(url)
        result = page.evaluate(
            """async (target) => {
                const out = {};
                const tried = async (name, action) => {
                    try { out[name] = await action(); } catch (error) { out[name] = "refused"; }
                };
                const cookies = {credentials: "include"};
                await tried("read", async () => (await fetch(target + "/", cookies)).text());
                await tried("api", async () =>
                    (await fetch(target + "/api/v1/tasks", cookies)).text());
                await tried("opaque", async () =>
                    (await fetch(target + "/", {mode: "no-cors", ...cookies})).text());
                await tried("post", async () => (await fetch(target + "/tasks/1/cancel",
                    {method: "POST", mode: "no-cors", ...cookies})).text());
                await tried("htmx", async () => (await fetch(target + "/tasks/1/cancel",
                    {method: "POST", headers: {"HX-Request": "true"}, ...cookies})).text());
                for (const path of ["/ws/page?topics=fleet", "/ws/sessions/x/log"]) {
                    await tried(path, () => new Promise((done, fail) => {
                        const socket = new WebSocket(target.replace("http", "ws") + path);
                        socket.onopen = () => done("open");
                        socket.onerror = fail;
                    }));
                }
                await tried("script", () => new Promise((done, fail) => {
                    const script = document.createElement("script");
                    script.src = target + "/api/v1/tasks";
                    script.onload = () => done("loaded"); script.onerror = fail;
                    document.head.append(script);
                }));
                return out;
            }""",
            served.url,
        )
        assert set(result.values()) <= {"refused", ""}, result
        framed = page.frame_locator("#i").locator("#tiles")
        assert framed.count() == 0
        with page.expect_navigation():
            page.evaluate("document.getElementById('f').submit()")
        assert "own page" in page.content() or "Another site" in page.content()
    with gallery_house.db.read() as db:
        task = tasks.get(db, 1)
    assert task is not None
    assert task.state == "running"
    context.close()
