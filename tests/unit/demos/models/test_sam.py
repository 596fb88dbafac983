"""What sets these SAM and SDNC apart from earlier ones, and what every model of the demos can do."""

from __future__ import annotations

import copy
import gc
import resource

import pytest
import torch

from memviz.demos.models import SAM, SDNC
from memviz.errors import MemvizError, OptionError

SIZES = {"nr_cells": 9, "cell_size": 4, "read_heads": 2, "sparse_reads": 3}


def made(cls, seed=0, **options):
    torch.manual_seed(seed)
    model = cls(3, 6, 2, **{**SIZES, **options}).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    return model


def arrays(state):
    """Copies of all that a state stands for."""
    found = [
        state.memory.memory,
        state.memory.last_access,
        state.memory.read_weights.detach(),
        state.read_vectors.detach(),
    ]
    if state.memory.precedence is not None:
        found += [state.memory.link_matrix, state.memory.precedence_weights.detach()]
    return [*found, *(value.detach().clone() for layer in state.controller for value in layer)]


def assert_equal(first, second):
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.fixture(params=[SAM, SDNC])
def cls(request):
    return request.param


def test_it_is_called_as_the_other_models_are(cls):
    model = made(cls)
    x = torch.randn(5, 7, 3, dtype=torch.float64)
    output, state = model(x)
    assert output.shape == (5, 7, 2)
    other = made(cls, batch_first=False)
    torch.testing.assert_close(other(x.transpose(0, 1))[0].transpose(0, 1), output)
    assert state.memory.memory.shape == (5, 9, 4)
    assert cls(3, 6)(x.float())[0].shape == (5, 7, 3)


@pytest.mark.parametrize("rnn_type", ["lstm", "gru", "rnn"])
def test_sequences_can_be_cut_in_two(cls, rnn_type):
    model = made(cls, rnn_type=rnn_type, num_layers=2)
    x = torch.randn(2, 8, 3, dtype=torch.float64)
    whole, end = model(x)
    first, state = model(x[:, :3])
    second, after = model(x[:, 3:], state)
    torch.testing.assert_close(torch.cat((first, second), dim=1), whole, rtol=0, atol=0)
    assert_equal(arrays(after), arrays(end))


def test_the_gradient_flows_through_a_state_unless_detached(cls):
    model = made(cls)
    x = torch.randn(2, 2, 6, 3, dtype=torch.float64, requires_grad=True)
    (whole,) = torch.autograd.grad(model(torch.cat((x[0], x[1]), dim=1))[0][:, 6:].sum(), x)
    (cut,) = torch.autograd.grad(model(x[1], model(x[0])[1])[0].sum(), x)
    torch.testing.assert_close(cut, whole)
    assert cut[0].any()
    (truncated,) = torch.autograd.grad(model(x[1], model(x[0])[1].detach())[0].sum(), x)
    assert not truncated[0].any()
    torch.testing.assert_close(truncated[1], whole[1])


def test_no_state_is_changed_by_what_the_model_does_later(cls):
    model = made(cls)
    x = torch.randn(4, 2, 6, 3, dtype=torch.float64)
    start = model.initial_state(2)
    states = [start, model(x[0])[1]]
    states.append(model(x[1], states[1])[1])
    kept = [arrays(state) for state in states]
    output, branch = model(x[2], states[1])  # a second way on from the same state
    output.sum().backward()
    model(x[3])
    for state, before in zip(states, kept, strict=True):
        assert_equal(arrays(state), before)
    # What a state shows is a copy: whoever writes into it changes nothing.
    branch.memory.memory.fill_(7)
    assert not (branch.memory.memory == 7).any()


def test_backward_rolls_everything_back_bit_by_bit(cls):
    model = made(cls)
    state = model(torch.randn(2, 5, 3, dtype=torch.float64))[1].detach()
    bank = state.memory.bank
    bank.versions.checkout(state.memory.version)
    tables = [bank.rows.values, bank.order.keys]
    if bank.links is not None:
        tables += [bank.links.source, bank.links.place, bank.links.store.values]
    before = [table.clone() for table in tables]
    output, _ = model(torch.randn(2, 7, 3, dtype=torch.float64), state)
    assert not torch.equal(bank.rows.values, before[0])
    output.sum().backward()
    bank.versions.checkout(state.memory.version)
    assert_equal(tables, before)


def test_outputs_and_gradients_are_the_same_again(cls):
    model = made(cls)
    x = torch.randn(2, 9, 3, dtype=torch.float64)
    results = []
    for _ in range(3):
        model.zero_grad()
        output, _ = model(x)
        output.square().sum().backward()
        results.append([output.detach(), *(p.grad.clone() for p in model.parameters())])
    assert_equal(results[0], results[1])
    assert_equal(results[0], results[2])


