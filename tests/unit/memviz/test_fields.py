from __future__ import annotations

import pytest

from memviz.fields import CATALOGUE, GENERATORS, bare_name, lookup, memory_of

DESIGN = {
    "read_weights": "time batch read_head slot",
    "write_weights": "time batch write_head slot",
    "usage": "time batch slot",
    "link_matrix": "time batch write_head slot_to slot_from",
    "memory": "time batch slot word",
    "episodic_attention": "time batch fact",
    "attention": "time batch head query key",
}


@pytest.mark.parametrize(("name", "axes"), DESIGN.items())
def test_canonical_axes(name, axes):
    assert CATALOGUE[name].axes == tuple(axes.split())


@pytest.mark.parametrize("field", CATALOGUE.values(), ids=lambda field: field.name)
def test_every_field_is_consistent(field):
    assert field.axes[:2] == ("time", "batch")
    assert len(set(field.axes)) == len(field.axes)
    assert field.simplex is None or field.simplex in field.axes
    if field.kind in {"weight", "gate", "mode"}:
        assert (field.low, field.high) == (0.0, 1.0)
    assert field.meaning
    assert field.symbol


def test_generators_are_fields():
    assert set(GENERATORS) <= set(CATALOGUE)


@pytest.mark.parametrize(
    ("full", "memory", "bare"),
    [
        ("layer0/read_weights", "layer0", "read_weights"),
        ("encoder.layers.0/attention", "encoder.layers.0", "attention"),
        ("memory/grad/usage", "memory", "grad/usage"),
        ("memory/initial/memory", "memory", "initial/memory"),
        ("memory/memory", "memory", "memory"),
    ],
)
def test_a_full_name_splits_into_memory_and_field(full, memory, bare):
    assert (memory_of(full), bare_name(full)) == (memory, bare)


def test_lookup_of_a_gradient_keeps_the_axes_and_is_signed():
    found = lookup("grad/read_weights")
    assert found.axes == CATALOGUE["read_weights"].axes
    assert (found.kind, found.low, found.high) == ("signed", None, None)


def test_lookup_of_a_keyframe_drops_time():
    assert lookup("final/memory").axes == ("batch", "slot", "word")
    assert lookup("initial/usage").high == 1.0


@pytest.mark.parametrize("name", ["surprise", "grad/surprise", "initial/surprise"])
def test_lookup_of_an_unknown_name_is_none(name):
    assert lookup(name) is None
