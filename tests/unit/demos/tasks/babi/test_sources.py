"""Where batches come from: every story as likely as any other, or all in their order."""

from __future__ import annotations

from collections import Counter

import torch

from memviz.demos.tasks.babi.sources import Drawn, Generated
from memviz.demos.tasks.babi.stories import Story

STORIES = [Story(1, ("x",) * (1 + number % 7), f"{number}?", "y") for number in range(100)]


def test_every_story_is_drawn_about_as_often():
    source, generator = Drawn(STORIES), torch.Generator().manual_seed(0)
    drawn = Counter(story for _ in range(500) for story in source.draw(10, generator))
    assert set(drawn) == set(STORIES)
    assert max(drawn.values()) < 3 * min(drawn.values())


def test_a_batch_has_no_story_twice_and_little_padding():
    source, generator = Drawn(STORIES), torch.Generator().manual_seed(1)
    for _ in range(50):
        batch = source.draw(5, generator)
        assert len(set(batch)) == 5
        lengths = sorted({len(story.facts) for story in batch})
        assert len(lengths) <= 4 or lengths[0] == 1, "it wraps around from the longest to the shortest"


def test_unshuffled_stories_come_in_their_order_again_and_again():
    source, generator = Drawn(STORIES[:5], shuffle=False), torch.Generator()
    assert [source.draw(3, generator), source.draw(3, generator)] == [STORIES[:3], [*STORIES[3:5], STORIES[0]]]


def test_more_are_asked_for_than_there_are():
    assert len(Drawn(STORIES[:3]).draw(10, torch.Generator().manual_seed(0))) == 3


def test_new_stories_are_of_all_families():
    source, generator = Generated(range(1, 21), 130), torch.Generator().manual_seed(0)
    families = Counter(story.task for _ in range(60) for story in source.draw(16, generator))
    assert set(families) == set(range(1, 21))
    first, second = (Generated([1], 3).draw(8, torch.Generator().manual_seed(5)) for _ in range(2))
    assert first == second
    assert len(first) == 8
    assert max(len(story.facts) for story in first) <= 3
