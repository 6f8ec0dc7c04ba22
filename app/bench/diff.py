"""How long a large diff takes to open: 10,000 lines in 300 files, in a real Chromium.

A repository is made and its diff computed by git as a preflight does; the page is served by the
application and opened in a browser of the machine's own. "Open" is from the start of navigation to
the frame in which the last file has its place on the page; a long task is one that blocks the page.
"""

import argparse
import random
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from app.bench import Bar, Result
from app.errors import Unavailable
from app.git.clones import Clones
from app.git.run import run_git
from app.listen import bind
from app.main import create_app
from app.models import MergeRequest, Repository
from app.server import open_context
from app.services import diffs
from app.services.context import Context
from app.settings import Settings

OPEN_SECONDS = 1.0
LONG_TASK_MS = 200.0
_WORDS = ("order", "graph", "walk", "name", "items", "token", "comma", "parse", "text", "path")
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_NO_BROWSER = (
    "This measures in a browser. Get one with:  pip install playwright && playwright install "
    "chromium  (or name an installed one with --browser)."
)
# From the start of the navigation to the second frame after all is parsed, when layout is done.
_OBSERVE = """
  window.tasks = [];
  new PerformanceObserver((list) => window.tasks.push(...list.getEntries().map((e) => e.duration)))
    .observe({ type: "longtask", buffered: true });
"""
_OPENED = """async () => {
  const loaded = new Promise((done) => addEventListener("load", done));
  if (document.readyState !== "complete") await loaded;
  [...document.querySelectorAll("details.file")].at(-1).getBoundingClientRect(); // forces layout
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const opened = performance.now();
  await new Promise((done) => setTimeout(done, 700)); // what the scripts do afterwards counts too
  const [navigation] = performance.getEntriesByType("navigation");
  const paint = performance.getEntriesByName("first-contentful-paint")[0];
  return { opened, first: paint?.startTime ?? 0, answered: navigation.responseEnd,
           tasks: window.tasks, files: document.querySelectorAll("details.file").length,
           lines: document.querySelectorAll(".diff .add, .diff .del").length,
           marks: document.querySelectorAll(".diff b").length };
}"""
_LAST_FILE = """async () => {
  const started = performance.now();
  for (let at = 0; at < 40; at++) document.querySelector('[data-key="n"]').click();
  const last = [...document.querySelectorAll(".file-index a")].at(-1);
  last.click();
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const file = document.querySelector(last.getAttribute("href")).getBoundingClientRect();
  return { ms: (performance.now() - started), isShown: file.top >= 0 && file.top < innerHeight };
}"""


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=10_000, help="added and deleted together")
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--repeat", type=int, default=5, help="times it is opened, each cold")
    parser.add_argument("--browser", default="", help="path of a Chromium")
    return parser


def run(options: argparse.Namespace) -> Result:
    """Opens the page several times, each in a fresh profile; medians, and the worst long task."""
    with tempfile.TemporaryDirectory(prefix="quarterdeck-bench-") as place:
        settings = Settings(home=Path(place) / "home", port=0)
        settings.state.ensure()
        with open_context(settings) as ctx:
            request = _stage(ctx, Path(place), options.files, options.lines)
        with _served(settings) as url, _chromium(options.browser) as browser:
            looks = [_look(browser, url, request) for _ in range(max(1, options.repeat))]
    named = ("answered", "first", "opened")
    medians = {key: statistics.median(look[key] for look in looks) / 1000 for key in named}
    longest = max((task for look in looks for task in look["tasks"]), default=0.0)
    step = statistics.median(look["step"]["ms"] for look in looks)
    one = looks[0]
    rows: list[tuple[object, ...]] = [
        ("files on the page", one["files"]),
        ("changed lines on the page", one["lines"]),
        ("marks inside lines", one["marks"]),
        ("answer of the server whole, s", round(medians["answered"], 3)),
        ("first content, s", round(medians["first"], 3)),
        ("last file has its place, s", round(medians["opened"], 3)),
        ("longest task, ms", round(longest)),
        ("40 files on, then to the last, ms", round(step)),
    ]
    bars = [
        Bar("navigation to the last file laid out, median", medians["opened"], OPEN_SECONDS, "s"),
        Bar("longest task", longest, LONG_TASK_MS, "ms"),
        Bar("changed lines on the page", one["lines"], options.lines, is_floor=True),
        Bar("looks that reached the last file", sum(look["step"]["isShown"] for look in looks),
            len(looks), is_floor=True),
    ]  # fmt: skip
    return Result(("what", "value"), rows, bars)


