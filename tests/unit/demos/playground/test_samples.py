"""Stories to begin with: the same for the same seed, and with an answer that rests on facts that are there."""

from __future__ import annotations

import pytest

from memviz.demos.playground.samples import sample, samples
from memviz.demos.tasks.babi.families import FAMILIES


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.slug)
def test_a_family_and_a_seed_make_a_story_again(family):
    one = sample([family], 7, 130)
    assert one == sample([family], 7, 130)
    assert one.story.supporting
    assert max(one.story.supporting) < len(one.story.facts)
    assert one.to_json()["story"].split("\n") == list(one.story.facts)


def test_what_was_drawn_from_many_families_is_made_again_from_its_own():
    drawn = [sample(FAMILIES, seed, 130) for seed in range(12)]
    assert len({one.family for one in drawn}) > 4
    for one in drawn:
        assert sample([one.family], one.seed, 130) == one


def test_a_cut_story_keeps_what_its_answer_rests_on():
    for seed in range(20):
        story = sample([FAMILIES[2]], seed, 12).story
        assert len(story.facts) <= 12
        assert len(story.supporting) == 3


def test_the_list_goes_round_the_families():
    made = samples(FAMILIES[:2], 4, 130)
    assert [set(entry) for entry in made] == [{"Q", "A", "C"}] * 4
    assert "milk" in made[1]["C"] or "football" in made[1]["C"] or "apple" in made[1]["C"]
