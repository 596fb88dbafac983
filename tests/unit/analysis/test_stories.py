"""A story says what was kept in numbers of its own definition, reads any labels, and names answers by probability."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from memviz.analysis.array_record import ArrayRecord
from memviz.analysis.episodes import divergence
from memviz.analysis.stories import KINDS_OF_RESULT, memories_of, read_stories
from memviz.analysis.story_answers import answers_of
from memviz.analysis.story_labels import LONGEST, told
from memviz.analysis.story_text import answer_text, gate_text, hops_text, kept_text, story_text, support_text
from memviz.errors import FieldError
from memviz.trace.schema import FieldSchema

FACTS = ["mary got the milk", "mary dropped the milk", "mary got the milk", "mary went to the hall."]
LABELS = {
    "facts": FACTS,
    "question": "where is the milk",
    "answer": "hall",
    "supporting": [2, 3],
    "predicted": "hall",
    "confidence": 0.9,
    "right": True,
    "alternatives": [["hall", 0.9], ["garden", 0.1]],
}
GATES = np.array([[[0.9, 0.96, 0.9, 0.0]], [[0.0, 0.0, 0.1, 0.99]]])


def record(gates=GATES, law="dmn", attributes=None, **labels):
    attributes = {"episode": "gated"} if attributes is None else attributes
    fields = {"episodic_attention": np.asarray(gates, np.float64)}
    return ArrayRecord(fields, law=law, attributes=attributes, labels=labels)


def story(gates=GATES, item=0, **labels):
    return read_stories(record(gates, **{**LABELS, **labels}))[item]


def unrolled(gates):
    """What is kept of each fact, and of the start, by running the episode on one-hot candidates."""
    state = np.eye(len(gates) + 1)[-1]
    for fact, gate in enumerate(gates):
        state = gate * np.eye(len(gates) + 1)[fact] + (1 - gate) * state
    return state


def test_what_is_kept_is_what_the_running_episode_keeps():
    gates = np.random.default_rng(0).uniform(0, 1, (4, 3, 7))
    for item, one in enumerate(read_stories(record(gates))):
        for hop in range(4):
            known = unrolled(gates[hop, item])
            np.testing.assert_allclose(np.append(one.effective[hop], one.left[hop]), known, atol=1e-15)
        np.testing.assert_allclose(one.effective.sum(axis=1) + one.left, 1, atol=1e-12)
        shares = np.concatenate([one.effective, one.left[:, None]], axis=1)
        for a in range(4):
            for b in range(4):
                known = jensenshannon(shares[a], shares[b], base=2) ** 2 if a != b else 0
                assert one.divergence[a, b] == pytest.approx(known, abs=1e-9)


def test_a_sum_keeps_its_gates_and_an_unknown_memory_is_said_to_be_one():
    kept = read_stories(record([[[0.5, 0.2, 0.1]]], attributes={"episode": "sum"}))[0]
    np.testing.assert_array_equal(kept.effective, kept.gates)
    assert kept.left[0] == pytest.approx(0.2)
    assert kept.declared
    assert "weighted sum" in gate_text(kept)
    plain = read_stories(record(law="", attributes={}))[0]
    assert (plain.episode, plain.declared) == ("gated", False)


def test_a_story_in_sentences():
    one = story()
    assert [(e.hop, e.fact) for e in one.eclipsed] == [(0, 0), (0, 1)]
    assert kept_text(one) == (
        "Hop 0 keeps fact 2 “mary got the milk” (0.90); hop 1 keeps fact 3 “mary went to the hall” (0.99)."
    )
    assert gate_text(one) == (
        "Hop 0 opens its gate widest for fact 1 (0.96), of which later facts leave 0.10. "
        "Ranking by the gate would name the wrong source."
    )
    assert hops_text(one).startswith("The hops do different things: ")
    assert support_text(one) == "Both supporting facts are among those kept most: 2 and 3."
    assert answer_text(one) == "hall, as expected"
    assert one.kind == "right, facts found"
    assert story_text(one).count("\n") == 4


def test_hops_that_do_the_same_are_said_to():
    same = [[[0.9, 0.0]], [[0.91, 0.0]], [[0.0, 0.9]]]
    assert hops_text(story(same)).startswith("Hops 0 and 1 do the same; hops ")
    assert hops_text(story(same[:2])).startswith("Both hops do the same (0.0")
    assert "nothing to compare" in hops_text(story(same[:1]))
    partly = [[[0.6, 0.3]], [[0.4, 0.5]]]
    assert hops_text(story(partly)).startswith("The hops do partly different things")


def test_what_no_hop_keeps_is_said():
    shut = story([[[0.01, 0.02, 0.0, 0.0]], [[0.3, 0.3, 0.3, 0.3]]])
    assert "hop 1 keeps parts of several facts, most of fact 3 (0.30)" in kept_text(shut)
    assert "Hop 0 keeps no fact" in kept_text(shut)
    assert "0 of 2" in support_text(story([[[0.9, 0.9, 0.0, 0.0]]], supporting=[2, 3]))


def test_the_end_of_a_story_has_a_kind():
    kinds = {
        story(right=False).kind,
        story(right=False, supporting=[0]).kind,
        story(right=False, supporting=None).kind,
        story(supporting=[0]).kind,
        story().kind,
        story(supporting=None).kind,
        read_stories(record())[0].kind,
    }
    assert kinds == set(KINDS_OF_RESULT)
    assert story(right=False, predicted="garden").kind == "wrong, facts found"
    assert answer_text(story(right=False, predicted="garden")) == "garden, but hall was right"


def test_gates_that_are_no_numbers_are_said():
    broken = story([[[np.nan, 0.5, 0.5, 0.5]]])
    assert "not numbers" in kept_text(broken)
    assert broken.found is None
    assert gate_text(broken) == ""
    assert "not numbers" in support_text(broken)


def test_labels_of_one_item_and_of_each():
    one = told(LABELS, 1, (0, 3), 4)
    assert one.facts == ()
    assert one.missing == ("facts", "question", "answer", "supporting", "predicted", "alternatives")
    each = {name: [value, value] for name, value in LABELS.items()} | {"answer": ["hall", "garden"], "right": 1}
    second = told(each, 1, (0, 3), 4)
    assert second.facts == tuple(FACTS)
    assert second.supporting == (2, 3)
    assert second.right is False
    assert second.alternatives[0] == ("hall", 0.9)
    assert second.missing == ()
    # A list of the whole training batch is looked up by position.
    whole = told({"question": ["a", "b", "c", "d"], "supporting": [[0], [1], [2], [3]]}, 1, (0, 3), 4)
    assert (whole.question, whole.supporting) == ("d", (3,))


@pytest.mark.parametrize("strange", [None, 3, "x", True, {"a": 1}, [], [[]], [None], [[None, {}], 3], [["x"]], [3.5]])
def test_labels_of_any_form_are_read(strange):
    for item in range(2):
        read = told(dict.fromkeys(LABELS, strange) | {"task": strange, "family": strange}, item, (0, 3), 4)
        assert all(isinstance(fact, str) for fact in read.facts)
        assert read.supporting is None or all(0 <= fact < 4 for fact in read.supporting)


def test_long_texts_are_cut():
    assert len(told({"question": "x" * 10_000}, 0, (0,), 1).question) == LONGEST


def test_a_label_that_leaves_the_answer_to_its_alternatives():
    read = told({"alternatives": [["hall", 0.7], ["garden", 0.3]], "answer": "Hall"}, 0, (0,), 1)
    assert (read.predicted, read.confidence, read.right) == ("hall", 0.7, True)


def test_a_record_without_gates_over_facts_says_so():
    other = ArrayRecord({"read_weights": np.ones((2, 1, 1, 3))})
    assert memories_of(other) == ()
    with pytest.raises(FieldError, match="no episodic_attention"):
        read_stories(other)
    with pytest.raises(FieldError, match="memories that have it: memory"):
        read_stories(record(), "choices.A")


def answered(last, given, **labels):
    """The answers of a record of two hops with probabilities."""
    fields = {
        "episodic_attention": GATES,
        "answer_probabilities": np.stack([np.full_like(last, 1 / len(last)), last])[:, None],
    }
    known = Declared(fields, law="dmn", labels={"alternatives": given, **labels})
    return answers_of(known, read_stories(known)[0])


class Declared(ArrayRecord):
    """With the axes that the tap of the demos declares."""

    def __init__(self, fields, **more):
        super().__init__(fields, **more)
        own = dict(self.memories["memory"].fields)
        own["answer_probabilities"] = FieldSchema("answer_probabilities", ("time", "batch", "answer"), "float64")
        self.memories = {"memory": replace(self.memories["memory"], fields=own)}


def test_answers_are_named_by_their_probability():
    last = np.array([0.1, 0.6, 0.25, 0.05])
    found = answered(last, [["a", 0.6], ["b", 0.25], ["c", 0.1]])
    assert found.column == (1, 2, 0)
    np.testing.assert_allclose(found.of(0), [0.25, 0.6])
    assert found.settled(0) == 1
    assert found.settled(1) is None


def test_choices_name_their_answers():
    last = np.array([0.3, 0.3, 0.4])
    choices = {"A": "hall", "B": "garden", "C": "office"}
    found = answered(last, [["office", 0.4], ["hall", 0.3], ["garden", 0.3]], choices=choices, predicted="garden")
    assert found.column == (2, 0, 1)
    assert told({"choices": choices, "predicted": "garden"}, 0, (0,), 1).letter == "B"
    assert told({"choices": ["x"], "predicted": "B"}, 0, (0,), 1).letter == "B"


def test_answers_that_cannot_be_told_apart_are_not_named():
    found = answered(np.array([0.3, 0.3, 0.4]), [["a", 0.4], ["b", 0.3], ["c", 0.3]])
    assert found.column == (2, None, None)
    assert found.of(1) is None
    # Probabilities of another forward are not those recorded.
    assert answered(np.array([0.9, 0.1]), [["a", 0.8], ["b", 0.2]]).column == (None, None)


def test_divergence_of_what_is_not_finite_is_none():
    assert np.isnan(divergence(np.array([np.nan, 1.0]), np.array([0.5, 0.5])))
