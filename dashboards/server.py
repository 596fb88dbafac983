"""`memviz serve`: bind, serve with waitress, say where, and stop cleanly."""

from __future__ import annotations

import errno
import os
import socket
import threading
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any
from urllib.parse import urlencode

from waitress import wasyncore
from waitress.server import BaseWSGIServer, create_server

from memviz.dashboards.app import close_app, create_app
from memviz.dashboards.guard import make_guard
from memviz.dashboards.listen import Listener, into
from memviz.dashboards.room import return_what_is_freed
from memviz.dashboards.source import Source
from memviz.errors import ServerError

THREADS = 8
"""Threads that answer requests; a page polls while a frame is being made."""

PORTS_TRIED = 20
"""Ports above the wanted one that are looked at to suggest a free one."""


class ServerHandle:
    """A server that listens; also a context manager that closes it.

    Attributes:
        url: the address to open, with the token when one is needed and the place to start.
        host: the address it listens on.
        port: the port it listens on.
        source: the traces it serves.
        push: the address and token for recorders on other machines, when it listens for them.
    """

    def __init__(
        self,
        url: str,
        host: str,
        port: int,
        source: Source,
        server: BaseWSGIServer,
        listener: Listener | None = None,
        push: tuple[str, str] | None = None,
        ending: Callable[[], None] = lambda: None,
    ) -> None:
        self.url = url
        self.host = host
        self.port = port
        self.source = source
        self.push = push
        self._server = server
        self._listener = listener
        self._ending = ending
        self._stop = threading.Event()
        self._down = threading.Lock()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> ServerHandle:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def run(self) -> None:
        """Serve in this thread until `close`, or until KeyboardInterrupt, which is let through."""
        try:
            # Waitress' own loop ends only with an interrupt, and leaves connections open that are kept alive.
            while not self._stop.is_set():
                wasyncore.loop(timeout=1.0, use_poll=True, map=self._server._map, count=1)
        finally:
            self._stop.set()
            self._shut()

    def run_in_background(self) -> None:
        """Serve in a thread of its own until `close`."""
        self._thread = threading.Thread(target=self.run, name="memviz-server", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Finish the requests at hand, close all connections and free the port; safe to call twice."""
        self._stop.set()
        if self._thread is None:
            self._shut()
        elif self._thread.is_alive():
            self._server.pull_trigger()
            self._thread.join(timeout=10)

    def _shut(self) -> None:
        with self._down:
            self._server.task_dispatcher.shutdown()
            wasyncore.close_all(self._server._map, ignore_all=True)
            if self._listener is not None:
                self._listener.close()
            self._ending()


def start_server(
    paths: Sequence[str | os.PathLike[str]],
    *,
    host: str = "127.0.0.1",
    port: int = 8321,
    allowed_hosts: Sequence[str] = (),
    token: str | None = None,
    start: str | None = None,
    background: bool = True,
    listen: bool = False,
    settings: Mapping[str, Any] | None = None,
    framed: bool = False,
) -> ServerHandle:
    """Start a server in a background thread, unless told otherwise.

    Args:
        paths: traces or directories of traces.
        host: address to listen on.
        port: port to listen on; 0 for any free one.
        allowed_hosts: further host names by which browsers may call it.
        token: token to ask for; made up when the address is not loopback.
        start: location hash to open first, such as "#/run/copy?play=1".
        background: serve in a thread of its own; otherwise call `run` on the result.
        listen: take traces that recorders on other machines send, into the first of `paths`.
        settings: for pages, by name in upper case, such as MEMVIZ_MODELS for the Playground.
        framed: let pages on this machine show the page in a frame, as a notebook does.

    Raises:
        ServerError: the address or port cannot be had.
    """
    listener = Listener(into(paths)) if listen else None
    door = _listen(host, port)
    bound = door.getsockname()[1]
    guard = replace(make_guard(host, allowed_hosts, token, listen=listen), framed=framed)
    source = Source(paths)
    app = create_app(source, guard, settings)
    push = None
    if listener is not None and guard.push is not None:
        app.server.register_blueprint(listener.blueprint())
        push = f"memviz://{_name(host)}:{bound}/RUN", guard.push
    server = create_server(app.server, sockets=[door], threads=THREADS, ident=None, clear_untrusted_proxy_headers=True)
    url, ending = _url(host, bound, guard.token, start), lambda: close_app(app)
    handle = ServerHandle(url, host, bound, source, server, listener, push, ending)
    if background:
        handle.run_in_background()
    return handle


def serve(
    paths: Sequence[str | os.PathLike[str]],
    *,
    host: str = "127.0.0.1",
    port: int = 8321,
    open_browser: bool = False,
    allowed_hosts: Sequence[str] = (),
    token: str | None = None,
    start: str | None = None,
    on_ready: Callable[[str], None] | None = None,
    listen: bool = False,
    on_listen: Callable[[str, str], None] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Serve traces until interrupted (Ctrl-C returns).

    Args:
        paths: traces or directories of traces, which may not exist yet.
        host: address to listen on; anything but loopback asks for a token.
        port: port to listen on; 0 for any free one.
        open_browser: open the address in the user's browser.
        allowed_hosts: further host names by which browsers may call it, such as that of a proxy.
        token: token to ask for; made up when the address is not loopback.
        start: location hash to open first, such as "#/run/copy?play=1".
        on_ready: called with the address as soon as it answers.
        listen: take traces that recorders on other machines send, into the first of `paths`.
        on_listen: called with the address to send to and the token.
        settings: for pages, as for `start_server`.

    Raises:
        ServerError: the address or port cannot be had.
    """
    handle = start_server(
        paths,
        host=host,
        port=port,
        allowed_hosts=allowed_hosts,
        token=token,
        start=start,
        background=False,
        listen=listen,
        settings=settings,
    )
    return_what_is_freed()
    try:
        if on_listen is not None and handle.push is not None:
            on_listen(*handle.push)
        if on_ready is not None:
            on_ready(handle.url)
        if open_browser:
            webbrowser.open(handle.url)
        handle.run()
    except KeyboardInterrupt:
        pass
    finally:
        handle.close()


def _listen(host: str, port: int) -> socket.socket:
    """A bound socket, so that the port is known, and taken, before anything is printed."""
    if not 0 <= port <= 65535:
        raise ServerError(f"port {port} does not exist; choose one from 1 to 65535, or 0 for any free one")
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise ServerError(f"{host!r} is no address of this machine ({error}); use --host 127.0.0.1") from None
    listener = socket.socket(family, kind, proto)
    if os.name == "posix":
        # A port of a server that has just ended is free for use; a port that is listened on is not.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise _cannot_listen(host, port, error) from None
    return listener


def _cannot_listen(host: str, port: int, error: OSError) -> ServerError:
    if error.errno == errno.EADDRINUSE:
        free = _free_port_above(host, port)
        hint = f"--port {free}" if free else "--port 0 for any free one"
        return ServerError(f"port {port} on {host} is in use; stop what listens there, or use {hint}")
    if error.errno == errno.EACCES:
        return ServerError(f"port {port} is reserved for the system; use a port from 1024 up, such as --port 8321")
    return ServerError(f"cannot listen on {host}, port {port}: {error}; use --host 127.0.0.1")


def _free_port_above(host: str, port: int) -> int | None:
    for candidate in range(port + 1, min(port + 1 + PORTS_TRIED, 65536)):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind((host.strip("[]"), candidate))
            except OSError:
                continue
            return candidate
    return None


def _name(host: str) -> str:
    """The host as it stands in an address that others can use."""
    name = host.strip("[]")
    if name in ("0.0.0.0", "::", ""):
        return socket.gethostname()
    return f"[{name}]" if ":" in name else name


def _url(host: str, port: int, token: str | None, start: str | None) -> str:
    query = f"?{urlencode({'token': token})}" if token else ""
    return f"http://{_name(host)}:{port}/{query}{start or ''}"
