"""Hostile requests: each of them is one that a web page, a rebound name or a neighbour on the network could make."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from dash import Dash, Input, Output, html
from flask import Flask

from memviz.dashboards.app import create_app
from memviz.dashboards.guard import TOKEN_COOKIE, Guard, host_name, install, is_loopback, make_guard
from memviz.dashboards.source import Source
from memviz.testing.synthetic import write_dnc_run

PATHS = ["/", "/healthz", "/api/v1/runs", "/api/v1/runs/copy/records/0/frame", "/_dash-layout", "/assets/shell.js"]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    write_dnc_run(root / "copy", steps=1)
    return Source([root])


def client_of(source, **options):
    guard = make_guard(options.pop("host", "127.0.0.1"), **options)
    return create_app(source, guard).server.test_client(), guard


@pytest.fixture(scope="module")
def local(source):
    return client_of(source)[0]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "host", ["127.0.0.1:8321", "localhost:9999", "LOCALHOST", "[::1]:8321", "127.8.9.1", "a.localhost:1"]
)
def test_this_machine_is_served_by_any_of_its_names_and_ports(local, path, host):
    # ssh -L and editors forward other ports.
    assert local.get(path, headers={"Host": host}, buffered=True).status_code == 200


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8321",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "localhost@evil.example",
        "evil.example#localhost",
        "evil.example/localhost",
        "192.168.1.7:8321",
        "0.0.0.0:8321",
        "localhost:port",
        "localhost, evil.example",
        "[::1",
        "",
    ],
)
def test_a_rebound_name_is_refused(local, path, host):
    answer = local.get(path, headers={"Host": host})
    assert answer.status_code in (400, 403)
    assert b"SyntheticDNC" not in answer.data


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://localhost:9999"},
        {"Origin": "http://127.0.0.1:8321"},
        {"Origin": "null"},
        {"Origin": "http://localhost:8321.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
        {"Sec-Fetch-Site": "anything"},
    ],
)
def test_another_site_is_refused(local, path, headers):
    answer = local.get(path, headers={"Host": "localhost:8321", **headers})
    assert answer.status_code == 403
    assert answer.json["error"]["remedy"]


def test_a_link_from_elsewhere_opens_the_page_and_nothing_else(local):
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert local.get("/", headers=followed).status_code == 200
    for path in PATHS[1:]:
        assert local.get(path, headers=followed).status_code == 403


@pytest.mark.parametrize("origin", ["http://localhost:8321", "http://LOCALHOST:8321"])
def test_the_page_itself_is_served(local, origin):
    headers = {"Host": "localhost:8321", "Origin": origin, "Sec-Fetch-Site": "same-origin"}
    assert local.get("/api/v1/runs", headers=headers).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", PATHS)
def test_nothing_can_be_written(local, method, path):
    answer = local.open(path, method=method, json={"x": 1})
    assert answer.status_code == 405
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_head_is_a_get_without_its_body(local):
    answer = local.head("/api/v1/runs")
    assert (answer.status_code, answer.data) == (200, b"")


def callback_app(guard):
    app = Dash("callbacks", add_log_handler=False, enable_mcp=False)
    app.layout = html.Div([html.Button(id="in"), html.Div(id="out")])
    app.callback(Output("out", "children"), Input("in", "n_clicks"))(lambda clicks: f"{clicks} clicks")
    install(app.server, guard)
    return app.server.test_client()


BODY = {
    "output": "out.children",
    "outputs": {"id": "out", "property": "children"},
    "inputs": [{"id": "in", "property": "n_clicks", "value": 3}],
    "changedPropIds": ["in.n_clicks"],
}


def test_dashs_own_callbacks_work_and_only_from_the_page():
    client = callback_app(Guard())
    answer = client.post("/_dash-update-component", json=BODY, headers={"Origin": "http://localhost"})
    assert answer.status_code == 200, answer.text
    assert answer.json["response"]["out"]["children"] == "3 clicks"
    for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "evil.example"}):
        assert client.post("/_dash-update-component", json=BODY, headers=headers).status_code == 403


def test_a_form_of_another_site_cannot_post_a_callback():
    # A form sends text/plain without asking, in browsers too old to say where it comes from.
    answer = callback_app(Guard()).post("/_dash-update-component", data=b"{}", content_type="text/plain")
    assert answer.status_code == 405


FRAME = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}


def test_a_frame_is_refused_unless_pages_of_this_machine_may_have_one(source):
    guard = replace(make_guard("127.0.0.1"), framed=True)
    framed = create_app(source, guard).server.test_client()
    plain = client_of(source)[0]
    host = {"Host": "localhost:8321"}
    assert plain.get("/", headers={**host, **FRAME}).status_code == 403
    answer = framed.get("/", headers={**host, **FRAME})
    assert answer.status_code == 200
    assert "X-Frame-Options" not in answer.headers
    ancestors = re.search(r"frame-ancestors ([^;]*)", answer.headers["Content-Security-Policy"])[1].split()
    assert all(re.fullmatch(r"https?://(localhost|127\.0\.0\.1):\*", one) for one in ancestors)
    # Only the page itself, and only to look at.
    assert framed.get("/api/v1/runs", headers={**host, **FRAME}).status_code == 403
    assert framed.get("/", headers={**host, **FRAME, "Sec-Fetch-Mode": "no-cors"}).status_code == 403
    assert framed.get("/", headers={"Host": "evil.example", **FRAME}).status_code == 403


@pytest.mark.parametrize("path", [*PATHS, "/api/v1/runs/none", "/api/v1/nonsense"])
def test_every_answer_carries_the_headers(local, path):
    headers = local.get(path, buffered=True).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["frame-ancestors"] == policy["object-src"] == "'none'"
    assert "unsafe" not in policy["script-src"]
    assert not re.search(r"https?:|\*", headers["Content-Security-Policy"])
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Frame-Options"] == "DENY"
    assert "Access-Control-Allow-Origin" not in headers


def test_refusals_carry_the_headers_too(local):
    answer = local.get("/", headers={"Host": "evil.example"})
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"


def test_loopback_needs_no_token_and_any_other_address_does(source):
    assert client_of(source)[1].token is None
    assert client_of(source, host="::1")[1].token is None
    tokens = {client_of(source, host=host)[1].token for host in ("0.0.0.0", "::", "10.0.0.5", "box.example")}
    assert None not in tokens
    assert len(tokens) == 4, "each server makes up its own"
    assert min(map(len, tokens)) >= 32


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("token", [None, "", "wrong", "s3cret ", "S3CRET", "s3cre", "s3cret\u00e9"])
def test_without_the_token_nothing_is_served(source, path, token):
    client, _ = client_of(source, host="0.0.0.0", token="s3cret")
    answer = client.get(path, query_string={} if token is None else {"token": token})
    assert answer.status_code == 403
    assert "s3cret" not in answer.text
    client.set_cookie(TOKEN_COOKIE, token or "wrong")
    assert client.get(path).status_code == 403


def test_the_token_becomes_a_cookie_and_leaves_the_address(source):
    client, guard = client_of(source, host="0.0.0.0")
    answer = client.get("/", query_string={"token": guard.token, "x": "1 2"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/?x=1+2")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    for path in PATHS:
        assert client.get(path, buffered=True).status_code == 200


@pytest.mark.parametrize("token", ["//evil.example", "https://evil.example"])
def test_the_token_redirect_leads_nowhere_else(source, token):
    client, guard = client_of(source, host="0.0.0.0")
    answer = client.get(f"//evil.example/{token}", query_string={"token": guard.token})
    assert not (answer.headers.get("Location") or "/").startswith(("//", "http"))


def test_a_token_can_be_asked_for_on_loopback_too(source):
    client, _ = client_of(source, token="s3cret")
    assert client.get("/").status_code == 403
    assert client.get("/?token=s3cret").status_code == 303


def test_named_hosts_are_served_and_addresses_only_when_all_are_listened_on(source):
    client, guard = client_of(source, host="0.0.0.0", allowed_hosts=["Proxy.Example:443"])
    client.set_cookie(TOKEN_COOKIE, guard.token)
    client.set_cookie(TOKEN_COOKIE, guard.token, domain="proxy.example")
    client.set_cookie(TOKEN_COOKIE, guard.token, domain="192.168.1.7")
    assert client.get("/healthz", headers={"Host": "proxy.example"}).status_code == 200
    assert client.get("/healthz", headers={"Host": "192.168.1.7:8321"}).status_code == 200
    assert client.get("/healthz", headers={"Host": "evil.example"}).status_code == 403
    one = make_guard("10.0.0.5")
    assert one.serves("10.0.0.5")
    assert not one.serves("10.0.0.6")


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("localhost", "localhost"),
        ("LocalHost.:80", "localhost"),
        ("[::1]:80", "::1"),
        ("a.b:1", "a.b"),
        ("", None),
        ("a b", None),
        ("a:b", None),
        ("a@b", None),
        ("a\\b", None),
        ("[::1", None),
    ],
)
def test_names_in_host_headers(header, name):
    assert host_name(header) == name


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "127.9.9.9", "::1", "x.localhost"])
def test_what_is_this_machine(name):
    assert is_loopback(name)


@pytest.mark.parametrize("name", ["0.0.0.0", "::", "", "localhost.evil", "10.0.0.1", "1270.0.1"])
def test_what_is_not(name):
    assert not is_loopback(name)


@pytest.fixture
def asking():
    """A server with one route that may be asked by POST, and one that may not."""
    server = Flask("asking")
    for rule in ("/api/v1/things/<name>/_ask", "/api/v1/things/<name>/_other"):
        server.add_url_rule(rule, rule, lambda name: name, methods=["GET", "POST", "PUT"])
    install(server, Guard(posts=frozenset(["/api/v1/things/<name>/_ask"])))
    return server.test_client()


def test_a_declared_route_may_be_asked_by_post_and_no_other(asking):
    assert asking.post("/api/v1/things/a/_ask", json={}).status_code == 200
    assert asking.post("/api/v1/things/a/_ask", json={}, headers={"Origin": "http://localhost"}).status_code == 200
    for path in ("/api/v1/things/a/_other", "/api/v1/things/a/_ask/", "/api/v1/things//_ask", "/api/v1/things/a/_ASK"):
        assert asking.post(path, json={}).status_code == 405, path
    assert asking.put("/api/v1/things/a/_ask", json={}).status_code == 405


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_a_declared_route_is_guarded_as_all_others(asking, headers, status):
    answer = asking.post("/api/v1/things/a/_ask", json={}, headers=headers)
    assert answer.status_code == status


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None])
def test_what_a_form_can_send_is_refused(asking, kind):
    answer = asking.post("/api/v1/things/a/_ask", data=b"{}", content_type=kind)
    assert answer.status_code == 415
    assert "application/json" in answer.json["error"]["expected"]


def test_a_declared_route_needs_the_token_too():
    server = Flask("asking")
    server.add_url_rule("/ask", "ask", lambda: "asked", methods=["POST"])
    install(server, Guard(frozenset(["localhost"]), token="s3cret", posts=frozenset(["/ask"])))
    client = server.test_client()
    assert client.post("/ask", json={}).status_code == 403
    client.set_cookie(TOKEN_COOKIE, "s3cret")
    assert client.post("/ask", json={}).text == "asked"
