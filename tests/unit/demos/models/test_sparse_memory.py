"""A sparse memory against a dense one in plain autograd: with K = N the two are one model, gradients and all."""

from __future__ import annotations

import pytest
import torch

import memviz
from memviz.demos.models import SAM, SDNC

SLOTS, WORDS, HEADS = 6, 3, 2


def dense_run(model, x, memory, links):
    """Output and reads of a SAM, or an SDNC, that keeps dense arrays and leaves all gradients to autograd."""
    part = model.memory
    batch = len(x)
    hidden = cell = x.new_zeros(batch, model.hidden_size)
    reads, weights = x.new_zeros(batch, HEADS * WORDS), x.new_zeros(batch, HEADS, SLOTS)
    link, last = x.new_zeros(batch, SLOTS, SLOTS), x.new_zeros(batch, SLOTS)
    accessed, outputs = torch.arange(SLOTS).repeat(batch, 1) - SLOTS, []
    for now, x_t in enumerate(x.unbind(1)):
        hidden, cell = model.controller[0](torch.cat((x_t, reads), 1), (hidden, cell))
        parts = part.interface(hidden).split(part._parts, 1)
        keys, vector = parts[0].view(batch, HEADS, WORDS), parts[1]
        strengths = 1 + torch.nn.functional.softplus(parts[2])
        share, gate = torch.sigmoid(parts[3]), torch.sigmoid(parts[4])
        free = torch.zeros(batch, SLOTS).double().scatter(1, accessed.argmin(1, keepdim=True), 1.0)
        write = gate * (share * free + (1 - share) * weights.mean(1))
        memory = memory * (1 - free).unsqueeze(2) + write.unsqueeze(2) * vector.unsqueeze(1)
        norms = torch.linalg.vector_norm(memory, dim=2)[:, None] * torch.linalg.vector_norm(keys, dim=2)[..., None]
        content = torch.softmax(strengths.unsqueeze(2) * (keys @ memory.mT) / (norms + 1e-6), dim=2)
        before, weights = weights, content
        if links:
            link = (1 - write.unsqueeze(2) - write.unsqueeze(1)) * link + write.unsqueeze(2) * last.unsqueeze(1)
            link = link * (1 - torch.eye(SLOTS).double())
            last = (1 - write.sum(1, keepdim=True)) * last + write
            back, by_content, on = torch.softmax(parts[5].view(batch, HEADS, 3), 2).split(1, 2)
            weights = back * (before @ link) + by_content * content + on * (before @ link.mT)
        accessed = torch.where((weights > 0.005).any(1) | (write > 0.005), now, accessed)
        reads = (weights @ memory).flatten(1)
        outputs.append(model.output(torch.cat((hidden, reads), 1)))
    return torch.stack(outputs, 1)


@pytest.mark.parametrize("cls", [SAM, SDNC])
@pytest.mark.parametrize("seed", range(3))
def test_gradients_equal_those_of_the_dense_model(cls, seed):
    torch.manual_seed(seed)
    linked = {"temporal_reads": SLOTS} if cls is SDNC else {}
    model = cls(3, 8, 2, nr_cells=SLOTS, cell_size=WORDS, read_heads=HEADS, sparse_reads=SLOTS, **linked).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    x = torch.randn(2, 15, 3, dtype=torch.float64, requires_grad=True)
    memory = torch.randn(2, SLOTS, WORDS, dtype=torch.float64)
    inputs = (x, *model.parameters())
    outputs = model(x, model.initial_state(2, memory))[0], dense_run(model, x, memory, bool(linked))
    found = [[output, *torch.autograd.grad(output.square().sum(), inputs)] for output in outputs]
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-9)


def test_no_more_slots_are_read_than_there_are():
    model = SAM(3, 8, nr_cells=2, sparse_reads=9)
    assert model.memory.sparse_reads == model.memory.positions == 2


@pytest.mark.parametrize(("slots", "shown"), [(8, True), (5000, False)])
def test_a_recorder_is_shown_the_whole_of_small_memories_only(slots, shown, tmp_path):
    model = SAM(3, 8, nr_cells=slots)
    with memviz.attach(model, tmp_path / "run", every=1, policy="block"):
        model(torch.randn(1, 3, 3))
    stored = memviz.open(tmp_path / "run")[0].stored
    assert ("memory/final/memory" in stored) == shown
    assert "memory/read_indices" in stored
