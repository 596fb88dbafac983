from __future__ import annotations

import numpy as np
import pytest

from memviz.analysis import sparse
from memviz.analysis.replay import derivable
from memviz.trace.schema import MemorySchema

PAIRS = {f"{name}_{what}" for name in ("read", "write", "precedence") for what in ("indices", "values")}


def test_dense_puts_weights_at_their_slots_and_nothing_elsewhere():
    indices = np.array([[[2, -1, 0], [1, 1, 9]]])
    values = np.array([[[0.5, 0.3, 0.1], [0.2, 0.4, 0.7]]])
    np.testing.assert_allclose(sparse.dense(indices, values, 4), [[[0.1, 0, 0.5, 0], [0, 0.6, 0, 0]]])


def test_a_write_clears_the_least_used_slot_alone():
    memory = np.ones((1, 3, 2))
    weights, vectors = np.array([[[0.0, 0.5, 0.25]]]), np.array([[[2.0, -4.0]]])
    result = sparse.write(memory, weights, vectors, np.array([[1.0]]))
    np.testing.assert_allclose(result, [[[1, 1], [1, -2], [1.5, 0]]])


def test_links_keep_the_largest_of_rows_and_then_of_columns():
    link, precedence = np.zeros((1, 1, 3, 3)), np.array([[[0.5, 0.3, 0.0]]])
    weights = np.array([[[0.0, 0.4, 0.6]]])
    grown = [[0, 0, 0], [0.2, 0, 0], [0.3, 0.18, 0]]
    np.testing.assert_allclose(sparse.update_link(link, precedence, weights, 3)[0, 0], grown, atol=1e-12)
    # Of row 2 only the link from 0 is kept, and of column 0 only the one to 2.
    np.testing.assert_allclose(
        sparse.update_link(link, precedence, weights, 1)[0, 0], [[0, 0, 0], [0, 0, 0], [0.3, 0, 0]], atol=1e-12
    )


@pytest.mark.parametrize(
    ("slots", "known", "unknown"),
    [
        (100, {"memory", "read_weights", "link_matrix", "precedence_weights"}, set()),
        (sparse.LINKED_SLOTS + 1, {"memory", "read_weights"}, {"link_matrix"}),
        (sparse.DENSE_SLOTS + 1, set(), {"memory", "read_weights", "link_matrix"}),
        (None, set(), {"memory"}),
    ],
)
def test_dense_state_is_derived_for_as_many_slots_as_is_sane(slots, known, unknown):
    schema = MemorySchema("memory", "sdnc", {}, {"slots": slots, "temporal_reads": 2})
    found = derivable(schema, PAIRS | {"least_used", "write_vectors"})
    assert known <= found
    assert not unknown & found
