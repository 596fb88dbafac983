"""block-recurrent-transformer-pytorch: states against a loop over blocks, attention against what it makes of values."""

from __future__ import annotations

import importlib
import warnings

import numpy as np
import pytest
import torch

pytestmark = pytest.mark.thirdparty

BATCH, BLOCK, BLOCKS, WIDTH, HEADS, STATES = 2, 4, 3, 8, 2, 3


@pytest.fixture(scope="module")
def package():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return importlib.import_module("block_recurrent_transformer_pytorch")


@pytest.fixture
def make(package):
    def made(**options):
        torch.manual_seed(0)
        return package.BlockRecurrentTransformer(
            num_tokens=11, dim=WIDTH, depth=2, dim_head=4, heads=HEADS, max_seq_len=BLOCK * BLOCKS, block_width=BLOCK,
            num_state_vectors=STATES, **options,
        ).eval()  # fmt: skip

    return made


@pytest.fixture
def tokens():
    return torch.randint(0, 11, (BATCH, BLOCK * BLOCKS), generator=torch.Generator().manual_seed(1))


def container_of(record):
    return next(name for name in record.memories if name.endswith("state_container"))


def test_states_are_those_that_the_model_returns_after_each_block(make, tokens, recorded):
    model, memories, states, expected = make(), [], [], []
    with torch.no_grad():
        for block in tokens.split(BLOCK, 1):
            _, memories, states = model(block, xl_memories=memories, states=states, return_memories_and_states=True)
            expected.append(states[0])
    record = recorded(model, tokens)
    memory = container_of(record)
    assert np.allclose(record[f"{memory}/memory"], torch.stack(expected), atol=1e-5)
    assert torch.stack(expected).std() > 0.05
    start = next(part.init_state for part in model.modules() if hasattr(part, "init_state"))
    assert np.allclose(record[f"{memory}/initial/memory"][0], start.detach(), atol=1e-7)
    assert record.memories[memory].attributes["slots"] == STATES


def test_the_gate_mixes_the_old_state_with_what_is_new(make, tokens, recorded):
    model = make()
    container = next(part for part in model.modules() if hasattr(part, "init_state"))
    new = []
    hook = container.state_out_to_gate.register_forward_hook(lambda module, args, output: new.append(output.detach()))
    with torch.no_grad():
        model(tokens)
    hook.remove()
    record = recorded(model, tokens)
    memory = container_of(record)
    gate, states = record[f"{memory}/state_gate"], record[f"{memory}/memory"]
    before = np.concatenate([np.broadcast_to(record[f"{memory}/initial/memory"], states[:1].shape), states[:-1]])
    mixed = gate[:, None, None] * torch.stack(new).numpy() + (1 - gate[:, None, None]) * before
    assert np.allclose(mixed, states, atol=1e-6)


@pytest.mark.parametrize("flash", [False, True], ids=["", "flash"])
def test_attention_times_values_is_what_each_attention_gave(flash, make, tokens, recorded):
    model = make(use_flash_attn=flash)
    given, hooks = {}, []
    for path, part in model.named_modules():
        if path.endswith(".attend"):
            given[path.removesuffix(".attend")] = calls = []
            hooks.append(
                part.register_forward_hook(lambda module, args, output, calls=calls: calls.append((args[2], output)))
            )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the package chooses kernels in a way that torch has replaced
        with torch.no_grad():
            model(tokens)
        for hook in hooks:
            hook.remove()
        record = recorded(model, tokens)
    assert len(given) >= 4
    for memory, calls in given.items():
        weights = record[f"{memory}/attention"]
        assert len(weights) == len(calls) == BLOCKS
        for mine, (values, output) in zip(weights, calls, strict=True):
            values = values if values.ndim > 2 else values[None].expand(BATCH, *values.shape)
            values = values[:, None] if values.ndim == 3 else values
            keys = values.shape[2]
            made = mine[..., -keys:] @ values.numpy()
            output = output if output.ndim == 4 else output[None]
            assert np.allclose(made, output, atol=1e-5), memory
            assert not mine[..., : mine.shape[-1] - keys].any()
