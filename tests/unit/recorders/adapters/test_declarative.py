"""memviz.Adapter: places as strings, and which modules they match."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from torch import nn

import memviz
from memviz.errors import RecorderError
from memviz.recorders.adapters.declarative import read_place
from memviz.recorders.probes import InputProbe, MethodProbe, OutputProbe


class Bank(nn.Module):
    def write(self, erase, add):
        return erase + add

    def forward(self, x, state=None):
        return x


class Machine(nn.Module):
    def __init__(self):
        super().__init__()
        self.bank = Bank()


@pytest.mark.parametrize(
    ("text", "kind", "path", "method", "argument"),
    [
        ("bank", OutputProbe, "bank", None, None),
        ("", OutputProbe, "", None, None),
        ("-> [1]", OutputProbe, "", None, None),
        ("forward()", OutputProbe, "", None, None),
        ("bank.forward(state)", InputProbe, "bank", None, "state"),
        ("forward(0)", InputProbe, "", None, 0),
        ("bank.write()", MethodProbe, "bank", "write", None),
        ("bank.write(erase)", MethodProbe, "bank", "write", "erase"),
        ("write(1)", MethodProbe, "", "write", 1),
    ],
)
def test_a_place_is_a_probe(text, kind, path, method, argument):
    probe = read_place("usage", text)
    assert type(probe) is kind
    assert (probe.path, getattr(probe, "method", None), getattr(probe, "argument", None)) == (path, method, argument)


def test_axes_and_first_values():
    probe = read_place("initial/memory", "forward(state) -> .memory : batch  slot word")
    assert (probe.axes, probe.keep) == ("batch slot word", "first")
    assert read_place("usage", "bank").keep == "all"


@pytest.mark.parametrize(
    ("pick", "expected"),
    [("[0]", 1), ("[-1]", 3), ("[1]['a']", 2), ('[1]["a"]', 2), ("[2].value[0]", 5), ("", None)],
)
def test_picks(pick, expected):
    value = [1, {"a": 2}, SimpleNamespace(value=[5]), 3]
    found = read_place("usage", f"bank -> {pick}").pick(value)
    assert found == (value if expected is None else expected)


@pytest.mark.parametrize("text", ["bank.write(", "a b", "bank -> 1", "bank -> [x]", "bank -> ()"])
def test_what_cannot_be_read_is_said(text):
    with pytest.raises(RecorderError, match="cannot be read"):
        read_place("usage", text)


@pytest.mark.parametrize(
    ("match", "machine", "linear"),
    [
        (None, True, False),
        (Machine, True, False),
        ("Machine", True, False),
        (f"{__name__}.Machine", True, False),
        (lambda module: isinstance(module, nn.Linear), False, True),
    ],
)
def test_what_it_matches(match, machine, linear):
    adapter = memviz.Adapter("mine", {"usage": "bank.write(erase)"}, match=match)
    assert adapter.matches(Machine()) is machine
    assert adapter.matches(nn.Linear(1, 1)) is linear


def test_a_base_class_matches_too():
    class Special(Machine):
        pass

    assert memviz.Adapter("mine", {"usage": "bank"}, match="Machine").matches(Special())


def test_nothing_says_what_it_is_for():
    with pytest.raises(RecorderError, match="nothing says which modules it is for"):
        memviz.Adapter("mine", {"usage": "-> [0]"})


def test_a_probe_may_stand_for_a_string():
    adapter = memviz.Adapter("mine", {"usage": OutputProbe(field="whatever", path="bank", axes="batch slot")})
    assert [probe.field for probe in adapter.probes] == ["usage"]
    assert repr(adapter) == "memviz.Adapter('mine', 1 fields)"


def test_the_plan_says_law_and_facts(tmp_path):
    adapter = memviz.Adapter(
        "mine",
        {"usage": "bank : batch slot"},
        match=Machine,
        law="ntm",
        attributes={"slots": 4},
        unreachable={"memory": "hidden"},
    )
    (plan,) = adapter.plan(Machine(), "core.machine")
    assert (plan.name, plan.law, plan.attributes["slots"]) == ("core.machine", "ntm", 4)
    assert plan.attributes["class"].endswith("Machine")
    assert plan.unreachable == {"memory": "hidden"}
    assert adapter.plan(Machine(), "")[0].name == "memory"
