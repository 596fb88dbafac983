"""Traces to export from."""

from __future__ import annotations

import pytest

import memviz
from memviz.dashboards.fieldview import Values
from memviz.dashboards.source import ArrayCache
from memviz.testing.synthetic import write_dnc_run


@pytest.fixture(scope="session")
def copy_run(tmp_path_factory):
    """Three records of two items with default fields; closed."""
    return write_dnc_run(tmp_path_factory.mktemp("export") / "copy run", steps=3, times=9, slots=8, words=6, batch=2)


@pytest.fixture
def trace(copy_run):
    return memviz.open(copy_run)


@pytest.fixture
def values():
    return lambda record: Values(record, (record.id,), ArrayCache())
