"""Synthetic stories end as they are said to, and a live run grows."""

from __future__ import annotations

import numpy as np
import pytest

import memviz
from memviz.analysis.stories import read_stories
from memviz.testing.stories import ENDS, PLACES, write_story_run

KINDS = {
    "plain": "right, facts found",
    "eclipsed": "right, facts found",
    "missed": "wrong, facts missed",
    "mistaken": "wrong, facts found",
    "lucky": "right, facts missed",
    "alike": "right, facts missed",
}


@pytest.mark.parametrize("seed", range(3))
def test_stories_end_as_they_are_said_to(tmp_path, seed):
    path = write_story_run(tmp_path / "run", records=6, items=2, seed=seed).path
    for number, record in enumerate(memviz.open(path)):
        for story in read_stories(record):
            end = ENDS[(number * 2 + story.item) % len(ENDS)]
            assert story.kind == KINDS[end]
            assert bool(story.eclipsed) == (end == "eclipsed")
            assert (story.divergence.max() < 0.1) == (end in ("missed", "lucky", "alike"))
            shares = [share for _, share in story.told.alternatives]
            last = record["answer_probabilities"][-1, story.item]
            np.testing.assert_allclose(np.sort(last)[::-1], np.sort(shares)[::-1], rtol=1e-6)
            assert story.told.alternatives[int(np.argmax(shares))][0] == PLACES[int(last.argmax())]


def test_a_live_run_grows_and_closes(tmp_path):
    with write_story_run(tmp_path / "run", records=2, live=True) as run:
        trace = memviz.open(run.path)
        assert (len(trace), trace.state) == (2, "live")
        run.append()
        trace.refresh()
        assert len(trace) == 3
    trace.refresh()
    assert trace.state == "closed"
