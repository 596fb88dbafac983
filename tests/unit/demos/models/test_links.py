"""The hand-written gradient of the links against what autograd finds for the plain equations."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from memviz.demos.models import DNC
from memviz.demos.models.links import follow_links, sharpen, update_precedence


def plain(link, precedence, write, read):
    """The equations of the paper, left to autograd."""
    to, source = write.unsqueeze(3), write.unsqueeze(2)
    updated = (1 - to - source) * link + to * precedence.unsqueeze(2)
    updated = updated * (1 - torch.eye(link.shape[-1], dtype=link.dtype))
    forward = torch.einsum("bwij,brj->brwi", updated, read)
    return updated, forward, torch.einsum("bwij,bri->brwj", updated, read)


@given(st.integers(0, 2**31), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 7))
def test_values_and_gradients_equal_those_of_the_plain_equations(seed, batch, writes, reads, slots):
    torch.manual_seed(seed)
    shapes = [(batch, writes, slots, slots), (batch, writes, slots), (batch, writes, slots), (batch, reads, slots)]
    arguments = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    # What the links were on their diagonal does not matter: it is dropped at every update.
    actual, expected = follow_links(*arguments), plain(*arguments)
    cotangents = [torch.randn_like(value) for value in expected]
    for one, other in zip(actual, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)
    got = torch.autograd.grad(actual, arguments, cotangents, retain_graph=True)
    wanted = torch.autograd.grad(expected, arguments, cotangents)
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-11)


def test_a_gradient_that_does_not_reach_every_result_is_right_too():
    torch.manual_seed(0)
    arguments = [
        torch.randn(shape, dtype=torch.float64, requires_grad=True)
        for shape in [(2, 1, 4, 4), (2, 1, 4), (2, 1, 4), (2, 2, 4)]
    ]
    for which in range(3):
        got = torch.autograd.grad(follow_links(*arguments)[which].sum(), arguments, allow_unused=True)
        wanted = torch.autograd.grad(plain(*arguments)[which].sum(), arguments, allow_unused=True)
        for one, other in zip(got, wanted, strict=True):
            torch.testing.assert_close(one, torch.zeros_like(one) if other is None else other, rtol=0, atol=1e-12)


def test_a_second_derivative_is_refused_rather_than_wrong():
    link = torch.zeros(1, 1, 2, 2, dtype=torch.float64)
    write = torch.rand(1, 1, 2, dtype=torch.float64, requires_grad=True)
    updated, _, _ = follow_links(link, torch.rand(1, 1, 2).double(), write, torch.rand(1, 1, 2).double())
    (gradient,) = torch.autograd.grad(updated.square().sum(), write, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


@pytest.mark.parametrize(("writes", "reads", "slots"), [(1, 1, 1), (1, 2, 4), (2, 3, 3)])
def test_the_gradient_passes_gradcheck(writes, reads, slots):
    torch.manual_seed(0)
    shapes = [(2, writes, slots, slots), (2, writes, slots), (2, writes, slots), (2, reads, slots)]
    arguments = [torch.rand(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    assert torch.autograd.gradcheck(follow_links, arguments)


def test_a_gradient_to_one_argument_alone_is_right():
    """Weights of a frozen model need no gradient, and the first links never do."""
    torch.manual_seed(0)
    shapes = [(1, 1, 4, 4), (1, 1, 4), (1, 1, 4), (1, 2, 4)]
    for chosen in range(4):
        arguments = [torch.rand(shape, dtype=torch.float64) for shape in shapes]
        arguments[chosen].requires_grad_()
        got = torch.autograd.grad(sum(v.square().sum() for v in follow_links(*arguments)), arguments[chosen])
        wanted = torch.autograd.grad(sum(v.square().sum() for v in plain(*arguments)), arguments[chosen])
        torch.testing.assert_close(got, wanted, rtol=0, atol=1e-12)


@pytest.mark.filterwarnings("ignore")  # torch warns of itself while it traces
def test_a_compiled_memory_gives_the_same_values_and_gradients():
    """Traced whole, forward and backward, without a break; code generation is torch's own affair."""
    torch.manual_seed(0)
    model = DNC(3, 6, 2, nr_cells=5, cell_size=4, read_heads=2, link_sharpening=True).double()
    x = torch.randn(2, 3, 3, dtype=torch.float64)
    results = []
    for compiled in (False, True):
        model.zero_grad()
        if compiled:
            model.memory.compile(backend="aot_eager", fullgraph=True)
        output, state = model(x)
        (output.square().sum() + state.memory.link_matrix.square().sum()).backward()
        results.append([output, *state.memory, *(parameter.grad.clone() for parameter in model.parameters())])
    torch.testing.assert_close(results[1], results[0], rtol=0, atol=1e-12)


@given(st.integers(0, 2**31), st.integers(1, 5))
def test_a_sharpened_walk_is_the_equation_and_has_its_gradient(seed, slots):
    torch.manual_seed(seed)
    walk = torch.rand(2, 3, 1, slots, dtype=torch.float64, requires_grad=True)
    powers = (1 + 3 * torch.rand(2, 3, dtype=torch.float64)).requires_grad_()
    lifted = (walk + 1e-6) ** powers[..., None, None]
    torch.testing.assert_close(sharpen(walk, powers), lifted / lifted.sum(-1, keepdim=True), rtol=0, atol=1e-12)
    assert torch.autograd.gradcheck(sharpen, (walk, powers))


def test_a_walk_that_leads_nowhere_is_spread_evenly():
    walk = torch.tensor([0.0, -1e-9, 0.0, 0.0], requires_grad=True)
    spread = sharpen(walk.view(1, 1, 1, 4), torch.full((1, 1), 9.0))
    torch.testing.assert_close(spread.flatten(), torch.full((4,), 0.25))
    spread.square().sum().backward()
    assert walk.grad.isfinite().all()


@given(st.integers(0, 2**31), st.integers(1, 2), st.integers(1, 5))
def test_precedence_is_the_equation_and_has_its_gradient(seed, heads, slots):
    torch.manual_seed(seed)
    arguments = [torch.rand(2, heads, slots, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    last, written = (value.detach() for value in arguments)
    plain = (1 - written.sum(dim=-1, keepdim=True)) * last + written
    torch.testing.assert_close(update_precedence(*arguments).detach(), plain, rtol=0, atol=1e-12)
    assert torch.autograd.gradcheck(update_precedence, arguments)
