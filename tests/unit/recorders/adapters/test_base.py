from __future__ import annotations

import pytest
from torch import nn

from memviz import plugins
from memviz.errors import RecorderError, UnknownNameError
from memviz.recorders.adapters.base import MemoryPlan, clean_path, find_plans, resolve
from memviz.recorders.probes import OutputProbe


class Linears:
    """Knows linear layers."""

    name = "linears"

    def matches(self, module):
        return isinstance(module, nn.Linear)

    def plan(self, module, path):
        return [MemoryPlan("same", module, [OutputProbe(field="usage")])]


class Containers:
    """Claims sequences whole."""

    name = "containers"

    def matches(self, module):
        return isinstance(module, nn.Sequential)

    def plan(self, module, path):
        return [MemoryPlan(path or "memory", module, [OutputProbe(field="usage")])]


class Failing(Linears):
    name = "failing"

    def matches(self, module):
        raise ZeroDivisionError


def names(model, *adapters):
    declined = []
    plans = list(find_plans(model, adapters, lambda path, error: declined.append((path, type(error)))))
    return [(plan.name, plan.adapter) for plan in plans], declined


def test_memories_with_one_name_are_numbered():
    found, _ = names(nn.ModuleList([nn.Linear(1, 1) for _ in range(3)]), Linears())
    assert found == [("same", "linears"), ("same-2", "linears"), ("same-3", "linears")]


def test_nobody_looks_inside_what_is_claimed():
    model = nn.ModuleDict({"a": nn.Sequential(nn.Linear(1, 1)), "ab": nn.Linear(1, 1)})
    found, _ = names(model, Containers(), Linears())
    assert found == [("a", "containers"), ("same", "linears")]


def test_the_model_itself_may_be_the_memory():
    assert names(nn.Sequential(nn.Linear(1, 1)), Containers(), Linears())[0] == [("memory", "containers")]


def test_an_adapter_that_fails_is_told_and_passed_over():
    found, declined = names(nn.Linear(1, 1), Failing(), Linears())
    assert found == [("same", "linears")]
    assert declined == [("", ZeroDivisionError)]


@pytest.mark.parametrize(
    ("path", "clean"),
    [("", ""), ("module", ""), ("module.a.b", "a.b"), ("a._orig_mod.b", "a.b"), ("_fsdp_wrapped_module.a", "a")],
)
def test_wrappers_leave_no_name(path, clean):
    assert clean_path(path) == clean


def test_adapters_come_as_objects_classes_and_names():
    assert resolve(Linears)[0].name == "linears"
    assert resolve(Linears())[0].name == "linears"
    assert resolve("dnc")[0].name == "dnc"
    assert "dnc" in [adapter.name for adapter in resolve(None)]
    with pytest.raises(UnknownNameError, match="no adapter named 'dcn'"):
        resolve("dcn")
    with pytest.raises(RecorderError, match="is no adapter"):
        resolve(object())


def test_an_installed_adapter_is_found_by_its_entry_point(monkeypatch):
    monkeypatch.setattr(plugins, "load", lambda group: iter([("linears", Linears)]))
    assert [adapter.name for adapter in resolve(None)] == ["linears"]
