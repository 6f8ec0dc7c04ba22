"""The door: who may ask at all. One pure ASGI middleware around everything, sockets included.

Checked in this order, each failing closed (docs/pages.md, "The door"):
Host is ours · Origin, where a browser sends one, is ours · the request comes from our own page,
not from another site · cookie or bearer token · a change made with the cookie names our Origin
and carries `HX-Request: true`, which no form or image of another site can send.
"""

import hashlib
import hmac
import time
from collections import deque
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

OPEN_PATHS = ("/login", "/healthz")
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
MAX_BODY_BYTES = 4 * 1024 * 1024
LOGIN_FAILURES, LOGIN_WINDOW_SECONDS = 10, 60.0

_HEADERS = {
    "content-security-policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; "
        "form-action 'self'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class Guard:
    """Knows the token; compares in constant time; slows down who guesses."""

    def __init__(self, token: str, allowed_hosts: Iterable[str] = ()) -> None:
        self._token = token
        self._cookie = hmac.new(token.encode(), b"quarterdeck cookie", hashlib.sha256).hexdigest()
        self._failures: deque[float] = deque(maxlen=LOGIN_FAILURES)
        self.allowed_hosts = frozenset(host.lower() for host in allowed_hosts)

    @property
    def cookie(self) -> str:
        """What the cookie holds: derived from the token, so that it can't be used as one."""
        return self._cookie

    def is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token.encode())

    def is_cookie(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._cookie.encode())

    def is_throttled(self) -> bool:
        """Whether the last minute saw too many wrong tokens."""
        oldest = self._failures[0] if len(self._failures) == LOGIN_FAILURES else None
        return oldest is not None and time.monotonic() - oldest < LOGIN_WINDOW_SECONDS

    def log_in(self, given: str) -> bool:
        """Whether the token is right; a wrong one counts.

        The right one is always let in: who guesses, an agent say, must not lock the human out.
        """
        if self.is_token(given):
            return True
        self._failures.append(time.monotonic())
        return False

    def admits_host(self, host: str, scheme: str, port: int | None) -> bool:
        """Loopback with the bound port, or one of the setting's names with any port."""
        host = host.lower()
        name, given_port = _split_port(host)
        if host in self.allowed_hosts or name in self.allowed_hosts:
            return True
        standard = 443 if scheme in ("https", "wss") else 80
        return name in LOOPBACK and (given_port or standard) == port


