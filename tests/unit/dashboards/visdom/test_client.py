"""The connection to a server: addresses, logins, time limits, and what it says when something is wrong."""

from __future__ import annotations

import hashlib
import http.server
import json
import socket
import threading

import pytest

from memviz.dashboards.visdom.client import Address, Client, VisdomAddressError, VisdomUnavailable
from memviz.dashboards.visdom.panes import Pane
from memviz.errors import MemvizError

PANE = Pane("memviz:x", "x", [{"type": "text", "content": "x"}])


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers as Visdom does; what it was sent is in `server.seen`, what it does is in `server.mood`."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append((self.path, body, self.headers.get("Cookie")))
        status, text, headers = self.server.mood(self.path, body, self.headers)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


def visdom(path, body, headers):
    return 200, body.get("win") or "", {}


@pytest.fixture
def server():
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.daemon_threads = True
    running.seen, running.mood = [], visdom
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


@pytest.fixture
def client(server):
    made = Client(Address("http", "127.0.0.1", server.server_address[1]), timeout=2)
    yield made
    made.disconnect()


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://localhost:8097", "http://localhost:8097"),
        ("localhost", "http://localhost:8097"),
        ("localhost:9000", "http://localhost:9000"),
        ("https://host.example/visdom/", "https://host.example:443/visdom"),
        ("http://[::1]:8097", "http://[::1]:8097"),
    ],
)
def test_addresses(text, url):
    address = Address.parse(text)
    assert address.url == url
    assert Address.parse(address.url) == address
    assert address.socket_url == url.replace("http", "ws", 1) + "/vis_socket"


@pytest.mark.parametrize(
    "text", ["", "ftp://host", "http://", "http://host:x", "http://host:99999", "http://host/?q=1"]
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(VisdomAddressError, match="http://localhost:8097"):
        Address.parse(text)


def test_a_password_in_an_address_is_refused_without_repeating_it():
    with pytest.raises(VisdomAddressError, match="MEMVIZ_VISDOM_PASSWORD") as caught:
        Address.parse("http://me:secret@host")
    assert "secret" not in str(caught.value)


def test_a_pane_is_posted_as_the_package_would(server, client):
    client.draw("copy", PANE)
    client.draw("copy", PANE)
    path, body, _ = server.seen[0]
    assert path == "/events"
    assert body == {
        "data": [{"type": "text", "content": "x"}],
        "layout": {},
        "win": "memviz:x",
        "eid": "copy",
        "opts": {"title": "x", "width": 366, "height": 272},
    }


def test_a_base_path_is_kept(server):
    client = Client(Address("http", "127.0.0.1", server.server_address[1], "/visdom"))
    client.draw("copy", PANE)
    client.disconnect()
    assert server.seen[0][0] == "/visdom/events"


def test_another_server_at_that_address_is_not_taken_for_visdom(server, client):
    server.mood = lambda *_: (200, "<html>hello</html>", {})
    with pytest.raises(VisdomUnavailable, match="not as Visdom does"):
        client.draw("copy", PANE)
    server.mood = lambda *_: (404, "", {})
    with pytest.raises(VisdomUnavailable, match="answers 404"):
        client.draw("copy", PANE)


def test_a_server_that_is_not_there_is_said_with_what_to_do():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    client = Client(Address("http", "127.0.0.1", port))
    with pytest.raises(VisdomUnavailable, match=r"visdom\.server -bind_local.*PIP_BUILD_CONSTRAINT.*memviz\[visdom\]"):
        client.draw("copy", PANE)
    assert issubclass(VisdomUnavailable, MemvizError)


def test_a_server_that_accepts_and_is_silent_is_given_up():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        client = Client(Address("http", "127.0.0.1", silent.getsockname()[1]), timeout=0.2)
        with pytest.raises(VisdomUnavailable, match="does not answer them"):
            client.draw("copy", PANE)


def test_a_connection_that_was_closed_meanwhile_is_made_again(server, client):
    server.mood = lambda path, body, headers: (200, body["win"], {"Connection": "close"})
    client.draw("copy", PANE)
    client.draw("copy", PANE)
    assert len(server.seen) == 2


def guarded(path, body, headers):
    if path == "/":
        hashed = hashlib.sha256(b"secret").hexdigest()
        right = body == {"username": "me", "password": hashed}
        return (200, "", {"Set-Cookie": "user_password=cookie; Path=/"}) if right else (400, "", {})
    if headers.get("Cookie") != "user_password=cookie":
        return 400, "", {}
    return visdom(path, body, headers)


def test_a_login_is_made_when_asked_for_and_kept(server, monkeypatch):
    server.mood = guarded
    monkeypatch.setenv("MEMVIZ_VISDOM_USER", "me")
    monkeypatch.setenv("MEMVIZ_VISDOM_PASSWORD", "secret")
    client = Client(Address("http", "127.0.0.1", server.server_address[1]))
    client.draw("copy", PANE)
    client.draw("copy", PANE)
    client.disconnect()
    assert [path for path, _, _ in server.seen] == ["/events", "/", "/events", "/events"]


@pytest.mark.parametrize(
    ("user", "match"), [(None, "asks for a login: set MEMVIZ_VISDOM_USER"), ("me", "refuses user 'me'")]
)
def test_a_missing_or_wrong_login_is_said(server, monkeypatch, user, match):
    server.mood = guarded
    monkeypatch.delenv("MEMVIZ_VISDOM_USER", raising=False)
    client = Client(Address("http", "127.0.0.1", server.server_address[1]), user=user, password="wrong")
    with pytest.raises(VisdomUnavailable, match=match):
        client.draw("copy", PANE)
    client.disconnect()
