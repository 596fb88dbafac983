"""The conformance report of recorded models: ours and the reference pass, the `dnc` package's departures are found."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

import memviz
from memviz.analysis.array_record import ArrayRecord
from memviz.analysis.laws import check_laws
from memviz.analysis.laws.conformance import conformance
from memviz.demos.models import DNC
from memviz.demos.reference import dnc as reference

SIZES = {"nr_cells": 8, "cell_size": 5, "read_heads": 3}


def sharpened(model, factor=4):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(factor)
    return model


def recorded(model, path):
    with memviz.attach(model, path, every=1, batch="all", fields="all"), torch.no_grad():
        model(torch.randn(2, 15, 4))
    return memviz.open(path)[-1]


@pytest.mark.parametrize("write_heads", [1, 2])
def test_our_dnc_passes(tmp_path, write_heads):
    torch.manual_seed(0)
    record = recorded(sharpened(DNC(4, 16, **SIZES, write_heads=write_heads)), tmp_path / "run")
    assert all(check.holds for check in check_laws(record))
    found = conformance(record)
    assert found.conforms, found.text()
    assert found.unchecked == ()
    assert len(found.safeguards) == 2


def test_the_reference_passes():
    torch.manual_seed(0)
    weights = {name: value.numpy() for name, value in sharpened(DNC(4, 16, **SIZES).double()).state_dict().items()}
    fields = reference.run(np.random.default_rng(0).normal(size=(2, 15, 4)), weights, slots=8, words=5, read_heads=3)
    fields.pop("output")
    start = np.full((2, 8, 5), reference.INITIAL_MEMORY)
    found = conformance(ArrayRecord(fields | {"initial/memory": start}, attributes={"cosine_delta": reference.DELTA}))
    assert found.conforms, found.text()


def package_model(layers=1):
    with warnings.catch_warnings():
        # The package carries an invalid escape sequence and a deprecated tensor constructor.
        warnings.simplefilter("ignore")
        from dnc import DNC as PackageDNC

        model = PackageDNC(4, 16, num_layers=layers, num_hidden_layers=1, **SIZES)
    with torch.no_grad():
        model.memories[0].interface_weights.weight.mul_(6)
    return model


@pytest.mark.thirdparty
@pytest.mark.filterwarnings("ignore")
def test_the_departures_of_the_dnc_package_are_found(tmp_path):
    torch.manual_seed(0)
    found = conformance(recorded(package_model(), tmp_path / "run"))
    assert found.text().startswith("layer0 differs from Graves et al. 2016 in:")
    assert {(departure.subject, departure.evidence) for departure in found.departures} == {
        ("read_strengths", "measured"),
        ("write_strengths", "measured"),
        ("strengths", "declared"),
        ("controller_sees", "declared"),
        ("bounded_by_tanh", "declared"),
    }
    assert [words.split(" of ")[0] for words in found.safeguards] == ["allocation_delta", "cosine_delta"]
    assert found.unchecked == ()


@pytest.mark.thirdparty
@pytest.mark.filterwarnings("ignore")
def test_a_memory_shared_by_layers_is_named(tmp_path):
    torch.manual_seed(0)
    found = conformance(recorded(package_model(layers=2), tmp_path / "run"), "layer1")
    assert ("shared_by_layers", "declared") in {(d.subject, d.evidence) for d in found.departures}
    assert "controller_sees" not in {departure.subject for departure in found.departures}


@pytest.mark.thirdparty
@pytest.mark.filterwarnings("ignore")
def test_what_is_declared_of_the_package_is_so(tmp_path):
    """The declarations that no record can show, measured on the live model."""
    torch.manual_seed(0)
    model = package_model()
    seen = []
    handle = model.rnns[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0][..., 4:].abs().sum()))
    model(torch.randn(2, 6, 4))
    handle.remove()
    assert len(seen) == 6
    assert float(sum(seen)) == 0.0
    with torch.no_grad():
        model.memories[0].interface_weights.weight.mul_(100)
    record = recorded(model, tmp_path / "run")
    for name in ("read_keys", "write_keys", "write_vectors"):
        assert 0.99 < np.abs(record[name]).max() <= 1, name
    assert record["read_strengths"].min() < 0.01


def test_ties_of_the_allocation_are_no_fault(tmp_path):
    """From its own initial state all slots begin alike, and rounding alone may say which is taken next."""
    torch.manual_seed(0)
    model = sharpened(DNC(4, 16, **SIZES))
    x = torch.randn(2, 15, 4)
    with memviz.attach(model, tmp_path / "run", every=1, batch="all"), torch.no_grad():
        model(x)
    record = memviz.open(tmp_path / "run")[-1]
    assert "memory/allocation_weights" in record.stored, "what cannot be derived is recorded"
    assert [check.text() for check in check_laws(record) if not check.holds] == []
