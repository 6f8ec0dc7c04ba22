"""What the browser is given besides pages: pinned, hashed, and never from elsewhere."""

import hashlib
import re

import pytest
from starlette.testclient import TestClient

from app import paths
from app.web.render import static_url
from tests.app.web.conftest import Soup

LOCAL = re.compile(r"(?:https?:)?//(?!www\.w3\.org/)")


def test_an_asset_named_by_its_hash_is_kept_for_ever(client: TestClient) -> None:
    named = client.get(static_url("app.css"))
    assert "immutable" in named.headers["cache-control"]
    assert client.get("/static/app.css").headers["cache-control"] == "no-cache"
    assert client.get("/static/app.css?v=old").headers["cache-control"] == "no-cache"


def test_nothing_outside_the_folder_is_served(client: TestClient) -> None:
    for path in (
        "/static/../pyproject.toml",
        "/static/%2e%2e/pyproject.toml",
        "/static//etc/passwd",
    ):
        assert client.get(path).status_code in (404, 405)


def test_the_vendored_files_are_the_ones_that_were_pinned() -> None:
    pinned = (paths.STATIC / "vendor" / "VERSIONS.txt").read_text()
    vendor = paths.STATIC / "vendor"
    files = sorted([*vendor.glob("*.js"), *vendor.glob("*.css")])
    assert len(files) == 4
    for file in files:
        assert hashlib.sha256(file.read_bytes()).hexdigest() in pinned, file.name
    for licence in ("htmx-LICENSE.txt", "uplot-LICENSE.txt"):
        assert licence in pinned
        assert (vendor / licence).stat().st_size > 500


@pytest.mark.usefixtures("gallery_house")
def test_pages_load_from_here_only(soup: Soup) -> None:
    for path in ("/", "/reviews/2", "/agents/maple", "/accounts", "/throughput", "/login"):
        page = soup(path)
        sources = [tag.get("src") or tag.get("href") for tag in page(["script", "link", "img"])]
        assert all(str(source).startswith("/static/") for source in sources)
        assert not page.find_all("style")
        assert not [tag for tag in page(True) if any(a.startswith("on") for a in tag.attrs)]
        assert not page.find_all(style=True)
        assert not [tag for tag in page("script") if tag.string]


def test_our_own_styles_and_scripts_name_no_other_host() -> None:
    for file in [*paths.STATIC.glob("*.css"), *paths.STATIC.glob("*.js")]:
        text = re.sub(r"^\s*//.*$|/\*.*?\*/|\s// .*$", "", file.read_text(), flags=re.M | re.S)
        text = text.replace("${scheme}//${location.host}", "")
        assert not LOCAL.search(text), file.name


def test_templates_mark_nothing_as_safe() -> None:
    for file in paths.TEMPLATES.rglob("*.html"):
        text = file.read_text()
        assert "|safe" not in text.replace(" ", ""), file
        assert "autoescape" not in text, file


def test_no_form_can_leave_its_words_in_a_url() -> None:
    for file in paths.TEMPLATES.rglob("*.html"):
        for form in re.findall(r"<form[^>]*>", file.read_text()):
            assert 'method="dialog"' in form or 'method="post"' in form, (file, form)
