"""Measurements against values worked out by hand or by a slower way."""

from __future__ import annotations

import numpy as np
import pytest

import memviz
from memviz.analysis.diagnostics import MemoryView, get
from memviz.analysis.episodes import effective_gates
from memviz.demos.gallery import write_healthy, write_run
from memviz.testing.synthetic import write_dnc_run


def measured(name, path, subject=""):
    view = MemoryView(memviz.open(path)[-1], "memory")
    with np.errstate(all="ignore"):
        return {measure.subject: measure for measure in get(name).measure(view)}[subject], view


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    return write_healthy(tmp_path_factory.mktemp("runs") / "healthy").path


def test_effective_gates_are_those_of_the_reference_and_sum_to_1():
    gates = np.array([0.04, 0.37, 0.19, 0.43, 0.30, 0.88, 0.42, 0.05])
    kept, left = effective_gates(gates)
    np.testing.assert_allclose(kept.round(3), [0.001, 0.008, 0.005, 0.02, 0.02, 0.485, 0.399, 0.05], atol=1.5e-3)
    assert kept.sum() + left == pytest.approx(1, abs=1e-12)


def test_an_episode_is_what_the_effective_gates_say():
    rng = np.random.default_rng(0)
    gates, states = rng.uniform(0, 1, 8), rng.normal(size=(8, 5))
    episode = start = rng.normal(size=5)
    for gate, state in zip(gates, states, strict=True):
        episode = gate * state + (1 - gate) * episode
    kept, left = effective_gates(gates)
    np.testing.assert_allclose(kept @ states + left * start, episode, atol=1e-12)


def test_unread_writes_agree_with_one_write_removed_at_a_time(healthy):
    """A write is unread when a mark put on it alone reaches no read; the backward scan must say the same."""
    measure, view = measured("unread_writes", healthy)
    weights, erase, reads = view["write_weights"], view["erase_vectors"], view["read_weights"]
    vectors = np.abs(view["write_vectors"])
    for item in range(view.items):
        unread = total = 0.0
        for write in range(view.times):
            mass = weights[write, item, 0].sum()
            if mass <= 0.5:
                continue
            mark = np.outer(weights[write, item, 0], vectors[write, item, 0])
            size, seen = mark.sum(), 0.0
            for time in range(write, view.times):
                if time > write:
                    mark = mark * (1 - np.outer(weights[time, item, 0], erase[time, item, 0]))
                seen += (reads[time, item].sum(axis=0)[:, None] * mark).sum()
            total += mass
            unread += mass * (seen < 0.1 * size)
        assert measure.values[item] == pytest.approx(unread / total)


def test_read_mass_is_taken_at_the_times_asked(healthy):
    measure, view = measured("read_mass_leak", healthy)
    asked = np.isfinite(memviz.open(healthy)[-1]["model/target"]).all(axis=-1)
    assert (view.asked == asked).all()
    mass = view["read_weights"].sum(axis=-1).max(axis=2)
    expected = [1 - np.median(mass[asked[:, item], item]) for item in range(view.items)]
    np.testing.assert_allclose(measure.values, expected, atol=1e-12)


def test_without_a_target_all_times_count(tmp_path):
    run = write_run("blurred_shifts", tmp_path / "run")
    view = MemoryView(memviz.open(run.path)[-1], "memory")
    assert view.asked.all()
    assert view.asked.shape == (15, 3)


def test_a_walk_along_sharp_links_stays_sharp_and_along_soft_ones_does_not(healthy, tmp_path):
    sharp, _ = measured("blurred_links", healthy)
    soft, view = measured("blurred_links", write_run("blurred_links", tmp_path / "soft").path)
    assert (sharp.values < 0.1).all()
    slot, time = soft.places[1].slot, soft.places[1].time
    walk = np.eye(16)[slot]
    for _ in range(8):
        walk = view["link_matrix"][time, 1, 0] @ walk
    p = walk / walk.sum()
    assert soft.values[1] == pytest.approx(np.exp(-(p * np.log(p)).sum()) / 16)


def test_nan_is_traced_to_the_field_that_had_it_first(tmp_path):
    path = write_dnc_run(tmp_path / "nan", steps=3, batch=2, plant_nan=(0, 4)).path
    measure, _ = measured("not_finite", path)
    place = measure.places[0]
    assert (place.field, place.time, place.head) == ("write_vectors", 4, 0)
    assert "controller" in measure.say(0)
    assert measure.values[1] == 0


def test_nan_in_a_target_means_that_nothing_is_asked(healthy):
    view = MemoryView(memviz.open(healthy)[-1], "model")
    (measure,) = get("not_finite").measure(view)
    assert (measure.values == 0).all()


def test_rounding_to_half_precision_breaks_no_law(tmp_path):
    from dataclasses import replace

    import ml_dtypes

    from memviz.testing.synthetic import STORED_BY_DEFAULT
    from memviz.trace.schema import FieldSchema, MemorySchema, RecordData, TraceHeader
    from memviz.trace.writer import TraceWriter

    source = memviz.open(write_dnc_run(tmp_path / "run", steps=2).path)[-1]
    header = TraceHeader(memviz_version="0", created=0.0, run="half")
    with_half = {name: source.schema(name) for name in STORED_BY_DEFAULT}
    writer = TraceWriter.create(tmp_path / "half", header)
    fields: dict[str, FieldSchema] = {name: replace(spec, dtype="bfloat16") for name, spec in with_half.items()}
    writer.declare(MemorySchema("memory", "dnc", fields))
    values = {f"memory/{name}": source[name].astype(ml_dtypes.bfloat16) for name in STORED_BY_DEFAULT}
    writer.append(RecordData(step=0, fields=values, wall=0.0))
    writer.close()
    findings = memviz.diagnose(memviz.open(tmp_path / "half"))
    assert not {"law_range", "law_residual"} & {found.diagnostic for found in findings}


def test_a_head_that_copies_another_is_told_from_one_that_agrees_with_it(healthy, tmp_path):
    agreeing, _ = measured("collapsed_heads", healthy, "read_weights")
    assert (agreeing.values > 0.99).all()
    own, _ = measured("identical_heads", healthy)
    assert (own.values < 0.995).all()
    copied, _ = measured("identical_heads", write_run("collapsed_heads", tmp_path / "run").path)
    assert copied.values[1] == 1
