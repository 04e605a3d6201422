"""Who may talk to the page: token, Host, Origin, sizes, and the headers of every response.

One middleware in front of every route and of the WebSocket, so that no route can forget it.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
import socket
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from molmo_node.web import openai_errors, openai_request
from molmo_node.web.replies import error_json

COOKIE = "molmo_node_page"
LOGIN_PATH = "/login"
LOGIN_BYTES = 1024
# Nothing longer is read, by no route. Routes have limits of their own, far below: they read what
# is too long to its end, so that its sender gets an answer instead of a broken connection.
BODY_BYTES = 4 * openai_request.BODY_BYTES
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(:\d{1,5})?")
_SAFE = ("GET", "HEAD")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self';"
    " img-src 'self' blob:; connect-src 'self'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
LOGIN_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>molmo_node</title>
<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/login.css">
<main><h1>molmo_node</h1><form method="post" action="/login"><label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button>Open</button></form><p>{note}</p></main></html>"""
LOGIN_STYLE = """:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}
main{max-width:22rem;margin:20vh auto;padding:0 1rem}h1{font-size:1.25rem}
form{display:grid;gap:.5rem}input,button{font:inherit;padding:.5rem}"""


@dataclass(frozen=True)
class Access:
    """Who is let in.

    Attributes:
        token: what a visitor must show; None: nothing is asked.
        hosts: names that the Host header may hold, in lower case.
        allows_addresses: whether it may hold any IP address: such a host is no rebound name.
    """

    token: str | None
    hosts: frozenset[str]
    allows_addresses: bool = False


def access_for(is_loopback: bool, token: str | None, allowed_hosts: tuple[str, ...]) -> Access:
    """The rule for a page that listens on this machine only, or beyond it."""
    hosts = LOCAL_NAMES | {name.lower() for name in allowed_hosts}
    if is_loopback:
        return Access(token, hosts)
    name = socket.gethostname().lower()
    return Access(token, hosts | {name, f"{name}.local"}, allows_addresses=True)


class _TooLargeError(Exception):
    pass


class Guard:
    """ASGI middleware: refuses what may not pass, and puts the security headers on the rest."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        answer = self._refusal(scope, headers) or await self._login(scope, headers, receive)
        if answer is None:
            await self._pass_on(scope, receive, _with_headers(scope, send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await answer(scope, receive, _with_headers(scope, send))

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        """Why a browser that was led here by another site, or an unknown name, is turned away."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_known(hosts[0]):
            return _error(
                421,
                "forbidden_host",
                "the Host header is not a name of this page",
                "open it by its address, or set web.allowed_hosts",
            )
        if not _is_same_origin(scope, headers, hosts[0]):
            return _error(403, "forbidden_origin", "requests from other sites are refused", "")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > BODY_BYTES:
            return _too_large()
        return None

    def _is_known(self, host: str) -> bool:
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        name = match["name"].strip("[]").lower()
        if name in self._access.hosts:
            return True
        return self._access.allows_addresses and _is_address(name)

    async def _login(self, scope: Scope, headers: Headers, receive: Receive) -> Response | None:
        """None where the visitor showed the token; else where to show it, or what follows."""
        if self._access.token is None:
            return None
        if scope["path"] == "/login.css" and scope["type"] == "http":
            return Response(LOGIN_STYLE, media_type="text/css")
        if scope["path"] == LOGIN_PATH and scope.get("method") == "POST":
            form = parse_qs((await _body(receive, LOGIN_BYTES)).decode("utf-8", "replace"))
            return self._let_in((form.get("token") or [""])[0])
        if any(self._is_token(text) for text in _shown(headers)):
            return None
        query = parse_qs(scope.get("query_string", b"").decode("ascii", "replace"))
        if scope["path"] == "/" and "token" in query:
            return self._let_in(query["token"][0])
        if scope["path"] == "/":
            return HTMLResponse(LOGIN_PAGE.format(note="It was printed at the start."), 401)
        if scope["path"].startswith("/v1/"):
            return openai_errors.unauthorized()
        return _error(
            401, "unauthorized", "a token is needed", "send it as `Authorization: Bearer TOKEN`"
        )

    def _let_in(self, token: str) -> Response:
        if not self._is_token(token):
            return HTMLResponse(LOGIN_PAGE.format(note="That is not the token."), 401)
        response = RedirectResponse("/", 303)
        response.set_cookie(COOKIE, token, httponly=True, samesite="strict", max_age=30 * 86_400)
        return response

    def _is_token(self, text: str) -> bool:
        assert self._access.token is not None
        return hmac.compare_digest(text.encode(), self._access.token.encode())

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False
        taken_bytes = 0

        async def counted() -> Message:
            nonlocal taken_bytes
            message = await receive()
            taken_bytes += len(message.get("body", b"")) if scope["type"] == "http" else 0
            if taken_bytes > BODY_BYTES:
                raise _TooLargeError
            return message

        async def noted(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, counted, noted)
        except _TooLargeError:
            if not has_begun:
                await _too_large()(scope, receive, send)


def _is_same_origin(scope: Scope, headers: Headers, host: str) -> bool:
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
        return False
    if headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
        return True
    is_visit = headers.get("sec-fetch-mode") == "navigate" and scope.get("method") in _SAFE
    return scope["type"] == "http" and is_visit


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _shown(headers: Headers) -> list[str]:
    """Every token that a request shows: as a header, and as the page's cookie."""
    found = []
    scheme, _, text = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        found.append(text.strip())
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        cookie = None
    return [*found, cookie.value] if cookie is not None else found


async def _body(receive: Receive, most_bytes: int) -> bytes:
    body = b""
    while len(body) <= most_bytes:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    return body[:most_bytes]


def _with_headers(scope: Scope, send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return sending


def _error(status: int, code: str, message: str, hint: str) -> Response:
    return JSONResponse(error_json(code, message, hint), status)


def _too_large() -> Response:
    return _error(
        413, "too_large", f"a request may have {BODY_BYTES} bytes", "send the picture smaller"
    )
