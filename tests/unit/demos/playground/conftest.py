"""Checkpoints of small networks that learned nothing, and a worker in this process in the place of another."""

from __future__ import annotations

import json

import pytest
import torch
from flask import Flask

from memviz.demos.building import make_model, make_task
from memviz.demos.checkpointing import Checkpoint, save_checkpoint
from memviz.demos.plan import Plan
from memviz.demos.playground.answering import Refusal, Shelf
from memviz.demos.playground.catalogue import Catalogue
from memviz.demos.playground.routes import Service, blueprint


def write_network(path, *, results=None, tasks="1", task_options=None, seed=0, **options):
    """Write the checkpoint of a network as it is before training."""
    options = {"hops": 2, "dim": 4, "word_size": 5, **options}
    plan = Plan("babi", {"tasks": tasks, **(task_options or {})}, model="dmn", model_options=options)
    torch.manual_seed(seed)
    model = make_model(plan, make_task(plan))
    return save_checkpoint(Checkpoint(plan, 300, model.state_dict(), results=results or {}), path)


class Here:
    """Answers in this process what the worker would answer in its own."""

    def __init__(self):
        self.shelf = Shelf()
        self.asked = []

    def ask(self, message):
        self.asked.append(message)
        message = json.loads(json.dumps(message))
        try:
            return json.loads(json.dumps({"answer": self.shelf.answer(message)}))
        except Refusal as refusal:
            return {"status": refusal.status, "error": refusal.error}


@pytest.fixture(scope="session")
def networks(tmp_path_factory):
    """A folder of checkpoints; nothing changes it."""
    folder = tmp_path_factory.mktemp("networks")
    write_network(folder / "plus-1", variant="plus", results={"accuracy": {"1": 87.5}})
    write_network(folder / "smooth-words", mask="word")
    write_network(folder / "batch-soft", variant="batch", episode="soft", tasks="1,6")
    return folder


@pytest.fixture
def make_client():
    """Make a client of the routes over some folders."""

    def make(*folders, worker=None, bounds=None):
        server = Flask("playground")
        service = Service(Catalogue(folders), worker or Here(), bounds)
        server.register_blueprint(blueprint(service))
        client = server.test_client()
        client.service = service
        return client

    return make


@pytest.fixture
def client(networks, make_client):
    return make_client(networks)


@pytest.fixture
def write():
    return write_network
