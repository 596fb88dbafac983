"""bAbI as a task: families, parts of the files, batches, and what a network learns from."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from memviz.demos.building import make_model, make_task
from memviz.demos.models.dmn import DMN, DMNOutput
from memviz.demos.models.dmn_loss import gate_loss
from memviz.demos.plan import Plan
from memviz.demos.tasks.babi.generate import generate
from memviz.demos.tasks.babi.task import BabiTask
from memviz.errors import OptionError

SMALL = {"hops": 2, "dim": 4, "word_size": 4}


def as_file(stories):
    """Stories in the format of the files, a telling of one question each."""
    lines = []
    for story in stories:
        lines += [f"{number} {fact}" for number, fact in enumerate(story.facts, start=1)]
        support = " ".join(str(place + 1) for place in story.supporting)
        lines.append(f"{len(story.facts) + 1} {story.question}\t{story.answer}\t{support}")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("babi")
    (path / "all_shuffled_train.txt").write_text(as_file(generate([1, 16], 60, 1)))
    (path / "all_shuffled_test.txt").write_text(as_file(generate([1, 16], 20, 2)))
    return path


@pytest.mark.parametrize(
    ("tasks", "families"),
    [("1", (1,)), (2, (2,)), ("3, 1,3", (1, 3)), ("joint", tuple(range(1, 21)))],
)
def test_families_by_number_or_all(tasks, families):
    assert BabiTask(tasks).families == families


@pytest.mark.parametrize("tasks", ["0", "21", "", "one", "1,,2", "-1", 1.5])
def test_families_that_do_not_exist(tasks):
    with pytest.raises(OptionError, match="tasks must be numbers from 1 to 20 with commas between them, or joint"):
        BabiTask(tasks)


@pytest.mark.parametrize("options", [{"facts": 0}, {"supervision": -1}, {"validation": 0.9}, {"split": -1}])
def test_bad_options(options):
    with pytest.raises(OptionError, match=next(iter(options))):
        BabiTask(**options)


def test_parts_of_the_files_share_no_story(folder):
    task = BabiTask("1,16", str(folder), validation=0.25)
    told = {name: task.part(name) for name in ("train", "validation", "test")}
    assert {name: Counter(story.task for story in stories) for name, stories in told.items()} == {
        "train": {1: 45, 16: 45},
        "validation": {1: 15, 16: 15},
        "test": {1: 20, 16: 20},
    }
    assert not set(told["train"]) & set(told["validation"])
    other = BabiTask("1,16", str(folder), validation=0.25, split=1)
    assert set(other.part("validation")) != set(told["validation"])
    assert BabiTask("16", str(folder), validation=0).part("validation") == []


def test_questions_of_one_telling_stay_together(tmp_path):
    lines = []
    for telling in range(40):
        lines += [f"1 Mary went to the garden {telling}.", "2 Where is Mary?\tgarden\t1"]
        lines += [f"3 Mary went to the office {telling}.", "4 Where is Mary?\toffice\t3"]
    (tmp_path / "qa1_x_train.txt").write_text("\n".join(lines))
    (tmp_path / "qa1_x_test.txt").write_text("\n".join(lines[:4]))
    task = BabiTask("1", str(tmp_path))
    first = {name: {story.facts[0] for story in task.part(name)} for name in ("train", "validation")}
    assert not first["train"] & first["validation"]
    assert len(task.part("validation")) == 8


def test_words_come_from_the_training_files_or_from_what_can_be_made(folder):
    task = BabiTask("1", str(folder))
    assert "swan" not in task.vocabulary.words
    assert set(task.vocabulary.answers) <= {"bathroom", "bedroom", "garden", "hallway", "kitchen", "office"}
    made = BabiTask("1,15").vocabulary
    assert {"mary", "gertrude"} <= set(made.words)


def test_batches_have_about_one_length_and_repeat_with_the_seed():
    task = BabiTask("2")
    first, second = (task.batch(16, torch.Generator().manual_seed(4)) for _ in range(2))
    assert first.stories == second.stories
    lengths = [len(story.facts) for story in first.stories]
    everything = [len(story.facts) for story in generate([2], 500, 0)]
    assert max(lengths) - min(lengths) < (max(everything) - min(everything)) / 2
    assert len(first) == 16


def test_no_more_than_the_last_facts_are_kept():
    task = BabiTask("2", facts=5)
    batch = task.batch(32, torch.Generator().manual_seed(0))
    assert batch.encoded.facts.shape[1] <= 5
    assert all(place < 5 for story in batch.stories for place in story.supporting)


def test_what_is_judged_by_was_not_learned_from(folder):
    task = BabiTask("1,16", str(folder))
    fresh = task.fresh(8, torch.Generator().manual_seed(0))
    assert set(fresh.stories) <= set(task.part("validation"))
    assert set(task.batch(8, torch.Generator().manual_seed(0)).stories) <= set(task.part("train"))


def built(supervision=0.0, l2=0.0, **options):
    plan = Plan("babi", {"supervision": supervision, "l2": l2}, model="dmn", model_options=SMALL | options)
    task = make_task(plan)
    torch.manual_seed(0)
    return task, make_model(plan, task)


@pytest.mark.parametrize("options", [{}, {"normalise": "scores"}, {"mask": "word"}])
def test_supervision_adds_how_far_the_gates_are_from_the_supporting_facts(options):
    task, model = built(5.0, **options)
    batch = task.batch(16, torch.Generator().manual_seed(0))
    answer = task.answer(model, batch)
    plain = torch.nn.functional.cross_entropy(answer.answer, batch.encoded.answer)
    supporting = batch.encoded.supporting
    if options.get("mask") == "word":
        ends = (batch.encoded.facts != 0).sum(2).cumsum(1) - 1
        supporting = ends.gather(1, supporting)
    apart = gate_loss(answer, supporting, normalised="normalise" in options)
    assert task.loss(answer, batch).item() == pytest.approx((plain + 5 * apart).item(), rel=1e-6)


def test_the_loss_is_cross_entropy_and_what_was_asked_for():
    task, model = built(l2=0.25)
    batch = task.probe()
    answer = task.answer(model.eval(), batch)
    plain = torch.nn.functional.cross_entropy(answer.answer, batch.encoded.answer)
    assert task.loss(answer, batch).item() == pytest.approx((plain + 0.25 * model.penalty()).item(), rel=1e-6)


def test_an_answer_that_cannot_be_given_is_a_mistake(folder):
    task = BabiTask("1", str(folder))
    task.build(DMN, SMALL)
    stories = task.part("train")[:2]
    unheard = type(stories[0])(1, stories[0].facts, stories[0].question, "nowhere", (0,))
    batch = task.together([stories[0], unheard])
    given = torch.nn.functional.one_hot(batch.encoded.answer.clamp(min=0), len(task.vocabulary.answers)).float()
    empty = torch.zeros(0)
    assert task.mistakes(DMNOutput(given, empty, empty, empty), batch) == 0.5


def test_the_story_of_a_record_is_answered_without_dropout():
    task, model = built(dropout=0.9)
    model.train()
    probe = task.probe()
    assert torch.equal(task.answer(model, probe).answer, task.answer(model, probe).answer)
    assert model.training
    assert all(module.training for module in model.modules())
    assert probe.labels()["confidence"] == pytest.approx(
        torch.softmax(task.answer(model, probe).answer[0], 0).max().item(), rel=1e-6
    )


def test_labels_of_words_where_words_are_facts():
    task, model = built(mask="word")
    probe = task.probe()
    labels = probe.labels()
    story = probe.stories[0]
    gates = task.answer(model, probe).gates
    assert len(labels["facts"]) == gates.shape[2]
    assert [labels["facts"][place] for place in labels["supporting"]] == ["."] * len(story.supporting)
    before = labels["facts"][: labels["supporting"][0]]
    assert before.count(".") == story.supporting[0]


def test_glove_vectors_are_those_of_the_words_and_stay(tmp_path):
    path = tmp_path / "glove.txt"
    path.write_text("mary 1 2 3\ngarden 4 5 6\n")
    task = make_task(Plan("babi", {"glove": str(path)}, model="dmn"))
    model = task.build(DMN, {"hops": 1, "dim": 4})
    number = task.vocabulary.words.index("mary")
    assert model.words.weight[number].tolist() == [1, 2, 3]
    assert not model.words.weight.requires_grad
