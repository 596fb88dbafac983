from __future__ import annotations

import warnings

import pytest

from memviz.recorders.faults import LIMIT, Faults, RecorderWarning


@pytest.fixture
def heard():
    return {"events": [], "off": []}


@pytest.fixture
def faults(heard):
    return Faults(lambda kind, text: heard["events"].append((kind, text)), heard["off"].append)


def fail(faults, reasons):
    for reason in reasons:
        faults.error(ValueError(reason), "here")


def test_an_error_is_counted_each_time_and_said_once(faults, heard):
    with pytest.warns(RecorderWarning) as caught:
        fail(faults, ["bad"] * 3)
    assert faults.count == 3
    assert [str(warning.message) for warning in caught] == ["memviz: here: ValueError: bad"]
    assert heard["events"] == [("error", "here: ValueError: bad")]


def test_too_many_errors_switch_off_once(faults, heard):
    with pytest.warns(RecorderWarning):
        fail(faults, range(LIMIT + 5))
    assert len(heard["off"]) == 1
    assert "10 errors" in heard["off"][0]


def test_where_warnings_are_errors_nothing_is_raised(faults, caplog):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        faults.error(ValueError("bad"), "here")
    assert "here: ValueError: bad" in caplog.text


def test_a_note_is_no_warning(faults, heard, caplog):
    faults.note("beside the point")
    assert heard["events"] == [("note", "beside the point")]
    assert "beside the point" in caplog.text
    assert not faults.messages
