"""Arcs of the strongest links against the link matrix itself."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

import memviz

RECORD = "/api/v1/runs/copy/records/4/"


def test_arcs_are_the_strongest_links(served):
    link = memviz.open(served.root / "copy")[4]["link_matrix"][14, 0, 0]
    said = served.client.json(RECORD + "arcs?time=14")
    assert said["arcs"]
    for arc in said["arcs"]:
        assert abs(arc["weight"] - link[arc["to"], arc["from"]]) < 1e-5
    assert len(said["arcs"]) == min(64, int((link >= 0.05).sum()))
    order = said["order"]
    assert sorted(order) == list(range(len(link)))
    written = [said["last_write"][slot] for slot in order[: said["written"]]]
    assert written == sorted(written)
    steps = np.array([link[b, a] for a, b in pairwise(order[: said["written"]])])
    assert said["sentence"].startswith(f"{int((steps >= 0.5).sum())} of {len(steps)} steps")
    assert said["followed"].startswith("Forward step of read head 0")


def test_before_anything_was_linked(served):
    assert served.client.json(RECORD + "arcs?time=0")["sentence"].startswith(("Only slot", "Nothing"))


def test_a_memory_without_links_says_so(served):
    assert "no link matrix" in served.client.error(RECORD + "arcs?time=3&memory=model", 404)["what"]
