"""The options in which public NTMs differ: shifts, orders of heads, starts and dialects."""

from __future__ import annotations

import pytest

from memviz.demos.models.ntm_options import STARTS, Dialect, Start, allowed_shifts, writes_before_reads
from memviz.errors import OptionError


@pytest.mark.parametrize(
    ("order", "expected"),
    [("after_write", (3, 3)), ("before_write", (0, 0)), ("in_turn", (0, 1)), ((2, 0), (2, 0))],
)
def test_a_read_order_says_how_many_writes_each_head_waits_for(order, expected):
    assert writes_before_reads(order, 2, 3) == expected


def test_a_head_in_turn_waits_for_no_more_writes_than_there_are():
    assert writes_before_reads("in_turn", 4, 2) == (0, 1, 2, 2)


@pytest.mark.parametrize("order", [(0,), (0, 4), (0, -1), (0, 1.0)])
def test_an_order_that_is_none_is_refused(order):
    with pytest.raises(OptionError, match="after how many of 3 write heads"):
        writes_before_reads(order, 2, 3)


def test_shifts_are_distinct_whole_numbers_in_the_order_given():
    assert allowed_shifts([1, 0, -1]) == (1, 0, -1)
    for shifts in ((), (0, 0), (0.5,), (True,)):
        with pytest.raises(OptionError, match="shifts must be distinct whole numbers"):
            allowed_shifts(shifts)


def test_named_starts_are_starts():
    assert STARTS["constant"] == Start()
    assert STARTS["learned"].memory == STARTS["learned"].controller == "learned"


def test_constants_of_a_dialect_are_small_and_fields_exist():
    with pytest.raises(OptionError, match="cosine_delta must be a number from 0 to 1, not -1"):
        Dialect(cosine_delta=-1)
    with pytest.raises(OptionError, match="each of bounded_by_tanh must be"):
        Dialect(bounded_by_tanh=("erase_vectors",))
