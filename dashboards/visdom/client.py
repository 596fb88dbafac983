"""A Visdom server at arm's length: every call ends within a few seconds, and failure is one kind of error.

This speaks Visdom's own protocol (JSON posted to `/events`, `/close`, `/win_exists`) over the standard library instead
of importing the `visdom` package. That package imports torch when it is there (0.7 s, 200 MiB), posts without a
timeout, so that a hung server hangs its caller, and prints a traceback for each failed call. Not importing it also
means that only the machine of the server needs Visdom at all.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import threading
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from memviz.dashboards.visdom.panes import Pane
from memviz.errors import MemvizError

DEFAULT_PORT = 8097
TIMEOUT = 5.0
"""Seconds after which a server that accepts a request but does not answer counts as gone."""

USER_VARIABLE, PASSWORD_VARIABLE = "MEMVIZ_VISDOM_USER", "MEMVIZ_VISDOM_PASSWORD"

INSTALL_HINT = (
    "PIP_CONSTRAINT=build-constraints.txt PIP_BUILD_CONSTRAINT=build-constraints.txt pip install 'memviz[visdom]', "
    "where build-constraints.txt holds the line setuptools<82"
)
START_HINT = f"start one with `python -m visdom.server -bind_local` (to install it: {INSTALL_HINT})"


class VisdomUnavailable(MemvizError, OSError):
    """The Visdom server does not take what is sent; it may come back."""


class VisdomAddressError(MemvizError, ValueError):
    """What was given is not the address of a Visdom server."""


class Board(Protocol):
    """Where panes can be shown: a server, or a file that is replayed to one later."""

    def draw(self, env: str, pane: Pane) -> None:
        """Show a pane, in the place of the one with the same id."""

    def close(self, env: str, win: str) -> None:
        """Take a pane away."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a Visdom server is."""

    scheme: str
    host: str
    port: int
    base: str = ""

    @classmethod
    def parse(cls, text: str) -> Address:
        """From `http://localhost:8097`, `localhost:8097`, `localhost` or `https://host/visdom`.

        Without a port it is Visdom's 8097, and 443 for https.

        Raises:
            VisdomAddressError: not such an address, or one that holds a password.
        """
        parts = urlsplit(text if "://" in text else f"http://{text}")
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in ("http", "https") or not parts.hostname or port == -1 or parts.query or parts.fragment:
            raise VisdomAddressError(
                f"{text!r} is not the address of a Visdom server; expected something like http://localhost:{DEFAULT_PORT}"
            )
        if parts.username is not None or parts.password is not None:
            raise VisdomAddressError(
                "the address of a Visdom server must not hold a password, since every user of this machine can read "
                f"command lines; set {USER_VARIABLE} and {PASSWORD_VARIABLE} instead"
            )
        default = 443 if parts.scheme == "https" else DEFAULT_PORT
        return cls(parts.scheme, parts.hostname, port or default, parts.path.rstrip("/"))

    @property
    def url(self) -> str:
        """To open in a browser."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.base}"

    @property
    def socket_url(self) -> str:
        """Where the server sends what viewers do."""
        return f"ws{self.url.removeprefix('http')}/vis_socket"


class Client:
    """A connection to one Visdom server, made when it is first needed and again when it broke.

    Safe to share between threads, which wait for each other.

    Args:
        address: of the server.
        timeout: seconds that connecting, sending and waiting for the answer may each take.
        user: for a server started with `-enable_login`; from the environment by default.
        password: likewise.
    """

    def __init__(
        self, address: Address, *, timeout: float = TIMEOUT, user: str | None = None, password: str | None = None
    ) -> None:
        self.address = address
        self.timeout = timeout
        self.cookie = ""
        self._user = user if user is not None else os.environ.get(USER_VARIABLE)
        self._password = password if password is not None else os.environ.get(PASSWORD_VARIABLE, "")
        self._connection: http.client.HTTPConnection | None = None
        self._lock = threading.Lock()

    def draw(self, env: str, pane: Pane) -> None:
        """Show a pane, in the place of the one with the same id.

        Raises:
            VisdomUnavailable: no answer in time, or not the answer of a Visdom server.
        """
        answer = self._post("/events", pane.body(env))
        if answer != pane.win:
            raise VisdomUnavailable(f"{self.address.url} answers, but not as Visdom does: {answer[:80]!r}")

    def close(self, env: str, win: str) -> None:
        """Take a pane away; nothing happens when there is none.

        Raises:
            VisdomUnavailable: no answer in time.
        """
        if self.exists(env, win):
            self._post("/close", _json({"eid": env, "win": win}))

    def exists(self, env: str, win: str) -> bool:
        """Whether the server has this window.

        Raises:
            VisdomUnavailable: no answer in time.
        """
        return self._post("/win_exists", _json({"eid": env, "win": win})) == "true"

    def windows(self, env: str) -> dict[str, Any]:
        """All windows of an environment by id, as the server keeps them; empty when there is no such environment.

        Raises:
            VisdomUnavailable: no answer in time.
        """
        if env not in json.loads(self._post("/env_state", b"{}")):
            return {}
        listed: dict[str, Any] = json.loads(self._post("/win_data", _json({"eid": env, "win": None})))
        return listed

    def window(self, env: str, win: str) -> dict[str, Any] | None:
        """One window as the server keeps it, None when there is none.

        Raises:
            VisdomUnavailable: no answer in time.
        """
        if not self.exists(env, win):
            return None
        kept: dict[str, Any] = json.loads(self._post("/win_data", _json({"eid": env, "win": win})))
        return kept

    def disconnect(self) -> None:
        """Close the connection; the next call makes a new one."""
        with self._lock:
            self._drop()

    def _post(self, route: str, body: bytes) -> str:
        with self._lock:
            try:
                status, text = self._exchange(route, body)
                if status == 400:
                    self._log_in()
                    status, text = self._exchange(route, body)
            except (OSError, http.client.HTTPException) as error:
                self._drop()
                if isinstance(error, VisdomUnavailable):
                    raise
                raise VisdomUnavailable(f"Visdom at {self.address.url} {_reason(error)}") from error
        if status != 200:
            raise VisdomUnavailable(f"{self.address.url}{route} answers {status}; expected a Visdom server there")
        return text

    def _exchange(self, route: str, body: bytes) -> tuple[int, str]:
        """One request. A connection that the server closed while it was idle is made again once."""
        fresh = self._connection is None
        try:
            return self._send(route, body)
        except (ConnectionError, http.client.BadStatusLine):
            self._drop()
            if fresh:
                raise
            return self._send(route, body)

    def _send(self, route: str, body: bytes) -> tuple[int, str]:
        if self._connection is None:
            kind = http.client.HTTPSConnection if self.address.scheme == "https" else http.client.HTTPConnection
            self._connection = kind(self.address.host, self.address.port, timeout=self.timeout)
        headers = {"Content-Type": "application/json"} | ({"Cookie": self.cookie} if self.cookie else {})
        self._connection.request("POST", f"{self.address.base}{route}", body, headers)
        response = self._connection.getresponse()
        text = response.read().decode("utf-8", "replace")
        cookie = response.getheader("Set-Cookie")
        if cookie:
            self.cookie = cookie.split(";", 1)[0]
        return response.status, text

    def _log_in(self) -> None:
        if not self._user:
            raise VisdomUnavailable(
                f"Visdom at {self.address.url} asks for a login: set {USER_VARIABLE} and {PASSWORD_VARIABLE}"
            )
        # Visdom's own page sends the hash of the password, and the server compares the hash of that.
        hashed = hashlib.sha256(self._password.encode()).hexdigest()
        status, _ = self._exchange("/", _json({"username": self._user, "password": hashed}))
        if status != 200:
            raise VisdomUnavailable(f"Visdom at {self.address.url} refuses user {self._user!r} with this password")

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _json(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode()


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "accepts requests but does not answer them"
    if isinstance(error, ConnectionRefusedError):
        return f"is not running; {START_HINT}"
    return f"does not answer ({type(error).__name__}: {error})"
