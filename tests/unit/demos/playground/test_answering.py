"""Answers are those of the network itself, gates and what is kept of facts included; bad questions are refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from memviz.analysis.episodes import effective_gates
from memviz.demos.checkpointing import load_checkpoint, save_checkpoint
from memviz.demos.models.dmn import DMN
from memviz.demos.playground import limits
from memviz.demos.playground.answering import KEPT, Network, Refusal, Shelf
from memviz.demos.tasks.babi.generate import generate
from memviz.demos.tasks.babi.stories import Story
from memviz.demos.tasks.babi.task import BabiTask

STORY = "Mary moved to the garden.\nJohn went to the office."


@pytest.fixture(scope="module", params=["plus-1", "batch-soft", "smooth-words"])
def network(networks, request):
    return Network.load(networks / f"{request.param}.safetensors")


@pytest.mark.parametrize("story", generate([1], 3, 5))
def test_an_answer_is_that_of_the_forward(network, story):
    told = Story(1, story.facts, story.question, story.answer)
    encoded = network.vocabulary.encode_all([told])
    with torch.no_grad():
        output = network.model(encoded.facts, encoded.question)
    known = torch.softmax(output.answer.double(), 1)[0]
    answer = network.predict("\n".join(story.facts), story.question)
    order = known.argsort(descending=True)
    assert answer["answer"] == network.vocabulary.answers[order[0]]
    assert [name for name, _ in answer["alternatives"]] == [network.vocabulary.answers[i] for i in order[:10]]
    np.testing.assert_allclose([p for _, p in answer["alternatives"]], known[order[:10]], atol=1e-6)
    np.testing.assert_allclose(answer["episodes"], output.gates[:, 0].double(), atol=1e-6)
    kind = "sum" if network.model.options.episode == "soft" else "gated"
    effective, _ = effective_gates(np.array(answer["episodes"]), kind)
    np.testing.assert_array_equal(answer["effective"], effective)
    np.testing.assert_allclose(np.sum(answer["effective"], axis=1) + answer["left"], 1, atol=1e-12)
    assert len(answer["facts"]) == len(answer["episodes"][0])
    assert answer["hops"][-1][0] == answer["answer"]
    assert answer["hops"][-1][1] == pytest.approx(answer["confidence"], abs=1e-6)


def test_of_gated_words_the_facts_are_words(networks):
    answer = Network.load(networks / "smooth-words.safetensors").predict(STORY, "Where is Mary?")
    assert answer["facts"] == ["mary", "moved", "to", "the", "garden", ".", "john", "went", "to", "the", "office", "."]
    assert np.shape(answer["episodes"]) == (2, 12)


def test_it_describes_itself(networks):
    network = Network.load(networks / "batch-soft.safetensors")
    card = network.describe()
    assert card["hyperparameters"]["hops"] == 2
    assert card["hyperparameters"]["batch_norm"] is True
    assert card["episode"] == "sum"
    assert card["parameters"] == sum(p.numel() for p in network.model.parameters())
    assert {"yes", "no", "garden"} <= set(card["answers"])
    assert "mary" in card["vocab"]
    assert not {"", "."} & set(card["vocab"])


def test_a_model_that_was_loaded_answers_as_the_one_that_was_saved(networks):
    checkpoint = load_checkpoint(networks / "plus-1.safetensors")
    task = BabiTask(tasks="1")
    direct = DMN(len(task.vocabulary.words), len(task.vocabulary.answers), **checkpoint.plan.model_options)
    direct.load_state_dict(dict(checkpoint.model))
    encoded = task.vocabulary.encode_all([Story(1, tuple(STORY.split("\n")), "Where is Mary", "")])
    with torch.no_grad():
        known = torch.softmax(direct.eval()(encoded.facts, encoded.question).answer, 1)[0].max()
    answer = Network.load(networks / "plus-1.safetensors").predict(STORY, "Where is Mary?")
    assert answer["confidence"] == pytest.approx(float(known), abs=1e-6)


@pytest.mark.parametrize(
    ("story", "question", "status", "says"),
    [
        ("", "Where is Mary?", 422, "no story"),
        (" \n ... \n!", "Where is Mary?", 422, "no story"),
        (STORY, "", 422, "no question"),
        (STORY, "?!", 422, "no question"),
        ("Mary went to the zoo.", "Where is Mary?", 422, "zoo"),
        ("Mary went.\n" * (limits.FACTS + 1), "Where is Mary?", 413, "301 sentences"),
        ("mary " * (limits.WORDS + 1), "Where is Mary?", 413, "101 words"),
        (STORY, "mary " * (limits.WORDS + 1), 413, "101 words"),
        ("\0", "Where is Mary?", 422, "\0"),
    ],
)
def test_what_cannot_be_answered_is_refused(network, story, question, status, says):
    with pytest.raises(Refusal, match=says) as refused:
        network.predict(story, question)
    assert refused.value.status == status
    assert refused.value.error["expected"]


def test_unknown_words_are_named_for_story_and_question_apart(network):
    with pytest.raises(Refusal) as refused:
        network.predict("The <b>zoo</b> is WET, wet.\nMary slept.", "Where is 动物园?")
    assert refused.value.error["unknown"] == {"story": ["<b>zoo</b>", "wet", "slept"], "question": ["动物园"]}


def test_the_longest_story_that_is_taken_is_answered(network):
    answer = network.predict("Mary went to the garden.\n" * limits.FACTS, "Where is Mary?")
    assert np.isfinite(answer["effective"]).all()


@pytest.mark.parametrize(("name", "value"), [("hops", 10**9), ("dim", 10**9), ("hops", "3"), ("answer_steps", 65)])
def test_what_a_file_claims_is_checked_before_anything_is_made(networks, tmp_path, name, value):
    checkpoint = load_checkpoint(networks / "plus-1.safetensors")
    save_checkpoint(replace(checkpoint, plan=checkpoint.plan.but(model_options={name: value})), tmp_path / "claims")
    with pytest.raises(Refusal, match=name) as refused:
        Shelf().network(str(tmp_path / "claims.safetensors"), "1")
    assert refused.value.status == 500


def test_a_network_that_learned_from_files_that_are_gone_says_so(networks, tmp_path):
    checkpoint = load_checkpoint(networks / "plus-1.safetensors")
    plan = checkpoint.plan.but(task_options={"babi": str(tmp_path / "tasks_1-20_v1-2")})
    save_checkpoint(replace(checkpoint, plan=plan), tmp_path / "files")
    with pytest.raises(Refusal, match="tasks_1-20_v1-2"):
        Shelf().network(str(tmp_path / "files.safetensors"), "1")


def test_word_vectors_of_glove_need_no_file(networks, tmp_path):
    checkpoint = load_checkpoint(networks / "plus-1.safetensors")
    plan = checkpoint.plan.but(task_options={"glove": str(tmp_path / "glove.txt")}, model_options={"word_size": 50})
    path = save_checkpoint(replace(checkpoint, plan=plan), tmp_path / "glove")
    assert Network.load(path).predict(STORY, "Where is Mary?")["answer"]


def test_the_shelf_keeps_the_last_and_takes_a_changed_file_anew(networks):
    shelf = Shelf()
    path = str(networks / "plus-1.safetensors")
    first = shelf.network(path, "0")
    assert shelf.network(path, "0") is first
    for stamp in range(1, KEPT + 1):
        assert shelf.network(path, str(stamp)) is not first
    assert len(shelf._networks) == KEPT
