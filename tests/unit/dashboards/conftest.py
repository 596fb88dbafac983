"""Served synthetic traces, and a client that asks the routes without a network."""

from __future__ import annotations

import json
import struct
from types import SimpleNamespace

import numpy as np
import pytest

from memviz.dashboards.app import create_app
from memviz.dashboards.guard import make_guard
from memviz.dashboards.source import Source
from memviz.testing.synthetic import write_dnc_run


class Client:
    """Asks a server as a browser on this machine would."""

    def __init__(self, app):
        self.flask = app.server.test_client()

    def get(self, path, **headers):
        return self.flask.get(path, headers={"Host": "localhost:8321", **headers})

    def json(self, path, status=200):
        answer = self.get(path)
        assert answer.status_code == status, answer.text
        return json.loads(answer.text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))

    def error(self, path, status):
        return self.json(path, status)["error"]

    def tiles(self, path):
        """The header of an envelope and its tiles as arrays of codes by id."""
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        return parse_envelope(answer.data)


def parse_envelope(data):
    """The header of an envelope and its tiles as arrays of codes by id, written from docs/api.md alone."""
    assert data[:4] == b"MVF1"
    (length,) = struct.unpack("<I", data[4:8])
    assert length % 8 == 0
    head, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    codes = {}
    for tile in head["tiles"]:
        array = np.frombuffer(body, np.uint8, tile["rows"] * tile["cols"], tile["offset"])
        codes[tile["id"]] = array.reshape(tile["rows"], tile["cols"])
    assert len(body) == sum(array.size for array in codes.values())
    return head, codes


@pytest.fixture(scope="session")
def parse():
    return parse_envelope


@pytest.fixture(scope="session")
def served(tmp_path_factory):
    """A folder with several runs and a client of a server over it; nothing changes it."""
    root = tmp_path_factory.mktemp("runs")
    runs = {
        "copy": write_dnc_run(root / "copy", steps=5),
        "sweep/copy-s1": write_dnc_run(root / "sweep" / "copy-s1", seed=1, steps=3, batch=2, fields="all"),
        "nan": write_dnc_run(root / "nan", seed=2, steps=4, plant_nan=(2, 6)),
    }
    return SimpleNamespace(root=root, runs=runs, client=client_of(root))


def client_of(*paths):
    """A client of a new server over some paths."""
    return Client(create_app(Source(paths), make_guard("127.0.0.1")))


@pytest.fixture
def new_client():
    return client_of
