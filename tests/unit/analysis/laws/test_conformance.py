"""The conformance report passes the reference and names what a wrong implementation does instead."""

from __future__ import annotations

import numpy as np
import pytest

from memviz.analysis.array_record import ArrayRecord
from memviz.analysis.dynamics import allocate, write_in_series
from memviz.analysis.laws.conformance import allocation_delta, conformance
from memviz.analysis.laws.variants import VARIANTS
from memviz.testing.simulate import COSINE_DELTA, Sizes, simulate_dnc

SIZES = Sizes(times=12, slots=6, words=5, batch=2)


@pytest.fixture
def fields():
    found = simulate_dnc(SIZES, seed=2, sharpness=0.5, jitter=1)
    return {name: values.copy() for name, values in found.items() if name not in ("input", "target", "output")}


def report(fields, **attributes):
    return conformance(ArrayRecord(fields, attributes={"cosine_delta": COSINE_DELTA} | attributes))


def test_a_faithful_dnc_passes(fields):
    found = report(fields)
    assert found.conforms, found.text()
    assert found.unchecked == ()
    assert found.safeguards == ("cosine_delta of 1e-06",)
    assert "memory: as published" in found.confirmed
    assert found.text().startswith("memory follows Graves et al. 2016 in all that this record can show.")


@pytest.mark.parametrize(
    ("field", "number"),
    [
        (field, number)
        for field, known in VARIANTS.items()
        for number, variant in enumerate(known)
        # With one head there is no order of heads; the next test has two.
        if "write_order" not in variant.attributes
    ],
)
def test_every_known_variant_is_named(fields, field, number):
    variant = VARIANTS[field][number]
    rule = variant.rule
    rng = np.random.default_rng(number)
    # What only variants have, masks and powers, with the axes of keys and of strengths.
    fields |= {f"{kind}_masks": rng.random(fields[f"{kind}_keys"].shape) for kind in ("read", "write")}
    fields |= {f"{way}_sharpening": 2 + fields["read_strengths"] for way in ("forward", "backward")}
    first = {name: np.zeros_like(fields[name][0]) for name in rule.before}
    if "memory" in first:
        first["memory"] = fields["initial/memory"]
    # Only this field goes wrong: what it follows from stays as it was, but for its own past.
    before = first
    for time in range(SIZES.times):
        now = {name: fields[name][time] for name in rule.now}
        fields[field][time] = rule.compute(before, now, variant.attributes)
        before = {name: fields[name][time] for name in rule.before}
    words = [departure.words for departure in report(fields).departures]
    assert f"{field}: {variant.words}" in words


def test_heads_that_write_in_series_are_named():
    rng = np.random.default_rng(0)
    weights, erase = rng.dirichlet(np.ones(4), size=(6, 1, 2)), rng.random((6, 1, 2, 3))
    fields = {
        "write_weights": weights,
        "erase_vectors": erase,
        "write_vectors": rng.normal(size=(6, 1, 2, 3)),
        "read_weights": rng.dirichlet(np.ones(4), size=(6, 1, 1)),
    }
    memory, states = np.zeros((1, 4, 3)), []
    for now in zip(weights, erase, fields["write_vectors"], strict=True):
        memory = write_in_series(memory, *now)
        states.append(memory)
    (found,) = report(fields | {"memory": np.stack(states)}).departures
    assert found.words == "memory: the write heads write in series, not together"


def test_the_order_of_the_modes_is_found(fields):
    fields["read_modes"] = fields["read_modes"][..., [0, 2, 1]]
    (found,) = report(fields).departures
    assert found.words == "read_weights: the modes come in the order backward, forward, content"
    assert found.evidence == "measured"


def test_what_fits_no_variant_is_located(fields):
    fields["precedence_weights"][7, 1, 0, 2] = 0.123
    words = [departure.words for departure in report(fields).departures if departure.subject == "precedence_weights"]
    (found,) = [text for text in words if "no known variant fits" in text]
    assert "first at time 7, batch 1, write_head 0, slot 2" in found


def test_declared_departures_are_reported_and_marked(fields):
    found = report(fields, strengths="softplus", bounded_by_tanh=["read_keys"], shared_by_layers=2)
    assert [departure.evidence for departure in found.departures] == ["declared"] * 3
    assert "  - read_keys are bounded by tanh; the paper leaves them free (declared)" in found.text()
    assert "2 controller layers use one memory in turn" in found.text()


@pytest.mark.parametrize("delta", [0.0, 1e-6, 0.01])
def test_the_constant_of_the_allocation_is_measured(fields, delta):
    fields["allocation_weights"] = np.stack([allocate(usage, delta) for usage in fields["usage"]])[:, :, None]
    assert allocation_delta(ArrayRecord(fields), "memory") == pytest.approx(delta, rel=0.02)
    found = report(fields)
    assert any("allocation_delta of 1e-06" in words for words in found.safeguards) == (delta == 1e-6)
    assert any(departure.subject == "allocation_delta" for departure in found.departures) == (delta == 0.01)


def test_what_was_not_recorded_is_said(fields):
    for name in ("link_matrix", "forward_weights"):
        fields.pop(name)
    found = report(fields)
    assert set(found.unchecked) == {"link_matrix", "forward_weights"}
    assert "Not recorded, so not checked: link_matrix, forward_weights" in found.text()
