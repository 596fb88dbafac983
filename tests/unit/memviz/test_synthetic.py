"""Synthetic runs: the laws hold, the truth is what it is said to be, and the trace gives back what was simulated."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import memviz
from memviz.testing.simulate import Sizes, copy_loss, episodes, simulate_dnc
from memviz.testing.synthetic import write_dnc_run

SIZES = st.builds(
    Sizes,
    times=st.integers(3, 40),
    slots=st.integers(2, 12),
    words=st.integers(3, 12),
    read_heads=st.integers(1, 3),
    batch=st.integers(1, 2),
)


def slow_links(write):
    """The link matrix entry by entry, from its definition."""
    times, slots = write.shape
    link, precedence, out = np.zeros((slots, slots)), np.zeros(slots), []
    for t in range(times):
        new = np.zeros_like(link)
        for i in range(slots):
            for j in range(slots):
                if i != j:
                    new[i, j] = (1 - write[t, i] - write[t, j]) * link[i, j] + write[t, i] * precedence[j]
        link = new
        precedence = (1 - write[t].sum()) * precedence + write[t]
        out.append(link)
    return np.array(out)


@settings(max_examples=40, deadline=None)
@given(sizes=SIZES, sharpness=st.floats(0, 1), seed=st.integers(0, 5), jitter=st.integers(0, 5))
def test_every_weighting_is_a_weighting(sizes, sharpness, seed, jitter):
    fields = simulate_dnc(sizes, seed=seed, sharpness=sharpness, jitter=jitter)
    for name in ("write_weights", "read_weights", "allocation_weights", "read_content_weights", "precedence_weights"):
        assert fields[name].min() >= -1e-6, name
        assert fields[name].sum(axis=-1).max() <= 1 + 1e-5, name
    for name in ("write_gate", "allocation_gate", "free_gates", "usage", "output"):
        assert fields[name].min() >= 0, name
        assert fields[name].max() <= 1 + 1e-6, name
    np.testing.assert_allclose(fields["read_modes"].sum(axis=-1), 1, atol=1e-5)
    np.testing.assert_allclose(fields["read_content_weights"].sum(axis=-1), 1, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(sizes=SIZES, sharpness=st.floats(0, 1))
def test_links_and_memory_follow_from_the_writes(sizes, sharpness):
    fields = simulate_dnc(sizes, sharpness=sharpness)
    for item in range(sizes.batch):
        write = fields["write_weights"][:, item, 0].astype(np.float64)
        np.testing.assert_allclose(fields["link_matrix"][:, item, 0], slow_links(write), atol=1e-5)
        memory = fields["initial/memory"][item].astype(np.float64)
        for t in range(sizes.times):
            erase, add = fields["erase_vectors"][t, item, 0], fields["write_vectors"][t, item, 0]
            memory = memory * (1 - np.outer(write[t], erase)) + np.outer(write[t], add)
            np.testing.assert_allclose(fields["memory"][t, item], memory, atol=1e-4)
        np.testing.assert_array_equal(fields["final/memory"][item], fields["memory"][-1, item])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "sizes", [Sizes(), Sizes(times=60, slots=8, batch=2, read_heads=3)], ids=["one episode", "many"]
)
def test_once_decided_it_writes_one_slot_at_a_time_and_reads_them_in_order(sizes, seed):
    fields = simulate_dnc(sizes, seed=seed, jitter=19)
    written = fields["write_weights"][:, :, 0]
    for phase in episodes(sizes.times, sizes.slots):
        if phase.name == "input":
            assert written[phase.start : phase.stop].max(axis=-1).min() > 0.95
            slots = written[phase.start : phase.stop].argmax(axis=-1)
            assert all(len(set(slots[:, item])) == len(slots) for item in range(sizes.batch))
        elif phase.name == "recall":
            items = phase.stop - phase.start
            wrote = written[phase.first : phase.first + items].argmax(axis=-1)
            read = fields["read_weights"][phase.start : phase.stop].argmax(axis=-1)
            np.testing.assert_array_equal(read, np.broadcast_to(wrote[:, :, None], read.shape))
    assert copy_loss(fields, sizes) < 0.02


def test_the_loss_falls_as_the_controller_decides():
    losses = [copy_loss(simulate_dnc(Sizes(), sharpness=sharpness), Sizes()) for sharpness in (0, 0.5, 0.8, 1)]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] > 0.5


@given(times=st.integers(1, 200), slots=st.integers(2, 40))
def test_episodes_cover_every_time_once(times, slots):
    covered = [t for phase in episodes(times, slots) for t in range(phase.start, phase.stop)]
    assert covered == list(range(times))


@pytest.mark.parametrize("size", ["times", "slots", "words", "read_heads", "batch"])
def test_sizes_too_small_for_a_copy_task_are_refused(size):
    with pytest.raises(ValueError, match=size):
        Sizes(**{size: 0})


@pytest.mark.parametrize("fields", ["default", "all"])
def test_a_trace_gives_back_what_was_simulated(tmp_path, fields):
    run = write_dnc_run(tmp_path / "copy", steps=4, batch=2, slots=8, fields=fields)
    trace = memviz.open(run.path)
    assert (len(trace), trace.state, trace.steps.tolist()) == (4, "closed", [0, 20, 40, 60])
    assert trace.scalars["loss"].steps.tolist() == list(range(61))
    for index, record in enumerate(trace):
        truth = run.arrays(index)
        assert trace.scalars["loss"].values[index * 20] == pytest.approx(copy_loss(truth, run.sizes))
        # Whatever is not stored is derived, and both must be the simulated state.
        assert {"memory/link_matrix", "memory/memory", "memory/usage"} <= set(record.fields)
        assert record.is_derived("memory/link_matrix") == (fields == "default")
        for name in record.fields:
            np.testing.assert_allclose(record[name], truth[name.split("/", 1)[1]], atol=1e-5, err_msg=name)


def test_a_planted_nan_starts_where_it_was_planted_and_spreads_by_the_laws(tmp_path):
    run = write_dnc_run(tmp_path / "nan", steps=4, plant_nan=(2, 6))
    trace = memviz.open(run.path)
    # A target is NaN by itself wherever nothing is asked.
    assert [name for name in trace[1].fields if np.isnan(trace[1][name]).any()] == ["model/target"]
    broken = trace[2]
    assert np.argwhere(np.isnan(broken["write_vectors"])).tolist() == [[6, 0, 0, 0]]
    assert not np.isnan(broken["memory"][:6]).any()
    assert np.isnan(broken["memory"][6]).any()
    assert np.isnan(broken["read_weights"][6]).all()
    assert np.isnan(trace.scalars["loss"].values[-20:]).all()


def test_equal_seeds_give_equal_runs_and_others_do_not(tmp_path):
    first, same, other = (
        write_dnc_run(tmp_path / name, steps=2, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    for name, values in first.arrays(1).items():
        np.testing.assert_array_equal(values, same.arrays(1)[name])
    assert not np.array_equal(first.arrays(1)["input"], other.arrays(1)["input"])
    assert memviz.open(first.path).scalars["loss"].values.tolist() == (
        memviz.open(same.path).scalars["loss"].values.tolist()
    )


def test_a_live_run_goes_on_until_it_is_closed(tmp_path):
    with write_dnc_run(tmp_path / "live", steps=2, live=True) as run:
        trace = memviz.open(run)
        assert (trace.state, len(trace), len(run)) == ("live", 2, 2)
        run.append(2)
        assert trace.refresh() == 2
        # Past the end of its learning it stays as decided as it was.
        assert run.sharpness(3) == run.sharpness(1) == 1.0
    assert memviz.open(run).state == "closed"


def test_sleep_spreads_the_records_over_time(tmp_path):
    seen = []
    write = threading.Thread(target=write_dnc_run, args=(tmp_path / "slow",), kwargs={"steps": 3, "sleep": 0.1})
    write.start()
    while write.is_alive():
        if (tmp_path / "slow" / "trace.json").exists():
            seen.append(len(memviz.open(tmp_path / "slow")))
        time.sleep(0.01)
    write.join()
    assert {1, 2} <= set(seen)
