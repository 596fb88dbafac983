"""Who may talk to the server: the guard in front of every request, and the headers behind every answer.

A server on the loopback address can be reached by every web page that the user's browser has open, by a host name that
resolves to 127.0.0.1 (DNS rebinding) or by a form on another site. So a request must name a host that the server was
started for, must not come from another site, and may only read; Dash's own callbacks and the routes that a page
declares (`Page.posts`) are the only POSTs. Beyond loopback a token is needed as well.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from flask import Flask, Response, jsonify, redirect, request
from werkzeug.wrappers import Response as AnyResponse

TOKEN_COOKIE = "memviz_token"

PUSH_PATH = "/api/v1/push/"
"""Where recorders on other machines send their traces, when the server was started to listen."""

CALLBACK_PATH = "/_dash-update-component"
"""Where the browser posts the callbacks of Dash; they read and answer, and change nothing on disk."""

POLICY = {
    "default-src": "'self'",
    "script-src": "'self'",
    # Mantine, ag-grid and Plotly write style attributes and style elements.
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "font-src": "'self' data:",
    "connect-src": "'self'",
    "worker-src": "'self' blob:",
    "object-src": "'none'",
    "base-uri": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
"""The content security policy: nothing from anywhere else, and no script that is not a file of this server."""

FRAMES = "http://localhost:* http://127.0.0.1:* https://localhost:* https://127.0.0.1:*"
"""Who may show the page in a frame where that is allowed: a notebook on this machine."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class Guard:
    """The rules for one server.

    Attributes:
        hosts: host names, lower case and without ports, that a request may name beside the loopback ones.
        token: what a request must show, in `?token=` once or in the cookie then set; None on loopback.
        addresses: whether any IP address may be named as host, as for a server that listens on all of them; a DNS
            name that was rebound to this machine is no address.
        push: the token with which recorders may send traces; None when the server does not listen for any.
        posts: rules of further routes that may be asked by POST with a body of JSON, which no form can send.
        framed: whether pages on this machine, such as a notebook, may show the page in a frame.
    """

    hosts: frozenset[str] = frozenset()
    token: str | None = None
    addresses: bool = False
    push: str | None = None
    posts: frozenset[str] = frozenset()
    framed: bool = False

    def refuse(self) -> AnyResponse | None:
        """Judge the current request: None lets it through, anything else is the answer."""
        host = host_name(request.headers.get("Host", ""))
        if host is None or not self.serves(host):
            return _refusal(
                f"host {request.headers.get('Host', '')!r:.100} is not served",
                "a loopback host or one that the server was started for",
                "open the address that memviz printed, or start it with --allowed-host",
            )
        if self.push is not None and request.path.startswith(PUSH_PATH):
            return self._check_push()
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc.lower() != request.headers.get("Host", "").lower():
            return _refusal(f"a request from {origin!r:.100}", "a page of this server", "open the page itself")
        if request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none") and not self._is_visit():
            return _refusal("a request that another site made", "a page of this server", "open the page itself")
        if request.method not in ("GET", "HEAD"):
            asked = request.url_rule is not None and request.url_rule.rule in self.posts
            if request.method != "POST" or not (asked or request.path == CALLBACK_PATH):
                return _refusal(f"method {request.method}", "GET: the server only reads", "use GET", status=405)
            if not request.is_json:
                # A form of another site can send anything else without asking, in browsers that do not say where from.
                return _refusal(
                    f"a body of type {request.content_type!r:.60}",
                    "application/json",
                    "set Content-Type: application/json",
                    status=415 if asked else 405,
                )
        return self._check_token() if self.token is not None else None

    def _is_visit(self) -> bool:
        """Whether somebody follows a link to the page, or shows it in a frame that is allowed; both only look."""
        headers = request.headers
        return (
            request.method == "GET"
            and request.path == "/"
            and headers.get("Sec-Fetch-Mode") == "navigate"
            and headers.get("Sec-Fetch-Dest") in (("document", "iframe") if self.framed else ("document",))
        )

    def _check_push(self) -> AnyResponse | None:
        """Recorders show their token in a header that no form and no link can set, and are no browsers."""
        assert self.push is not None
        if "Origin" in request.headers or "Sec-Fetch-Site" in request.headers:
            return _refusal("a push from a browser", "a recorder", "attach to memviz://host:port/run in Python")
        if request.method not in ("POST", "PUT"):
            return _refusal(f"method {request.method}", "POST or PUT", "see docs/api.md", status=405)
        kind, _, given = request.headers.get("Authorization", "").partition(" ")
        if kind != "Bearer" or not _same(given, self.push):
            return _refusal(
                "no token to push with, or a wrong one",
                "the token that memviz serve --listen printed",
                "attach(..., token=...), or MEMVIZ_TOKEN in the environment",
                status=401,
            )
        return None

    def serves(self, host: str) -> bool:
        """Whether a request may name this host."""
        return is_loopback(host) or host in self.hosts or (self.addresses and _is_address(host))

    def _check_token(self) -> AnyResponse | None:
        assert self.token is not None
        given = request.args.get("token")
        if given is not None and _same(given, self.token):
            # The token leaves the address, which ends up in histories and screenshots.
            rest = urlencode([(key, value) for key, value in request.args.items(multi=True) if key != "token"])
            answer = redirect(request.path + (f"?{rest}" if rest else ""), code=303)
            answer.set_cookie(TOKEN_COOKIE, self.token, httponly=True, samesite="Strict", path="/")
            answer.headers["Cache-Control"] = "no-store"
            return answer
        if _same(request.cookies.get(TOKEN_COOKIE, ""), self.token):
            return None
        return _refusal(
            "no token, or a wrong one", "the token that memviz printed", "open the address with ?token= in it"
        )


