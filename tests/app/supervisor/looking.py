"""The pages and the API of a running fleet, as a browser and a program see them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bs4 import BeautifulSoup
from starlette.testclient import TestClient

from app.main import create_app
from tests.app.supervisor.conftest import Deck

OURS = {"origin": "http://testserver", "hx-request": "true"}


class Eyes:
    """One browser that is let in, and one program with the token."""

    def __init__(self, http: TestClient, token: str) -> None:
        self._http, self._bearer = http, {"authorization": f"Bearer {token}"}

    def page(self, path: str) -> str:
        """The words of a page, which must be fine."""
        answer = self._http.get(path)
        assert answer.status_code == 200, (path, answer.status_code, answer.text[:2000])
        return " ".join(BeautifulSoup(answer.text, "html.parser").get_text(" ").split())

    def raw(self, path: str) -> str:
        return str(self._http.get(path).text)

    def get(self, path: str) -> Any:
        """What the API answers, which must be fine."""
        answer = self._http.get(f"/api/v1{path}", headers=self._bearer)
        assert answer.status_code == 200, (path, answer.status_code, answer.text[:2000])
        return answer.json()

    def post(self, path: str, **body: object) -> tuple[int, Any]:
        """Status and answer of a change over the API."""
        answer = self._http.post(f"/api/v1{path}", json=body, headers=self._bearer)
        return answer.status_code, answer.json()


@contextmanager
def eyes(deck: Deck) -> Iterator[Eyes]:
    """The application on the deck's home, without a supervisor of its own."""
    settings = deck.ctx.settings.model_copy(update={"allowed_hosts": ["testserver"]})
    app = create_app(settings, supervise=False)
    with TestClient(app, follow_redirects=False) as http:
        assert http.get(f"/?token={app.state.token}").status_code == 303
        yield Eyes(http, app.state.token)
    app.state.ctx.db.close()