class Refused(Exception):
    """The request does not pass the door."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status, self.why = status, why


class Door:
    """The middleware. `guard` is shared with the login page through `app.state.guard`."""

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self.app, self.guard = app, guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        is_socket = scope["type"] == "websocket"
        guarded = _with_headers(send, scope["path"])
        try:
            early = self.check(scope)
        except Refused as refused:
            if is_socket:
                await send({"type": "websocket.close", "code": 1008, "reason": refused.why})
                return
            early = _refusal(scope, refused)
        if early is not None and not is_socket:
            await early(scope, receive, guarded)
            return
        await self.app(scope, receive if is_socket else _limited(receive), guarded)

    def check(self, scope: Scope) -> Response | None:
        """None to go on, a response to answer with instead; raises Refused."""
        headers = Headers(scope=scope)
        host = self._host(scope, headers)
        same_origin = self._origin(scope, headers, host)
        path = scope["path"]
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > MAX_BODY_BYTES:
            raise Refused(413, "Too large: 4 MB is the limit for one request.")
        if path in OPEN_PATHS or path.startswith("/static/"):
            if scope.get("method") not in SAFE_METHODS and not same_origin:
                raise Refused(403, "Only Quarterdeck's own pages may do that.")
            return None
        if given := headers.get("authorization"):
            self._bearer(given)
            return None
        if "token=" in scope["query_string"].decode("latin-1") and scope.get("method") == "GET":
            return self._token_in_url(scope)
        self._cookie_auth(scope, headers)
        if scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS:
            self._own_page(scope, headers, same_origin)
        return None

    def _host(self, scope: Scope, headers: Headers) -> str:
        hosts = headers.getlist("host")
        port = (scope.get("server") or ("", None))[1]
        if len(hosts) != 1 or not self.guard.admits_host(hosts[0], scope["scheme"], port):
            raise Refused(
                421, "This host name is not served; use 127.0.0.1 or add it to allowed_hosts."
            )
        return hosts[0].lower()

    def _origin(self, scope: Scope, headers: Headers, host: str) -> bool:
        """Whether an Origin was sent and is ours; Refused for anybody else's."""
        origins = headers.getlist("origin")
        site, mode = headers.get("sec-fetch-site"), headers.get("sec-fetch-mode")
        is_navigation = mode == "navigate" and scope.get("method") == "GET"
        if site not in (None, "same-origin", "none") and not is_navigation:
            raise Refused(403, "Another site's page may not ask that.")
        if not origins:
            return False
        secure = scope["scheme"] in ("https", "wss") or host.split(":")[0] not in LOOPBACK
        ours = {f"http://{host}"} | ({f"https://{host}"} if secure else set())
        if len(origins) != 1 or origins[0].lower() not in ours:
            raise Refused(403, "Another site's page may not ask that.")
        return True

    def _bearer(self, given: str) -> None:
        kind, _, token = given.partition(" ")
        was_throttled = self.guard.is_throttled()
        if kind.lower() == "bearer" and self.guard.log_in(token.strip()):
            return
        if was_throttled:
            raise Refused(429, "Too many wrong tokens; wait a minute.")
        raise Refused(401, "The token is not valid; `quarterdeck token` prints it.")

    def _token_in_url(self, scope: Scope) -> Response:
        """The printed URL: the token becomes a cookie and leaves the address bar."""
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        token = next((value for name, value in query if name == "token"), "")
        was_throttled = self.guard.is_throttled()
        if not self.guard.log_in(token):
            if was_throttled:
                raise Refused(429, "Too many wrong tokens; wait a minute.")
            return RedirectResponse("/login?wrong=1", status_code=303)
        rest = urlencode([(name, value) for name, value in query if name != "token"])
        # "//host/path" would leave the site: keep one slash.
        clean = "/" + scope["path"].lstrip("/\\") + (f"?{rest}" if rest else "")
        response = RedirectResponse(clean, status_code=303)
        set_cookie(response, scope, self.guard)
        return response

    def _cookie_auth(self, scope: Scope, headers: Headers) -> None:
        try:
            cookies = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            cookies = SimpleCookie()
        morsel = cookies.get(cookie_name(scope))
        if morsel is None or not self.guard.is_cookie(morsel.value):
            raise Refused(401, "Log in with the token that `quarterdeck` printed.")

    def _own_page(self, scope: Scope, headers: Headers, same_origin: bool) -> None:
        if not same_origin:
            raise Refused(403, "Only Quarterdeck's own pages may do that.")
        if scope["type"] == "http" and headers.get("hx-request") != "true":
            raise Refused(403, "Changes need the page's own script; turn JavaScript on.")


def cookie_name(scope: Scope) -> str:
    """One per port, so that two servers of one machine do not log each other out."""
    return f"quarterdeck_{(scope.get('server') or ('', 0))[1]}"


def set_cookie(response: Response, scope: Scope, guard: Guard) -> None:
    """HttpOnly, SameSite=Strict, Secure behind TLS; lasts until the browser closes."""
    response.set_cookie(
        cookie_name(scope),
        guard.cookie,
        httponly=True,
        samesite="strict",
        secure=scope["scheme"] == "https",
        path="/",
    )


def _split_port(host: str) -> tuple[str, int | None]:
    name, colon, port = host.rpartition(":")
    if colon and port.isascii() and port.isdigit() and not name.endswith(":"):
        return name, int(port)
    return host, None


def _refusal(scope: Scope, refused: Refused) -> Response:
    """JSON for the API, the login page for a browser that is not logged in, else one line."""
    headers = Headers(scope=scope)
    is_page = not scope["path"].startswith("/api/") and "authorization" not in headers
    if refused.status == 401 and is_page:
        if headers.get("hx-request") == "true":
            return PlainTextResponse(refused.why, 401, {"HX-Redirect": "/login"})
        if scope["method"] in SAFE_METHODS:
            return RedirectResponse("/login", status_code=303)
    if scope["path"].startswith("/api/"):
        error = {"code": "refused", "message": refused.why, "retryable": refused.status == 429}
        body = {"error": error}
        extra = {"WWW-Authenticate": "Bearer"} if refused.status == 401 else None
        return JSONResponse(body, refused.status, extra)
    return PlainTextResponse(refused.why, refused.status)


def _with_headers(send: Send, path: str) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
            if not path.startswith("/static/"):
                headers["cache-control"] = "no-store"
            del headers["server"]
        await send(message)

    return guarded


def _limited(receive: Receive) -> Receive:
    """Stops a body that is longer than it said, or did not say."""
    seen = 0

    async def limited() -> Message:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > MAX_BODY_BYTES:
                return {"type": "http.disconnect"}
        return message

    return limited
