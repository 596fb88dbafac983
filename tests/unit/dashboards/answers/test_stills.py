"""One field at one time through training: every record in its column, spikes kept, names found, live runs growing."""

from __future__ import annotations

import time

import numpy as np
import pytest

import memviz
from memviz.dashboards.answers import stills as answers
from memviz.dashboards.answers.naming import names_of
from memviz.dashboards.answers.stills import Picture, stills
from memviz.dashboards.params import ApiError, Params
from memviz.dashboards.source import Source
from memviz.dashboards.workshop import Workshop
from memviz.testing.synthetic import write_dnc_run

READS = "memory/read_weights"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    write_dnc_run(folder / "copy", steps=11, batch=2)
    write_dnc_run(folder / "nan", steps=4, plant_nan=(2, 6))
    return folder


def asker(folder, parse):
    shop, source = Workshop("stills", 12), Source([folder])

    def ask(run="copy", until=("done", "following", "failed"), **parts):
        deadline = time.monotonic() + 60
        given = {name: [str(value)] for name, value in parts.items()}
        while True:
            head, codes = parse(stills(shop, source, run, Params(given)))
            if head["state"] in until:
                return head, codes
            assert time.monotonic() < deadline, head
            time.sleep(0.01)

    return ask


def exact(folder, field, time, item=0, head=None):
    """[row, record]"""
    stack = [record[field][time, item] for record in memviz.open(folder / "copy")]
    return np.stack([values if head is None else values[head] for values in stack], axis=1)


def test_a_picture_holds_every_record(folder, parse):
    head, codes = asker(folder, parse)(field=READS, time=14, item=1, head=1)
    assert (head["state"], head["known"], head["block"], head["title"]) == ("done", 11, 1, "Read weights")
    shown = codes[f"{READS}:1@14"] / 248
    np.testing.assert_allclose(shown, exact(folder, READS, 14, 1, 1), atol=1 / 496 + 1e-6)
    # The times beside it come with it, so that scrubbing finds them there.
    assert {tile["time"] for tile in head["tiles"]} == set(range(16))
    np.testing.assert_allclose(codes[f"{READS}:1@3"] / 248, exact(folder, READS, 3, 1, 1), atol=1 / 496 + 1e-6)


def test_derived_and_signed_fields(folder, parse):
    ask = asker(folder, parse)
    _, codes = ask(field="memory/usage", time=9)
    np.testing.assert_allclose(codes["memory/usage:0@9"] / 248, exact(folder, "memory/usage", 9), atol=1 / 496 + 1e-6)
    head, codes = ask(field="memory/read_vectors", time=12, head=0)
    tile = next(tile for tile in head["tiles"] if tile["time"] == 12)
    assert tile["vmin"] == -tile["vmax"]
    shown = (codes["memory/read_vectors:0@12"] / 124 - 1) * tile["vmax"]
    np.testing.assert_allclose(shown, exact(folder, "memory/read_vectors", 12, 0, 0), atol=tile["vmax"] / 240)


def test_more_records_than_columns_keep_the_largest(folder, parse):
    head, codes = asker(folder, parse)(field=READS, time=14, px=4, py=5)
    assert head["block"] == 4
    known = np.pad(exact(folder, READS, 14, 0, 0), ((0, 0), (0, 1)))
    cols = known.reshape(16, 3, 4).max(axis=2)
    rows = np.stack([cols[a:b].max(axis=0) for a, b in zip([0, 3, 6, 9, 12], [3, 6, 9, 12, 16], strict=True)])
    np.testing.assert_allclose(codes[f"{READS}:0@14"] / 248, rows, atol=1 / 496 + 1e-6)


def test_nan_is_seen(folder, parse):
    _, codes = asker(folder, parse)("nan", field=READS, time=10)
    shown = codes[f"{READS}:0@10"]
    broken = np.isnan(np.stack([record[READS][10, 0, 0] for record in memviz.open(folder / "nan")], axis=1))
    assert broken.any()
    assert ((shown == 255) == broken).all()


def test_a_time_is_found_by_its_name_in_each_record(folder, parse):
    record = memviz.open(folder / "copy")[0]
    name = names_of(record.labels, 0, record.lengths["memory"])[14]
    head, codes = asker(folder, parse)(field=READS, name=name)
    expected = exact(folder, READS, 14, 0, 0)
    np.testing.assert_allclose(codes[f"{READS}:0@{name}"] / 248, expected, atol=1 / 496 + 1e-6)
    assert (head["name"], name.split()[-1].isdigit()) == (name, True)
    none, _ = asker(folder, parse)(field=READS, name="no such word")
    assert (none["tiles"], none["known"]) == ([], 11)


def test_what_a_record_has_not_is_missing():
    picture = Picture(2, 8)
    picture.grow(3)
    picture.put(0, np.ones((2, 4), np.float32), 8)
    picture.put(2, np.ones((1, 4), np.float32), 8)
    picture.put(1, np.ones((2, 5), np.float32), 8)  # a memory of another size
    assert picture.known.tolist() == [[True, False, True], [True, False, False]]


def test_columns_join_as_the_run_grows():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(13, 2, 3)).astype(np.float32)
    values[5, 1, 2] = np.nan
    picture = Picture(2, 4)
    picture.kind = "signed"
    for count in range(1, 14):
        picture.grow(count)
        picture.put(count - 1, values[count - 1], 8)
    assert picture.block == 4
    for at, row, column in np.ndindex(2, 3, 4):
        part = values[column * 4 : column * 4 + 4, at, row]
        wanted = np.nan if np.isnan(part).any() else part[np.abs(part).argmax()]
        np.testing.assert_equal(picture.pooled[at, row, column], wanted)


def test_a_live_run_grows(tmp_path, parse, monkeypatch):
    monkeypatch.setattr("memviz.dashboards.source.REFRESH_SECONDS", 0.0)
    ask = asker(tmp_path, parse)
    with write_dnc_run(tmp_path / "copy", steps=2, live=True) as run:
        head, _ = ask(field=READS, time=4)
        assert (head["state"], head["known"]) == ("following", 2)
        run.append()
        head, codes = ask(field=READS, time=4)
        assert head["known"] == 3
        assert codes[f"{READS}:0@4"].shape == (16, 3)


def test_what_cannot_be_shown_is_refused_in_words(folder, parse):
    ask = asker(folder, parse)
    with pytest.raises(ApiError, match="no record of this run has a field"):
        ask(field="memory/nothing", time=0)
    with pytest.raises(ApiError, match="over time"):
        ask(field="memory/link_matrix", time=0)
    with pytest.raises(ApiError, match="'time' is missing"):
        ask(field=READS)
    assert ask(field=READS, time=3, stop=1, until=("stopped",))[0]["tiles"] == []


def test_a_wide_memory_takes_fewer_times_at_once(folder, parse, monkeypatch):
    monkeypatch.setattr(answers, "MOST", 16 * 64 * 2)
    head, _ = asker(folder, parse)(field=READS, time=7, px=64)
    assert {tile["time"] for tile in head["tiles"]} == {6, 7}
