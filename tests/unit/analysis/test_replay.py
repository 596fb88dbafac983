"""Deriving against a plain loop over time, against the state a keyframe holds, and what is said when it cannot be."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import memviz
from memviz.analysis import replay
from memviz.analysis.replay import derivable, derive, derive_parts, replay_error
from memviz.errors import FieldError
from memviz.fields import CATALOGUE, GENERATORS
from memviz.testing.synthetic import write_dnc_run
from memviz.trace.schema import MemorySchema

T, B, R, N, W = 7, 2, 3, 5, 4
STATE = ("memory", "usage", "precedence_weights", "link_matrix")


class FakeRecord:
    """The part of a record that replay asks for, over arrays in memory; counts what is read."""

    def __init__(self, fields, law="dnc", **attributes):
        self.fields = fields
        self.memories = {"mem": MemorySchema("mem", law, attributes=attributes)}
        self.stored = tuple(f"mem/{name}" for name in fields)
        self.lengths = {"mem": next(len(v) for name, v in fields.items() if not name.startswith(("initial", "final")))}
        self.latest = 0

    def read(self, name, time=None):
        values = self.fields[name.removeprefix("mem/")]
        if time is not None:
            self.latest = max(self.latest, time.stop)
            values = values[time]
        return values


def simplex(rng, *shape):
    values = rng.random(shape) ** 4
    return values / values.sum(-1, keepdims=True) * rng.random((*shape[:-1], 1))


def generators(seed=0, write_heads=1, dtype=np.float32):
    rng = np.random.default_rng(seed)
    fields = {
        "write_weights": simplex(rng, T, B, write_heads, N),
        "erase_vectors": rng.random((T, B, write_heads, W)),
        "write_vectors": rng.normal(size=(T, B, write_heads, W)),
        "read_weights": simplex(rng, T, B, R, N),
        "free_gates": rng.random((T, B, R)),
    }
    return {name: values.astype(dtype) for name, values in fields.items()}


def lookups(seed=1, write_heads=1):
    rng = np.random.default_rng(seed)
    return {
        "write_keys": rng.normal(size=(T, B, write_heads, W)),
        "write_strengths": rng.random((T, B, write_heads)) * 9,
        "read_keys": rng.normal(size=(T, B, R, W)),
        "read_strengths": rng.random((T, B, R)) * 9,
    }


def cosine(key, row):
    size = np.linalg.norm(key) * np.linalg.norm(row)
    return key @ row / size if size else 0.0


def softmax(scores):
    return np.exp(scores) / np.exp(scores).sum()


def plain_dnc(g, initial=None):
    """Graves et al. 2016, Methods, in loops and float64: every derivable field, [time][batch] by item."""
    initial = initial or {}
    heads = g["write_weights"].shape[2]
    out = {name: [] for name in (*STATE, "read_vectors", "forward_weights", "backward_weights")}
    if "write_keys" in g:
        out |= {"write_content_weights": [], "read_content_weights": []}
    shapes = {"memory": (N, W), "usage": (N,), "precedence_weights": (heads, N), "link_matrix": (heads, N, N)}
    state = {k: np.zeros((B, *shape)) + initial.get(k, 0.0) for k, shape in shapes.items()}
    reads = np.zeros((B, R, N)) + initial.get("read_weights", 0.0)
    writes = np.zeros((B, heads, N)) + initial.get("write_weights", 0.0)
    for t in range(T):
        now = {name: [] for name in out}
        for b in range(B):
            M, u, p, L = (state[k][b] for k in STATE)
            w, e, v = (g[k][t, b].astype(float) for k in ("write_weights", "erase_vectors", "write_vectors"))
            r = g["read_weights"][t, b].astype(float)
            gone = np.ones(N)
            for h in range(R):
                gone *= 1 - g["free_gates"][t, b, h] * reads[b, h]
            any_write = 1 - np.prod([1 - writes[b, h] for h in range(heads)], axis=0)
            u2 = (u + any_write - u * any_write) * gone
            if "write_keys" in g:
                now["write_content_weights"].append(
                    [
                        softmax(
                            np.array(
                                [
                                    g["write_strengths"][t, b, h] * cosine(g["write_keys"][t, b, h], M[i])
                                    for i in range(N)
                                ]
                            )
                        )
                        for h in range(heads)
                    ]
                )
            M2, L2, p2 = M.copy(), np.zeros_like(L), np.zeros_like(p)
            for i in range(N):
                M2[i] *= np.prod([1 - w[h, i] * e[h] for h in range(heads)], axis=0)
                M2[i] += sum(w[h, i] * v[h] for h in range(heads))
            for h in range(heads):
                for i in range(N):
                    for j in range(N):
                        if i != j:
                            L2[h, i, j] = (1 - w[h, i] - w[h, j]) * L[h, i, j] + w[h, i] * p[h, j]
                p2[h] = (1 - w[h].sum()) * p[h] + w[h]
            if "read_keys" in g:
                now["read_content_weights"].append(
                    [
                        softmax(
                            np.array(
                                [
                                    g["read_strengths"][t, b, h] * cosine(g["read_keys"][t, b, h], M2[i])
                                    for i in range(N)
                                ]
                            )
                        )
                        for h in range(R)
                    ]
                )
            now["forward_weights"].append([[L2[k] @ reads[b, h] for k in range(heads)] for h in range(R)])
            now["backward_weights"].append([[L2[k].T @ reads[b, h] for k in range(heads)] for h in range(R)])
            now["read_vectors"].append(r @ M2)
            for name, value in zip(STATE, (M2, u2, p2, L2), strict=True):
                now[name].append(value)
        for name, value in now.items():
            out[name].append(np.array(value))
        state = {k: now[k] for k in STATE}
        reads, writes = g["read_weights"][t].astype(float), g["write_weights"][t].astype(float)
    return {name: np.array(value) for name, value in out.items()}


@pytest.mark.parametrize("write_heads", [1, 2])
@pytest.mark.parametrize("seed", range(3))
def test_every_field_of_a_dnc_follows_from_its_generators(write_heads, seed):
    fields = generators(seed, write_heads) | lookups(seed, write_heads)
    record = FakeRecord(fields)
    for name, expected in plain_dnc(fields).items():
        derived = derive(record, "mem", name)
        assert derived.dtype == np.float32
        assert derived.ndim == len(CATALOGUE[name].axes)
        np.testing.assert_allclose(derived, expected, atol=1e-5, err_msg=name)


@given(st.integers(0, 2**31), st.integers(0, T - 1), st.integers(1, T), st.integers(1, 3))
def test_a_part_of_the_time_axis_equals_the_same_part_of_the_whole_and_reads_nothing_later(seed, start, stop, step):
    fields = generators(seed) | lookups(seed)
    part = slice(start, max(stop, start + 1), step)
    for name in plain_dnc(fields):
        record = FakeRecord(fields)
        np.testing.assert_array_equal(derive(record, "mem", name, part), derive(FakeRecord(fields), "mem", name)[part])
        assert record.latest <= part.stop


def test_an_initial_state_counts_and_broadcasts_over_axes_of_length_one():
    rng = np.random.default_rng(5)
    initial = {
        "memory": rng.normal(size=(1, 1, W)),
        "usage": rng.random((B, N)),
        "precedence_weights": simplex(rng, B, 1, N),
        "link_matrix": simplex(rng, 1, 1, N, N) * (1 - np.eye(N)),
        "read_weights": simplex(rng, B, R, N),
        "write_weights": simplex(rng, 1, 1, N),
    }
    fields = generators() | lookups()
    record = FakeRecord(fields | {f"initial/{name}": value for name, value in initial.items()})
    for name, expected in plain_dnc(fields, initial).items():
        np.testing.assert_allclose(derive(record, "mem", name), expected, atol=1e-5, err_msg=name)


def test_what_is_stored_is_used_rather_than_derived():
    fields = generators()
    memory = np.random.default_rng(0).normal(size=(T, B, N, W)).astype(np.float32)
    record = FakeRecord({"read_weights": fields["read_weights"], "memory": memory})
    np.testing.assert_allclose(derive(record, "mem", "read_vectors"), fields["read_weights"] @ memory, atol=1e-6)


def test_departures_from_the_paper_are_attributes():
    fields = generators(write_heads=2)
    gates = {name: np.full((T, B, 2), 0.9, np.float32) for name in ("write_gate", "allocation_gate")}
    usage = derive(FakeRecord(fields), "mem", "usage")

    def derived(name, law="dnc", **attributes):
        return derive(FakeRecord(fields | gates | lookups(write_heads=2), law, **attributes), "mem", name)

    # The free list of the second head starts where the first head left it.
    both = derived("allocation_weights", write_heads=2)
    assert both.shape == (T, B, 2, N)
    np.testing.assert_allclose(both[:, :, 0], derived("allocation_weights")[:, :, 0])
    assert np.abs(both[:, :, 1] - both[:, :, 0]).max() > 0.1
    lifted = 0.5 + 0.5 * usage[0, 0]
    np.testing.assert_allclose(
        derived("allocation_weights", allocation_delta=0.5)[0, 0, 0, lifted.argmin()], 1 - lifted.min()
    )
    assert np.abs(derived("read_content_weights", cosine_delta=1.0) - derived("read_content_weights")).max() > 1e-3
    assert np.abs(derived("memory", write_order="series") - derived("memory")).max() > 1e-3
    reads = derived("read_vectors", law="ntm", read_order="before_write")
    np.testing.assert_array_equal(reads[0], 0)
    np.testing.assert_allclose(reads[1:], fields["read_weights"][1:] @ derived("memory", law="ntm")[:-1], atol=1e-6)


def test_half_precision_generators_are_widened():
    exact = generators()
    stored = {name: values.astype(ml_dtypes.bfloat16) for name, values in exact.items()}
    for name, expected in plain_dnc(stored).items():
        np.testing.assert_allclose(derive(FakeRecord(stored), "mem", name), expected, atol=1e-5)


def test_derivable_says_what_follows():
    dnc = MemorySchema("mem", "dnc")
    assert derivable(dnc, GENERATORS) == {
        *STATE,
        "read_vectors",
        "allocation_weights",
        "forward_weights",
        "backward_weights",
    }
    assert derivable(dnc, [*GENERATORS, "read_keys", "read_strengths"]) >= {"read_content_weights"}
    assert derivable(dnc, ["write_weights"]) == {"precedence_weights", "link_matrix"}
    assert "allocation_weights" not in derivable(MemorySchema("mem", "dnc", attributes={"write_heads": 2}), GENERATORS)
    arbitrary = MemorySchema("mem", "dnc", attributes={"allocation_ties": "arbitrary"})
    assert derivable(dnc, GENERATORS) - derivable(arbitrary, GENERATORS) == {"allocation_weights"}
    assert derivable(MemorySchema("mem", "ntm"), GENERATORS) == {"memory", "read_vectors"}
    assert derivable(MemorySchema("mem", ""), GENERATORS) == frozenset()


def test_replay_error_is_the_distance_to_the_keyframe():
    fields = generators()
    final = {name: plain_dnc(fields)[name][-1] for name in ("memory", "usage")}
    keyframes = {f"final/{name}": value for name, value in final.items()}
    assert replay_error(FakeRecord(fields), "mem") is None
    assert replay_error(FakeRecord(fields | keyframes), "mem") < 1e-6
    keyframes["final/memory"] = final["memory"] + 0.25 * np.eye(N, W)
    assert replay_error(FakeRecord(fields | keyframes), "mem") == pytest.approx(0.25, abs=1e-6)
    keyframes["final/memory"] = np.where(np.eye(N, W), np.nan, final["memory"])
    assert replay_error(FakeRecord(fields | keyframes), "mem") == np.inf
    whole = derive(FakeRecord(fields), "mem", "link_matrix")
    whole[3, 0, 0, 1, 2] += 0.5
    assert replay_error(FakeRecord(fields | {"link_matrix": whole}), "mem") == pytest.approx(0.5)


def test_a_field_that_cannot_be_derived_says_what_is_missing():
    fields = generators()
    del fields["free_gates"]
    with pytest.raises(FieldError, match="without free_gates; record with these fields"):
        derive(FakeRecord(fields), "mem", "allocation_weights")
    with pytest.raises(FieldError, match="does not follow from other fields"):
        derive(FakeRecord(fields), "mem", "read_modes")
    with pytest.raises(FieldError, match="update law is unknown"):
        derive(FakeRecord(fields, law=""), "mem", "memory")
    with pytest.raises(FieldError, match="update law 'adhoc' is none of dnc, ntm"):
        derive(FakeRecord(fields, law="adhoc"), "mem", "memory")
    with pytest.raises(FieldError, match="holds 7 times"):
        derive(FakeRecord(fields), "mem", "memory", slice(9, 12))
    with pytest.raises(ValueError, match="positive step"):
        derive(FakeRecord(fields), "mem", "memory", slice(None, None, -1))


@pytest.mark.parametrize("field", ["memory", "usage", "link_matrix", "precedence_weights"])
def test_parts_are_what_the_whole_is(field, tmp_path):
    write_dnc_run(tmp_path / "run", steps=2, times=13, batch=2)
    record = memviz.open(tmp_path / "run")[-1]
    whole = derive(record, "memory", field)
    parts = [(0, 3), (3, 4), (4, 9), (11, 13)]
    for (start, stop), part in zip(parts, derive_parts(record, "memory", field, parts), strict=True):
        assert part.dtype == np.float32
        np.testing.assert_array_equal(part, whole[start:stop])
    assert list(derive_parts(record, "memory", field, [])) == []


def test_parts_follow_the_past_only_once(tmp_path, monkeypatch):
    write_dnc_run(tmp_path / "run", steps=1, times=12)
    record = memviz.open(tmp_path / "run")[0]
    seen = []
    real = replay._replay
    monkeypatch.setattr(replay, "_replay", lambda *args: (seen.append(1) or frame for frame in real(*args)))
    assert len(list(derive_parts(record, "memory", "memory", [(2, 5), (5, 12)]))) == 2
    assert len(seen) == 12
