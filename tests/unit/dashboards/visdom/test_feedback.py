"""What comes back over Visdom's socket is taken for what it is, and anything else for nothing."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memviz.dashboards.visdom.feedback import Event, parse


def message(**members):
    return json.dumps(members)


def test_a_change_of_a_property():
    text = message(event_type="PropertyUpdate", eid="copy", target="memviz:properties", propertyId=4, value="7")
    assert parse(text) == Event("property", "copy", "memviz:properties", 4, "7")


def test_a_window_closed_by_a_viewer_and_one_closed_by_memviz_itself():
    assert parse(message(event_type="close", eid="copy", target="w", pane_data={"id": "w"})) == Event(
        "closed", "copy", "w"
    )
    assert parse(message(event_type="close", eid="copy", target="w", pane_data=None)) is None


def test_the_greeting_says_that_the_server_is_there():
    assert parse(message(command="alive", data="vis_alive")) == Event("connected")


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{", '{"event_type": "KeyPress"}', '{"event_type":"PropertyUpdate"}']
)
def test_anything_else_is_nothing(text):
    assert parse(text) is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.dictionaries(
            st.sampled_from(["event_type", "eid", "target", "propertyId", "command", "pane_data"]), inner
        ),
    )
)
def test_no_message_breaks_it(value):
    parse(json.dumps(value))
