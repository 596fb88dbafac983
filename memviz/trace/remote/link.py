"""The link to a server that listens: addresses `memviz://host:port/run`, and the five requests of a push."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from memviz.errors import RemoteError, RemoteRefused
from memviz.trace.remote.replica import State

SCHEMES = {"memviz": False, "memvizs": True}
"""Schemes of an address, and whether they mean TLS."""

DEFAULT_PORT = 8321
TIMEOUT = 15.0
"""Seconds that a request may take."""

TOKEN_ENVIRONMENT = "MEMVIZ_TOKEN"
"""Where the token is taken from when it is not given."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a run is sent: `memviz://host:port/run`, or `memvizs://` through TLS."""

    host: str
    port: int
    run: str
    tls: bool = False

    @classmethod
    def parse(cls, url: str) -> Address:
        """The address in a URL.

        Raises:
            RemoteError: it is none.
        """
        try:
            parts = urlsplit(url)
            port = parts.port or DEFAULT_PORT
        except ValueError as error:
            raise RemoteError(f"{url!r:.200} is no address ({error}); expected memviz://host:port/run") from None
        run = unquote(parts.path.strip("/"))
        if parts.scheme not in SCHEMES or not parts.hostname or not run or "/" in run:
            raise RemoteError(f"{url!r:.200} is no address of a run; expected memviz://host:port/run")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise RemoteError(
                "an address has a host, a port and a run only; give the token as token=, or in MEMVIZ_TOKEN"
            )
        return cls(parts.hostname, port, run, SCHEMES[parts.scheme])

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"memviz{'s' if self.tls else ''}://{host}:{self.port}/{quote(self.run)}"


class Link:
    """One connection, kept alive between requests; used by one thread.

    Every request raises RemoteError when the server cannot be reached or fails, and RemoteRefused when it answers that
    it will not take this.
    """

    def __init__(self, address: Address, session: str, token: str | None) -> None:
        self.address = address
        self._session = session
        self._token = token or os.environ.get(TOKEN_ENVIRONMENT) or ""
        self._connection: http.client.HTTPConnection | None = None
        self.trace = ""

    def open(self, header: Mapping[str, Any]) -> State:
        """Begin or go on; `trace` then is the name that the run has on the server."""
        answer = self._request(
            "POST", "open", json.dumps({"session": self._session, "run": self.address.run, "header": header}).encode()
        )
        self.trace = str(answer.get("trace", self.address.run))
        return self._state(answer)

    def state(self) -> State:
        """What the server has; asking says that this end is alive."""
        return self._state(self._request("POST", f"{self._session}/state"))

    def put_header(self, header: Mapping[str, Any]) -> State:
        """Send trace.json."""
        return self._state(self._request("PUT", f"{self._session}/header", json.dumps(header).encode()))

    def put_record(self, record: int, data: bytes) -> State:
        """Send a live file."""
        return self._state(self._request("PUT", f"{self._session}/records/{record}", data))

    def put_lines(self, kind: str, offset: int, data: bytes) -> State:
        """Send lines that begin at byte `offset` of their file."""
        return self._state(self._request("PUT", f"{self._session}/lines/{kind}/{offset}", data))

    def finish(self) -> None:
        """Say that nothing more comes."""
        self._request("POST", f"{self._session}/close")

    def close(self) -> None:
        """Drop the connection; the next request makes a new one."""
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.close()
            self._connection = None

    def _state(self, answer: Mapping[str, Any]) -> State:
        try:
            return State.from_json(dict(answer["state"]))
        except (KeyError, TypeError, ValueError):
            raise RemoteError(f"{self.address} answers something else than a memviz server") from None

    def _request(self, method: str, what: str, body: bytes = b"") -> dict[str, Any]:
        try:
            if self._connection is None:
                self._connection = self._connect()
            headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/octet-stream"}
            self._connection.request(method, f"/api/v1/push/{what}", body, headers)
            response = self._connection.getresponse()
            data = response.read(2**20)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise RemoteError(f"{self.address} cannot be reached: {type(error).__name__}: {error}") from None
        if response.getheader("Connection", "").lower() == "close":
            self.close()
        try:
            answer = json.loads(data)
        except ValueError:
            answer = None
        if response.status == 200 and isinstance(answer, dict):
            return answer
        if response.status == 409 and isinstance(answer, dict) and "state" in answer:
            return answer  # out of place: the state says what should come
        said = answer.get("error") if isinstance(answer, dict) else None
        text = f"status {response.status}"
        if isinstance(said, dict):
            text = "; ".join(str(said[part]) for part in ("what", "expected", "remedy") if part in said)
        if 400 <= response.status < 500 and response.status not in (408, 423, 425, 429):
            raise RemoteRefused(f"{self.address} refuses: {text}", response.status)
        raise RemoteError(f"{self.address} failed: {text}")

    def _connect(self) -> http.client.HTTPConnection:
        if self.address.tls:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(self.address.host, self.address.port, timeout=TIMEOUT, context=context)
        return http.client.HTTPConnection(self.address.host, self.address.port, timeout=TIMEOUT)
