from __future__ import annotations

import socket

import pytest

from memviz.errors import RemoteError
from memviz.trace.remote.link import Address, Link


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("memviz://host:9000/copy", Address("host", 9000, "copy")),
        ("memviz://host/copy", Address("host", 8321, "copy")),
        ("memvizs://[::1]:1/a%20b/", Address("::1", 1, "a b", tls=True)),
    ],
)
def test_an_address_is_parsed_and_printed(url, address):
    assert Address.parse(url) == address
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize(
    "url", ["http://host/copy", "memviz://host", "memviz:///copy", "memviz://host:x/copy", "memviz://host/a/b"]
)
def test_what_is_no_address_says_what_is(url):
    with pytest.raises(RemoteError, match="expected memviz://host:port/run"):
        Address.parse(url)


def test_a_token_does_not_belong_in_an_address():
    with pytest.raises(RemoteError, match="MEMVIZ_TOKEN"):
        Address.parse("memviz://token@host/copy")


def test_a_server_that_is_not_there_is_one_error():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        link = Link(Address("127.0.0.1", taken.getsockname()[1], "copy"), "0" * 32, "token")
        with pytest.raises(RemoteError, match="cannot be reached: ConnectionRefusedError"):
            link.open({})
