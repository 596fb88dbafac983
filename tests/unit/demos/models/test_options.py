"""The checks of options: what passes, and the one line that each refusal gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from memviz.demos.models import options


def refusal(check, *args, **kwargs):
    with pytest.raises(ValueError) as caught:
        check(*args, **kwargs)
    line = str(caught.value)
    assert "\n" not in line
    return line


@pytest.mark.parametrize("value", [0, -3, 1.0, 2.5, True, "4", None, float("nan")])
def test_a_size_is_a_whole_number_of_one_or_more(value):
    assert refusal(options.at_least_one, cell_size=4, nr_cells=value) == (
        f"nr_cells must be a whole number >= 1, not {value!r}"
    )


def test_sizes_of_other_whole_types_pass():
    options.at_least_one(nr_cells=1, cell_size=np.int64(3))
    options.not_negative(warmup=0)


def test_a_count_may_be_zero_but_not_less():
    assert refusal(options.not_negative, warmup=-1) == "warmup must be a whole number >= 0, not -1"


def test_a_count_is_bounded_by_another_option():
    options.at_most(8, "nr_cells", sparse_reads=8)
    assert refusal(options.at_most, 8, "nr_cells", sparse_reads=9) == "sparse_reads must be at most nr_cells (8), not 9"
    assert refusal(options.at_most, 8, "nr_cells", sparse_reads=0) == "sparse_reads must be a whole number >= 1, not 0"


@pytest.mark.parametrize("value", [-0.5, float("nan"), float("inf"), "20", None, False])
def test_a_number_is_finite_and_within_its_bounds(value):
    assert refusal(options.number, 0, clip=value) == f"clip must be a number >= 0, not {value!r}"


def test_the_bounds_of_a_number_are_said():
    options.number(0, 2, rate=2)
    assert refusal(options.number, 0, 2, rate=3) == "rate must be a number from 0 to 2, not 3"
    assert refusal(options.number, high=2, rate=3) == "rate must be a number <= 2, not 3"
    assert refusal(options.number, rate="a") == "rate must be a number, not 'a'"


def test_a_probability_of_dropping_everything_is_refused():
    options.probability(dropout=0, other=0.999)
    assert refusal(options.probability, dropout=1) == "dropout must be below 1, which would drop everything"
    assert refusal(options.probability, dropout=1.5) == "dropout must be a number from 0 to 1, not 1.5"


def test_a_flag_is_true_or_false():
    options.flag(bias=True)
    assert refusal(options.flag, bias=1) == "bias must be True or False, not 1"


def test_one_of_offers_the_nearest_word():
    options.one_of("rnn_type", "gru", ("lstm", "gru", "rnn"))
    choices = ("lstm", "gru", "rnn")
    assert refusal(options.one_of, "rnn_type", "ltsm", choices) == (
        "rnn_type must be lstm, gru or rnn, not 'ltsm'; did you mean 'lstm'?"
    )
    assert refusal(options.one_of, "rnn_type", "LSTM", choices).endswith("did you mean 'lstm'?")
    assert refusal(options.one_of, "rnn_type", None, choices) == "rnn_type must be lstm, gru or rnn, not None"
    assert refusal(options.one_of, "order", "x", ("parallel",)) == "order must be parallel, not 'x'"


@pytest.mark.parametrize("shape", [(4, 3), (2, 4, 2), (2, 4, 3, 1), (0, 4, 3), (2, 0, 3)])
def test_an_input_of_another_shape_is_refused(shape):
    options.sequence(torch.zeros(2, 4, 3), 3, batch_first=True)
    assert refusal(options.sequence, torch.zeros(shape), 3, batch_first=True) == (
        f"the input must be [batch, time, input_channel] with 3 channels, batch and time >= 1, not {list(shape)}"
    )
    assert "[time, batch, input_channel]" in refusal(options.sequence, torch.zeros(shape), 3, batch_first=False)
