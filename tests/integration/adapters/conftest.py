"""One forward of a model, recorded whole: every field of every batch item."""

from __future__ import annotations

import pytest
import torch

import memviz


@pytest.fixture
def recorded(tmp_path):
    """`recorded(model, *args)`: the record of one forward. Nothing may have gone wrong; `training` decides the mode."""

    def record(model, *args, training=False, options=None, **kwargs):
        model.train(training)
        folder = tmp_path / f"run{len(list(tmp_path.iterdir()))}"
        with memviz.attach(model, folder, **{"every": 1, "fields": "all", "batch": "all", **(options or {})}) as rec:
            with torch.set_grad_enabled(training):
                model(*args, **kwargs)
            assert rec.flush(60)
            assert rec.stats().errors == 0, rec.explain()
        return memviz.open(folder)[0]

    return record