def install(server: Flask, guard: Guard, *, scripts: Sequence[str] = ()) -> None:
    """Put the guard before every request and the headers on every answer of a Flask server.

    Args:
        server: the server.
        guard: its rules.
        scripts: hashes of the inline scripts of its page, as `'sha256-...'`.
    """
    rules = {**POLICY, "script-src": " ".join([POLICY["script-src"], *scripts])}
    headers = dict(HEADERS)
    if guard.framed:
        rules["frame-ancestors"] = FRAMES
        del headers["X-Frame-Options"]  # it cannot name who may, and the policy says it
    policy = "; ".join(f"{name} {value}" for name, value in rules.items())

    def finish(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = policy
        for name, value in headers.items():
            response.headers[name] = value
        return response

    # First in the list: nothing else, Dash included, sees a request that is refused.
    server.before_request_funcs.setdefault(None, []).insert(0, guard.refuse)
    server.after_request(finish)


def make_guard(
    host: str, allowed_hosts: Sequence[str] = (), token: str | None = None, *, listen: bool = False
) -> Guard:
    """The guard for a server that listens on `host`; beyond loopback it has a token, a random one unless given.

    Args:
        host: the address the server listens on.
        allowed_hosts: further host names by which browsers may call it.
        token: the token to ask for; asked for on loopback too when given.
        listen: let recorders send traces, with the same token or, where browsers need none, one made up for them.
    """
    bound = host.strip("[]").lower()
    made_up = secrets.token_urlsafe(24)
    push = (token or made_up) if listen else None
    if is_loopback(bound):
        return Guard(_names(allowed_hosts), token, push=push)
    everywhere = bound in ("0.0.0.0", "::", "")
    own = socket.gethostname() if everywhere else bound
    names = _names([*allowed_hosts, f"[{own}]" if ":" in own else own])
    return Guard(names, token or made_up, everywhere, push)


def _names(hosts: Sequence[str]) -> frozenset[str]:
    return frozenset(name for name in map(host_name, hosts) if name)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def host_name(header: str) -> str | None:
    """The name in a Host header, lower case and without port or brackets; None when it is malformed."""
    if not header or any(character in header for character in "/\\@?# \t\r\n,"):
        return None
    try:
        parts = urlsplit(f"//{header}")
        _ = parts.port  # raises when it is no number
    except ValueError:
        return None
    name = parts.hostname
    return name.rstrip(".").lower() if name else None


def is_loopback(name: str) -> bool:
    """Whether a host name or address always means this machine."""
    if name in ("localhost", "") or name.endswith(".localhost"):
        return name != ""
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())


def _refusal(what: str, expected: str, remedy: str, status: int = 403) -> AnyResponse:
    answer = jsonify({"error": {"what": what, "expected": expected, "remedy": remedy}})
    answer.status_code = status
    answer.headers["Cache-Control"] = "no-store"
    return answer
