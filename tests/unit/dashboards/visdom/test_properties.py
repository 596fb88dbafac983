"""What a change in the properties pane means, and that nothing a browser may send breaks it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memviz.dashboards.visdom.place import SIZES, Offer, Place
from memviz.dashboards.visdom.properties import choose, properties

OFFER = Offer((0, 10, 20, 30), 20, 21, 20, (0, 3), 2, ("layer0", "layer1"), "layer0")


def row(name, place=None, offer=OFFER):
    names = [entry["name"] for entry in properties(place or Place(), offer)]
    return next(index for index, entry in enumerate(names) if entry.startswith(name))


def after(name, value, place=None):
    place = place or Place()
    return choose(place, OFFER, row(name), value).place


def test_the_pane_shows_what_is_shown():
    shown = {entry["name"]: entry for entry in properties(Place(step=20, head=1, item=1), OFFER)}
    assert shown["follow live"]["value"] is False
    assert shown["step (0 … 30)"]["value"] == 20
    assert shown["time (0 … 20)"]["value"] == 20
    assert shown["batch item"] == {
        "name": "batch item",
        "type": "select",
        "value": 1,
        "values": ["item 0", "item 3"],
    }
    assert shown["head"]["values"] == ["every head", "head 0", "head 1"]
    assert shown["head"]["value"] == 2
    assert shown["memory"]["value"] == 0


def test_following_stops_at_what_is_shown_and_begins_again():
    assert after("follow", False) == Place(step=20)
    assert after("follow", True, Place(step=10)) == Place()


def test_a_step_is_chosen_and_a_field_left_unchanged_goes_on_following():
    assert after("step", "10") == Place(step=10)
    assert after("step", "20") == Place()


def test_records_beside_the_one_shown():
    first = row("record")
    assert choose(Place(), OFFER, first, "clicked").place == Place(step=10)
    assert choose(Place(step=20), OFFER, first + 1, "clicked").place == Place(step=30)


def test_time_item_head_memory_and_size():
    assert after("time", "7").time == 7
    assert after("time", "20", Place(time=7)) == Place(time=7)
    assert after("time", "99", Place(time=7)).time is None
    assert after("batch item", "1").item == 1
    assert after("head", "2").head == 1
    assert after("head", "0", Place(head=1)).head is None
    assert after("memory", "1").memory == "layer1"
    assert after("pane size", "2").size == list(SIZES)[2]


def test_closed_panes_come_back():
    assert choose(Place(), OFFER, row("closed"), "clicked").reopen


@pytest.mark.parametrize("value", ["", "x", "7.", None, [], {}, "1e999", "nan", -1, "99999999999999999999"])
def test_an_impossible_choice_changes_nothing_that_cannot_be(value):
    for index in range(len(properties(Place(), OFFER))):
        place = choose(Place(), OFFER, index, value).place
        assert place.item in (0, 1)
        assert place.memory in (None, "layer0", "layer1")
        assert place.size in SIZES
        assert place.head in (None, 0, 1)


@given(st.integers(-3, 20), st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)))
def test_any_message_leads_to_a_place_whose_pane_can_be_drawn(index, value):
    place = choose(Place(), OFFER, index, value).place
    properties(place, OFFER)
