"""The server in front of a real socket: ports, addresses, background threads, Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import urllib.error
import urllib.request

import pytest

from memviz.dashboards.server import serve, start_server
from memviz.errors import ServerError
from memviz.testing.synthetic import write_dnc_run


def fetch(url, timeout=10):
    with urllib.request.urlopen(url, timeout=timeout) as answer:
        return answer.status, answer.read()


def threads():
    return {thread.name for thread in threading.enumerate() if "waitress" in thread.name or "memviz" in thread.name}


def test_a_server_in_the_background_answers_and_closes(tmp_path):
    write_dnc_run(tmp_path / "copy", steps=1)
    with start_server([tmp_path], port=0) as handle:
        assert handle.url == f"http://127.0.0.1:{handle.port}/"
        assert json.loads(fetch(f"{handle.url}healthz")[1])["runs"] == 1
    with pytest.raises(urllib.error.URLError):
        fetch(f"{handle.url}healthz", timeout=2)
    assert not threads()
    handle.close()


def test_a_connection_that_is_kept_alive_ends_with_the_server(tmp_path):
    handle = start_server([tmp_path], port=0)
    with socket.create_connection(("127.0.0.1", handle.port), timeout=10) as held:
        held.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = b""
        while not answer.endswith(b"}"):
            answer += held.recv(65536)
        handle.close()
        assert held.recv(65536) == b""


def test_the_port_is_free_again_at_once(tmp_path):
    first = start_server([tmp_path], port=0)
    fetch(f"{first.url}healthz")
    first.close()
    with start_server([tmp_path], port=first.port) as second:
        assert fetch(f"{second.url}healthz")[0] == 200


def test_a_port_in_use_is_an_error_that_offers_another(tmp_path):
    with start_server([tmp_path], port=0) as handle:
        with pytest.raises(ServerError, match=f"port {handle.port} on 127.0.0.1 is in use.*--port") as caught:
            start_server([tmp_path], port=handle.port)
        offered = int(str(caught.value).rsplit("--port ", 1)[1])
        with start_server([tmp_path], port=offered) as other:
            assert other.port == offered


@pytest.mark.parametrize("port", [-1, 65536, 700_000])
def test_a_port_that_does_not_exist(tmp_path, port):
    with pytest.raises(ServerError, match="does not exist"):
        start_server([tmp_path], port=port)


@pytest.mark.parametrize("host", ["203.0.113.7", "not a name"])
def test_an_address_of_another_machine(tmp_path, host):
    with pytest.raises(ServerError, match=r"--host 127\.0\.0\.1"):
        start_server([tmp_path], host=host, port=0)


def test_beyond_loopback_the_address_carries_a_token(tmp_path):
    with start_server([tmp_path], host="0.0.0.0", port=0, start="#/run/copy") as handle:
        assert "/?token=" in handle.url
        assert handle.url.endswith("#/run/copy")
        with pytest.raises(urllib.error.HTTPError) as refused:
            fetch(f"http://127.0.0.1:{handle.port}/healthz")
        refused.value.close()
        assert refused.value.code == 403


def test_ipv6_loopback(tmp_path):
    try:
        handle = start_server([tmp_path], host="::1", port=0)
    except ServerError:
        with pytest.raises(OSError), socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return
    with handle:
        assert handle.url == f"http://[::1]:{handle.port}/"
        assert fetch(f"{handle.url}healthz")[0] == 200


def test_serve_says_where_and_opens_the_browser(tmp_path, monkeypatch):
    opened, ready = [], []
    monkeypatch.setattr("webbrowser.open", opened.append)

    def stop(url):
        ready.append(url)
        threading.Timer(0.2, signal.raise_signal, [signal.SIGINT]).start()

    serve([tmp_path], port=0, open_browser=True, start="#/runs", on_ready=stop)
    assert opened == ready
    assert ready[0].endswith("/#/runs")
    assert not threads()


def test_ctrl_c_ends_a_process_quietly(tmp_path):
    script = textwrap.dedent("""
        import sys
        from memviz.dashboards.server import serve
        serve(sys.argv[1:], port=0, on_ready=lambda url: print(url, flush=True))
        print("ended", flush=True)
    """)
    process = subprocess.Popen(
        [sys.executable, "-c", script, os.fspath(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    url = process.stdout.readline().strip()
    assert fetch(f"{url}healthz")[0] == 200
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (out, err, process.returncode) == ("ended\n", "", 0)


def test_many_requests_at_once(tmp_path):
    run = write_dnc_run(tmp_path / "copy", steps=3)
    failures = []
    with start_server([run.path], port=0) as handle:

        def ask(index):
            try:
                for _ in range(5):
                    assert fetch(f"{handle.url}api/v1/runs/copy/records/{index % 3}/frame")[1][:4] == b"MVF1"
                    assert fetch(f"{handle.url}api/v1/runs")[0] == 200
            except Exception as error:
                failures.append(error)

        workers = [threading.Thread(target=ask, args=(index,)) for index in range(12)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert not failures
