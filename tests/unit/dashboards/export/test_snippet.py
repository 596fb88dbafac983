"""The Python that is copied runs, and reads what the page shows."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest

import memviz
from memviz.analysis.lineage.table import lineage_table
from memviz.dashboards.export import snippet
from memviz.errors import PlaceError


def run(code):
    """Names that the code leaves behind, and what it prints."""
    names, said = {}, io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(code, "<copied>", "exec"), names)
    return names, said.getvalue()


def test_a_cell_of_a_head(copy_run, trace):
    code = snippet(copy_run.path, trace, 1, item=1, time=5, slot=3, head=1, field="memory/read_weights")
    names, said = run(code)
    assert names["record"].step == 20
    assert names["value"] == trace[1]["read_weights"][5, 1, 1, 3]
    assert said.strip() == str(trace[1]["read_weights"][5, 1, 1, 3])
    assert ".at(20)" in code


def test_without_a_slot_the_rest_of_the_axes_is_named(copy_run, trace):
    code = snippet(copy_run.path, trace, 1, time=5, head=1, field="memory/read_weights")
    assert "record['memory/read_weights'][5, 0, 1]  # slot" in code
    np.testing.assert_array_equal(run(code)[0]["value"], trace[1]["read_weights"][5, 0, 1])


def test_the_memory_and_links_at_a_time(copy_run, trace):
    names, _ = run(snippet(copy_run.path, trace, 2, time=4, slot=2, field="memory/memory"))
    np.testing.assert_array_equal(names["value"], trace[2]["memory"][4, 0, 2])
    names, _ = run(snippet(copy_run.path, trace, 2, time=4, slot=2, head=1, field="memory/link_matrix"))
    np.testing.assert_array_equal(names["value"], trace[2]["link_matrix"][4, 0, 0])


def test_a_field_of_which_there_is_none_is_replaced_by_the_reads(copy_run, trace):
    assert "'memory/read_weights'" in snippet(copy_run.path, trace, 0, field="memory/nope")


def test_the_lineage_of_a_read_is_that_of_memviz(copy_run, trace):
    names, said = run(snippet(copy_run.path, trace, 2, memory="memory", item=1, time=6, head=1, lineage=True))
    assert said.startswith(memviz.lineage(trace[2], 6, 1, 1).text())
    np.testing.assert_array_equal(names["read"].shares, memviz.lineage(trace[2], 6, 1, 1).shares)


def test_a_write_followed_forward(copy_run, trace):
    _, said = run(snippet(copy_run.path, trace, 2, memory="memory", lineage=True, write=1))
    assert str(lineage_table(trace[2], "memory", 0).shares[:, :, 2]) in said


def test_a_record_that_shares_its_step_is_taken_by_position(tmp_path):
    from memviz.testing.synthetic import write_dnc_run

    with write_dnc_run(tmp_path / "twins", steps=2, every=0, times=9, slots=8, words=6) as twins:
        trace = memviz.open(twins)
        code = snippet(twins.path, trace, 0)
        assert "[0]  # step 0" in code
        assert run(code)[0]["record"].id == trace[0].id


def test_a_path_is_a_string_whatever_is_in_it(trace):
    code = snippet("runs/'); print('oops", trace, 0)
    assert "memviz.open(\"runs/'); print('oops\")" in code


def test_a_record_that_is_not_there_is_refused(copy_run, trace):
    with pytest.raises(PlaceError):
        snippet(copy_run.path, trace, 3)
