"""Which directories count as traces, under which ids, and what is never walked into."""

from __future__ import annotations

import os

from memviz.dashboards.discovery import search


def make(path):
    """Enough of a trace to be found."""
    path.mkdir(parents=True)
    (path / "trace.json").write_text("{}")
    return path


def ids(*paths, **options):
    return list(search(paths, **options).runs)


def test_traces_are_found_at_several_levels_under_path_like_ids(tmp_path):
    for name in ("copy", "sweep/copy-2", "sweep/deep/one/two", "ddp/rank-00000", "ddp/rank-00001"):
        make(tmp_path / name)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "readme.txt").write_text("no trace")
    assert ids(tmp_path) == ["copy", "ddp/rank-00000", "ddp/rank-00001", "sweep/copy-2", "sweep/deep/one/two"]


def test_a_trace_itself_can_be_given(tmp_path):
    trace = make(tmp_path / "runs" / "copy")
    assert ids(trace) == ["copy"]
    assert ids(trace, tmp_path / "runs") == ["copy"]


def test_a_trace_without_its_header_is_still_one(tmp_path):
    (tmp_path / "torn" / "live").mkdir(parents=True)
    (tmp_path / "torn" / "live" / "r00000000.safetensors").write_bytes(b"")
    assert ids(tmp_path) == ["torn"]


def test_runs_may_be_called_like_a_part_of_a_trace(tmp_path):
    for name in ("live", "sealed"):
        make(tmp_path / name)
    assert ids(tmp_path) == ["live", "sealed"]


def test_what_lies_inside_a_trace_is_not_a_run(tmp_path):
    make(make(tmp_path / "copy") / "sealed" / "inner")
    assert ids(tmp_path) == ["copy"]


def test_equal_ids_under_two_paths_get_different_names(tmp_path):
    for root in ("a", "b"):
        make(tmp_path / root / "copy")
    make(tmp_path / "x" / "b" / "copy")
    found = search([tmp_path / "a", tmp_path / "b", tmp_path / "x" / "b"]).runs
    assert list(found) == ["copy", "b/copy", "b/copy-2"]
    assert len({run.path for run in found.values()}) == 3


def test_links_that_lead_out_are_not_followed(tmp_path):
    make(tmp_path / "elsewhere" / "secret")
    make(tmp_path / "runs" / "copy")
    (tmp_path / "runs" / "out").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "runs" / "loop").symlink_to(tmp_path / "runs")
    (tmp_path / "runs" / "again").symlink_to(tmp_path / "runs" / "copy")
    # A trace reached twice is one run.
    assert len(ids(tmp_path / "runs")) == 1


def test_missing_and_hidden_folders_hold_nothing(tmp_path):
    make(tmp_path / ".trash" / "copy")
    assert ids(tmp_path, tmp_path / "not-yet") == []


def test_a_folder_that_cannot_be_read_is_skipped(tmp_path, monkeypatch):
    make(tmp_path / "closed" / "copy")
    make(tmp_path / "open")
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert ids(tmp_path) == ["open"]


def test_depth_and_number_of_folders_are_limited(tmp_path):
    make(tmp_path / "1" / "2" / "3" / "copy")
    assert ids(tmp_path, depth=3) == []
    assert ids(tmp_path, depth=4) == ["1/2/3/copy"]
    for number in range(10):
        (tmp_path / f"empty-{number}").mkdir()
    assert search([tmp_path], limit=5).truncated
    assert not search([tmp_path], limit=50).truncated