def _stage(ctx: Context, place: Path, files: int, lines: int) -> MergeRequest:
    """One merge request whose diff git has computed."""
    clones = Clones(human=place, directory=place / "clones")
    clones.gate.mkdir(parents=True)
    run_git(["init", "--quiet", "--bare"], git_dir=clones.gate)
    run_git(["fast-import", "--quiet"], git_dir=clones.gate, stdin=_history(files, lines))
    shas = run_git(["rev-parse", "refs/heads/main", "refs/heads/change"], git_dir=clones.gate)
    base, head = shas.stdout.decode().split()
    stored = diffs.compute(clones, base, head)
    repository = Repository(slug="large", path=str(place), base_branch="main")
    with ctx.db.write() as db:
        db.add(repository)
        db.flush()
        request = MergeRequest(
            repository_id=repository.id or 0, title="A large change", branch="change",
            base_branch="main", head_sha=head, base_sha=base, care="study", files=len(stored.files),
            additions=stored.additions, deletions=stored.deletions,
        )  # fmt: skip
        db.add(request)
    diffs.store(diffs.request_path(ctx, request.id or 0, head), stored)
    return request


def _history(files: int, lines: int) -> bytes:
    """Two commits: each file has some of its lines edited in the middle and at its end."""
    rng = random.Random(7)
    edits = -(-lines // (2 * files))  # an edited line is one deleted and one added
    before = [[_line(rng) for _ in range(3 * edits + 20)] for _ in range(files)]
    after = [_edited(rng, text, edits) for text in before]
    out = [_commit("main", "", before), _commit("change", "from refs/heads/main\n", after)]
    return "".join(out).encode()


def _line(rng: random.Random) -> str:
    words = " ".join(rng.choice(_WORDS) for _ in range(rng.randint(4, 11)))
    return f"{'    ' * rng.randint(0, 3)}{words} = {rng.choice(_WORDS)}({rng.randint(0, 999)})"


def _edited(rng: random.Random, text: list[str], edits: int) -> list[str]:
    changed = list(text)
    for at in (*range(4, 4 + edits // 2), *range(len(text) - (edits - edits // 2), len(text))):
        changed[at] = changed[at].replace(" = ", f" = {rng.choice(_WORDS)}.", 1).replace("(", "(-")
    return changed


def _commit(branch: str, parent: str, texts: list[list[str]]) -> str:
    parts = [f"commit refs/heads/{branch}\n", "committer Bench <bench@example.org> 0 +0000\n"]
    parts += ["data 1\n.\n", parent]
    for number, lines in enumerate(texts):
        content = "\n".join(lines) + "\n"
        path = f"src/part{number % 12}/module_{number:03}.py"
        parts.append(f"M 100644 inline {path}\ndata {len(content)}\n{content}\n")
    return "".join(parts)


@contextmanager
def _served(settings: Settings) -> Iterator[str]:
    """The application without its supervisor, on a free port; the address with its token."""
    app = create_app(settings, supervise=False)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="websockets-sansio"))
    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            deadline = time.monotonic() + 20
            while not server.started and time.monotonic() < deadline:
                time.sleep(0.01)
            yield f"http://127.0.0.1:{port}/?token={app.state.token}"
        finally:
            server.should_exit = True
            thread.join(10)


@contextmanager
def _chromium(path: str) -> Iterator[Any]:
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        raise Unavailable(_NO_BROWSER) from None
    found = path or next(filter(None, map(shutil.which, _BROWSERS)), None)
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(
                executable_path=found, args=["--no-sandbox", "--disable-background-networking"]
            )
        except Error:
            raise Unavailable(_NO_BROWSER) from None
        yield browser
        browser.close()


def _look(browser: Any, url: str, request: MergeRequest) -> dict[str, Any]:
    """One cold opening of the page, and a walk to its last file."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.add_init_script(_OBSERVE)
    page.goto(url)
    page.goto(f"{url.split('?')[0]}reviews/{request.id}", wait_until="commit")
    look: dict[str, Any] = page.evaluate(_OPENED)
    look["step"] = page.evaluate(_LAST_FILE)
    context.close()
    return look
