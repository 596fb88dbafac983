"""Checks of a state that somebody hands in: one line that names the part."""

from __future__ import annotations

import pytest
import torch

from memviz.demos.models.dnc_state import check_parts, check_shape, parts
from memviz.errors import OptionError


def test_the_parts_of_a_state_may_be_missing():
    assert parts(None) == (None, None, None)
    assert parts((1, None, 2)) == (1, None, 2)


@pytest.mark.parametrize(("state", "said"), [((1, 2), "tuple of 2"), ("abc", "str"), (torch.zeros(3), r"shape \[3\]")])
def test_anything_else_is_no_state(state, said):
    with pytest.raises(OptionError, match=f"each of them or None, not .*{said}"):
        parts(state)


def test_a_part_of_another_shape_is_named():
    with pytest.raises(OptionError, match=r"last_read of the state must be a tensor of the shape \[2, 3\], not one of"):
        check_shape("last_read", torch.zeros(3, 2), (2, 3))
    with pytest.raises(OptionError, match=r"hidden\[1\] of the state"):
        check_parts("hidden", (torch.zeros(2), torch.zeros(3)), [(2,), (2,)])
    with pytest.raises(OptionError, match="hidden of the state must hold 2, not list of 1"):
        check_parts("hidden", [torch.zeros(2)], [(2,), (2,)])
