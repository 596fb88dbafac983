from __future__ import annotations

import pytest

from memviz.errors import RecorderError
from memviz.fields import GENERATORS
from memviz.recorders.capture import MemoryInfo
from memviz.recorders.selection import BatchChoice, FieldChoice

STATE = ("memory", "usage", "link_matrix", "precedence_weights")
CONTROLS = ("write_gate", "allocation_gate", "read_modes", "read_keys", "read_strengths")
INNER = ("write_content_weights", "forward_weights")
INITIAL = ("initial/memory", "initial/usage")
REACHABLE = (*GENERATORS, *STATE, *CONTROLS, *INNER, *INITIAL)


def choose(value, law="dnc", tapped=False, reachable=REACHABLE):
    return FieldChoice.parse(value).choose("layer0", MemoryInfo(law, {}, tapped), reachable)


def test_by_default_what_a_law_derives_is_left_to_it():
    assert choose("default") == {*GENERATORS, *CONTROLS, *INITIAL, "final/memory"}


def test_without_a_law_the_state_is_recorded():
    assert choose("default", law="") == {*GENERATORS, *CONTROLS, *INITIAL, *STATE}


def test_without_a_generator_the_state_that_needs_it_is_recorded():
    without = tuple(name for name in REACHABLE if name != "erase_vectors")
    chosen = choose("default", reachable=without)
    assert "memory" in chosen
    assert "final/memory" not in chosen
    assert "precedence_weights" not in chosen, "it still follows from the write weights"


def test_what_was_tapped_on_purpose_is_recorded_unless_derived():
    assert choose("default", law="", tapped=True) == set(REACHABLE)
    assert "forward_weights" not in choose("default", tapped=True)


def test_all_is_everything():
    assert choose("all") == set(REACHABLE)


def test_names_are_exact():
    assert choose(["usage", "layer0/memory", "layer1/write_gate"]) == {"usage", "memory"}


def test_names_add_to_the_default():
    assert choose(["default", "usage"]) == choose("default") | {"usage"}
    assert "final/memory" not in choose(["default", "memory"])


def test_a_last_value_can_be_asked_for():
    assert choose(["final/usage"]) == {"final/usage"}


@pytest.mark.parametrize(
    ("value", "items", "words"),
    [
        (0, (0,), "batch item 0"),
        (-1, (3,), "batch item -1"),
        (7, (), "batch item 7"),
        ([2, 0], (2, 0), "batch items 2, 0"),
        ([1, 9], (1,), "batch items 1, 9"),
        ("all", (0, 1, 2, 3), "all batch items"),
        (slice(1, None, 2), (1, 3), "batch items slice(1, None, 2)"),
        (range(2), (0, 1), "batch items 0, 1"),
    ],
)
def test_batch_choices(value, items, words):
    choice = BatchChoice(value)
    assert choice.items(4) == items
    assert str(choice) == words


@pytest.mark.parametrize("value", ["", "first", [], [1.0], ["0"]])
def test_what_is_no_batch_choice(value):
    with pytest.raises(RecorderError, match="batch="):
        BatchChoice(value)
