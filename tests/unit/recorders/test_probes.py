from __future__ import annotations

import pytest
import torch
from torch import nn

from memviz.errors import RecorderError
from memviz.recorders.capture import Capture, Channel
from memviz.recorders.probes import InputProbe, MethodProbe, OutputProbe, argument_getter
from memviz.recorders.sites import SitePlug, make_sites
from memviz.recorders.steps import Moment


class Store:
    """A memory that is no module."""

    def put(self, place, value=None, *rest, **more):
        return value


class Holder(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 2)
        self.store = Store()

    def forward(self, x, scale=2):
        self.store.put(0, x)
        self.store.put(1, value=x * 10)
        return self.linear(x) * scale


@pytest.fixture
def holder():
    return Holder()


def collect(holder, *probes, run=lambda holder: holder(torch.ones(1, 2))):
    """The values that probes bring in one call."""
    box = []
    triples = [(holder, probe, Channel("m", probe.field, probe.value_axes(), probe.keep)) for probe in probes]
    sites, channels = make_sites(triples, lambda: box[0] if box else None)
    errors = []
    capture = Capture(Moment(0, 0, True), channels, len(sites), (), {}, {}, lambda error, name: errors.append(error))
    box.append(capture)
    plug = SitePlug(sites)
    plug.plug()
    try:
        run(holder)
    finally:
        plug.unplug()
    assert not errors, errors
    return [[value.flatten().tolist() for value in values] for values in capture.values], sites


def test_probes_at_one_place_share_a_site(holder):
    values, sites = collect(
        holder,
        OutputProbe(field="usage", path="linear"),
        OutputProbe(field="mine", path="linear", axes="batch slot"),
        InputProbe(field="other", path="linear", axes="batch slot"),
    )
    assert len(sites) == 2
    assert values[0] == values[1]
    assert values[2] == [[1, 1]]


def test_arguments_are_found_by_name_and_by_position_however_they_are_passed(holder):
    by_name = MethodProbe(field="a", method="put", argument="value", axes="batch slot", of=lambda module: module.store)
    by_place = MethodProbe(field="b", method="put", argument=1, axes="batch slot", of=lambda module: module.store)
    values, _ = collect(holder, by_name, by_place)
    assert values == [[[1, 1], [10, 10]]] * 2


def test_an_argument_that_is_not_passed_brings_nothing(holder):
    values, _ = collect(holder, InputProbe(field="a", argument="scale", axes="batch"))
    assert values == [[]]


def test_turns_tell_calls_apart(holder):
    def put(turn, turns):
        return MethodProbe(
            field=f"{turn}of{turns}", method="put", axes="batch slot", turn=turn, turns=turns, of=lambda m: m.store
        )

    def twice(holder):
        holder(torch.ones(1, 2))
        holder(torch.zeros(1, 2) + 3)

    values, sites = collect(holder, put(0, 2), put(1, 2), put(3, 4), put(0, 1), run=twice)
    assert len(sites) == 1
    assert values[0] == [[1, 1], [3, 3]]
    assert values[1] == [[10, 10], [30, 30]]
    assert values[2] == [[30, 30]]
    assert values[3] == [[1, 1], [10, 10], [3, 3], [30, 30]]


@pytest.mark.parametrize(("keep", "kept"), [("first", [[1, 1]]), ("last", [[10, 10]])])
def test_the_first_or_the_last_value_is_kept(holder, keep, kept):
    probe = MethodProbe(field="a", method="put", axes="batch slot", keep=keep, of=lambda module: module.store)
    assert collect(holder, probe)[0] == [kept]


def test_a_wrap_leaves_no_trace_on_its_object(holder):
    before = dict(vars(holder.store))
    collect(holder, MethodProbe(field="a", method="put", axes="batch slot", of=lambda module: module.store))
    assert vars(holder.store) == before


def test_an_instance_attribute_that_was_a_method_is_put_back(holder):
    own = lambda place, value=None: value  # noqa: E731
    holder.store.put = own
    collect(holder, MethodProbe(field="a", method="put", axes="batch slot", of=lambda module: module.store))
    assert vars(holder.store)["put"] is own


def test_a_failed_plug_leaves_nothing_behind(holder):
    class Slotted:
        __slots__ = ()

        def put(self):
            return None

    holder.slotted = Slotted()
    probes = [
        OutputProbe(field="usage"),
        MethodProbe(field="a", method="put", axes="batch", of=lambda module: module.slotted),
    ]
    sites, _ = make_sites([(holder, p, Channel("m", p.field, p.value_axes())) for p in probes], lambda: None)
    plug = SitePlug(sites)
    with pytest.raises(TypeError):
        plug.plug()
    assert not holder._forward_hooks
    plug.unplug()


@pytest.mark.parametrize(
    ("probe", "message"),
    [
        (OutputProbe(field="usage", path="missing.part"), "sits at 'missing.part'"),
        (MethodProbe(field="usage", method="erase"), r"wraps Holder\.erase\(\), which does not exist"),
        (MethodProbe(field="usage", method="forward", argument="speed"), "'speed', but .* has x, scale"),
        (InputProbe(field="usage", argument="y"), "has x, scale"),
    ],
)
def test_a_place_that_is_not_there_is_named(holder, probe, message):
    with pytest.raises(RecorderError, match=message):
        probe.place(holder)


def test_a_field_of_ones_own_needs_axes():
    with pytest.raises(RecorderError, match="axes are never guessed"):
        OutputProbe(field="mine").value_axes()
    assert OutputProbe(field="mine", axes="batch slot").value_axes() == ("batch", "slot")
    assert OutputProbe(field="memory").value_axes() == ("batch", "slot", "word")
    assert InputProbe(field="initial/usage").value_axes() == ("batch", "slot")


def test_an_argument_beyond_the_signature_brings_nothing():
    get = argument_getter(lambda x: x, 3, lambda value: value, "usage")
    assert get((1,), {}) is None