def test_two_sequences_can_be_under_way_at_once(cls):
    model = made(cls)
    x = torch.randn(2, 2, 5, 3, dtype=torch.float64, requires_grad=True)
    apart = [torch.autograd.grad(model(x[i])[0].sum(), x)[0] for i in range(2)]
    first, second = model(x[0])[0], model(x[1])[0]
    torch.testing.assert_close(torch.autograd.grad(first.sum(), x)[0], apart[0], rtol=0, atol=0)
    torch.testing.assert_close(torch.autograd.grad(second.sum(), x)[0], apart[1], rtol=0, atol=0)


def test_items_of_a_batch_do_not_touch_each_other(cls):
    model = made(cls)
    x = torch.randn(3, 9, 3, dtype=torch.float64)
    together, _ = model(x)
    apart = torch.cat([model(x[i : i + 1])[0] for i in range(3)])
    torch.testing.assert_close(together, apart)


def test_a_million_slots_cost_what_is_touched():
    gc.collect()
    model = SDNC(3, 8, nr_cells=1_000_000, cell_size=16, read_heads=1)
    x = torch.randn(1, 4, 3)
    model(x)[0].sum().backward()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(20):
        model(x)[0].sum().backward()
    # Another copy of the memory alone would be 64 MB, a matrix over all pairs of slots 4 TB.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024


def test_a_copy_of_a_model_has_a_memory_of_its_own(cls):
    model = made(cls)
    x = torch.randn(2, 5, 3, dtype=torch.float64)
    expected, _ = model(x)
    twin = copy.deepcopy(model)
    torch.testing.assert_close(twin(x)[0], expected)
    assert twin.state_dict().keys() == model.state_dict().keys()
    assert not any("bank" in name for name in model.state_dict())


def test_a_part_of_a_state_can_be_left_out_or_begun_anew(cls):
    model = made(cls)
    x = torch.randn(2, 2, 5, 3, dtype=torch.float64)
    fresh, _ = model(x[1])
    torch.testing.assert_close(model(x[1], (None, None, None))[0], fresh, rtol=0, atol=0)
    controller, memory, reads = model(x[0])[1]
    anew, _ = model(x[1], (controller, memory, reads), reset_experience=True)
    torch.testing.assert_close(anew, model(x[1], (controller, None, reads))[0], rtol=0, atol=0)
    assert not torch.equal(anew, model(x[1], (controller, memory, reads))[0])


def test_the_controller_can_run_alone(cls):
    model = made(cls)
    x = torch.randn(2, 5, 3, dtype=torch.float64)
    _, state = model(x)
    output, after = model(x, state, pass_through_memory=False)
    assert output.shape == (2, 5, 2)
    assert after.memory is state.memory
    assert torch.equal(after.read_vectors, state.read_vectors)
    assert not torch.equal(after.controller[0][0], state.controller[0][0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nr_cells": 0}, "nr_cells must be a whole number >= 1, not 0"),
        ({"sparse_reads": 0}, "sparse_reads must be"),
        ({"index_checks": 0}, "index_checks must be"),
        ({"num_lists": 0}, "num_lists must be"),
        ({"rnn_type": "ltsm"}, "did you mean 'lstm'"),
        ({"search": "flann"}, "search must be"),
    ],
)
def test_bad_options_give_one_line(cls, options, message):
    with pytest.raises(OptionError, match=message):
        cls(3, 6, **options)


def test_bad_inputs_give_one_line(cls):
    model = made(cls)
    _, state = model(torch.randn(2, 3, 3, dtype=torch.float64))
    with pytest.raises(OptionError, match="state is of a batch of 2, the input of 1"):
        model(torch.randn(1, 3, 3, dtype=torch.float64), state)
    with pytest.raises(OptionError, match="not 2 parts"):
        model(torch.randn(2, 3, 3, dtype=torch.float64), (None, None))
    with pytest.raises(OptionError, match="input_channel"):
        model(torch.randn(1, 3, 4, dtype=torch.float64))
    with pytest.raises(OptionError, match=r"\[2, 9, 4\], not \[2, 9, 5\]"):
        model.initial_state(2, torch.zeros(2, 9, 5))
    with pytest.raises(ValueError, match="an SDNC has"):
        made(SAM).initial_state(1).memory.link_matrix  # noqa: B018
    with pytest.raises(OptionError, match="temporal_reads"):
        SDNC(3, 6, temporal_reads=0)
    assert issubclass(OptionError, MemvizError)
