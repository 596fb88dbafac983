"""The pairs of writes behind a step along the links sum to the recorded weighting, and equal a plain expansion."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memviz.analysis.array_record import ArrayRecord
from memviz.analysis.lineage.links import link_provenance
from memviz.errors import FieldError


@st.composite
def records(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    T, N, H, R = (draw(st.integers(1, most)) for most in (6, 5, 2, 2))

    def weighting(*shape):
        return rng.dirichlet(np.full(N, rng.choice([0.05, 1.0])), size=shape) * rng.choice([0, 1, 0.6], (*shape, 1))

    fields = {
        "write_weights": weighting(T, 1, H),
        "read_weights": weighting(T, 1, R),
        "free_gates": rng.random((T, 1, R)),
        "write_vectors": rng.normal(size=(T, 1, H, 2)),
        "erase_vectors": rng.random((T, 1, H, 2)),
    }
    if draw(st.booleans()):
        fields |= {
            "initial/read_weights": weighting(1, R),
            "initial/precedence_weights": weighting(1, H),
            "initial/link_matrix": weighting(1, H, N) * (1 - np.eye(N)),
        }
    return ArrayRecord(fields, attributes={"write_heads": H})


@given(records(), st.data())
def test_pairs_sum_to_the_weighting_and_to_any_part_of_it(record, data):
    T, _, heads, slots = record.read("memory/write_weights").shape
    time = data.draw(st.integers(0, T - 1))
    head = data.draw(st.integers(0, record.read("memory/read_weights").shape[2] - 1))
    write_head = data.draw(st.integers(0, heads - 1))
    for direction in ("forward", "backward"):
        weighting = record.read(f"memory/{direction}_weights")[time, 0, head, write_head].astype(float)
        found = link_provenance(record, time, head, direction=direction, write_head=write_head)
        assert found.mass.sum() == pytest.approx(weighting.sum(), abs=1e-6)
        for slot in range(slots):
            part = link_provenance(
                record, time, head, direction=direction, write_head=write_head, landed=np.eye(slots)[slot]
            )
            assert part.mass.sum() == pytest.approx(weighting[slot], abs=1e-6)
        assert found.text()


@given(records())
def test_every_pair_is_the_product_of_its_factors(record):
    w = record.read("memory/write_weights")[:, 0, 0]
    T, N = w.shape
    time = T - 1
    reads = record.read("memory/read_weights")[:, 0, 0]
    stored = "memory/initial/read_weights" in record.stored
    read = reads[time - 1] if time else (record.read("memory/initial/read_weights")[0, 0] if stored else np.zeros(N))
    mass = link_provenance(record, time, 0).mass
    for early, late in itertools.combinations(range(T), 2):
        expected = 0.0
        for i, j in itertools.permutations(range(N), 2):
            kept = np.prod([1 - w[s].sum() for s in range(early + 1, late)])
            decay = np.prod([1 - w[s][i] - w[s][j] for s in range(late + 1, T)])
            expected += w[late][i] * w[early][j] * kept * decay * read[j]
        assert mass[early + 1, late + 1] == pytest.approx(expected, abs=1e-12)
    # Nobody follows himself, and the later write is never before the earlier.
    assert not np.tril(mass[1:, 1:]).any()
    assert not mass[1:, 0].any()


def test_a_memory_without_links_says_so():
    ones = np.ones((1, 1, 1, 1))
    fields = dict.fromkeys(("write_weights", "read_weights", "write_vectors", "erase_vectors"), ones)
    with pytest.raises(FieldError, match="has no links"):
        link_provenance(ArrayRecord(fields, law="ntm"), 0, 0)
