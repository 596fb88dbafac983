"""recurrent-memory-transformer-pytorch: memories against a loop over segments, attention against the model's own."""

from __future__ import annotations

import importlib
import warnings

import numpy as np
import pytest
import torch

pytestmark = pytest.mark.thirdparty

BATCH, SEGMENT, SEGMENTS, WIDTH, HEADS, TOKENS = 2, 4, 3, 8, 2, 2
KEYS = SEGMENT + 1 + TOKENS + SEGMENT + TOKENS  # of the last segment, null, read, tokens, write


@pytest.fixture(scope="module")
def package():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return importlib.import_module("recurrent_memory_transformer_pytorch")


class Segments(torch.nn.Module):
    """A loop over segments that hands on the keys and values of the last one, which the package's own does not."""

    def __init__(self, transformer):
        super().__init__()
        self.transformer = transformer

    def forward(self, x, memories=None):
        older, states = None, []
        for segment in x.split(SEGMENT, 1):
            _, memories, older = self.transformer(segment, memories, xl_memories=older)
            states.append(memories)
        return torch.stack(states)


@pytest.fixture
def make(package):
    def made(**options):
        torch.manual_seed(0)
        options = {
            "depth": 2,
            "num_memory_tokens": TOKENS,
            "seq_len": SEGMENT,
            "dim_head": 4,
            "heads": HEADS,
            **options,
        }
        return Segments(package.RecurrentMemoryTransformer(dim=WIDTH, num_tokens=11, **options)).eval()

    return made


@pytest.fixture
def tokens():
    return torch.randint(0, 11, (BATCH, SEGMENT * SEGMENTS), generator=torch.Generator().manual_seed(1))


def by_hand(model, tokens):
    """The write memories after each segment, and per layer the weights that its dropout was given, by segment."""
    attends = [part for part in model.modules() if hasattr(part, "attn_dropout") and hasattr(part, "causal")]
    seen = [[] for _ in attends]
    hooks = [
        attend.attn_dropout.register_forward_pre_hook(lambda module, args, mine=mine: mine.append(args[0]))
        for attend, mine in zip(attends, seen, strict=True)
    ]
    with torch.no_grad():
        states = model(tokens)
    for hook in hooks:
        hook.remove()
    return states, seen


@pytest.mark.parametrize("options", [{}, {"causal": False}, {"rotary_pos_emb": True}], ids=["", "not causal", "rotary"])
def test_memories_and_attention_by_segment(options, make, tokens, recorded):
    model = make(**options)
    states, seen = by_hand(model, tokens)
    record = recorded(model, tokens)
    assert np.allclose(record["transformer/memory"], states, atol=1e-6)
    assert states.std() > 0.1
    for layer, weights in enumerate(seen):
        found = record[f"transformer.layers.{layer}.attention/attention"]
        assert found.shape == (SEGMENTS, BATCH, HEADS, TOKENS + SEGMENT + TOKENS, KEYS)
        for time, mine in enumerate(weights):
            width = mine.shape[-1]  # the first segment has no keys of an earlier one; they come first
            assert np.allclose(found[time, ..., KEYS - width :], mine, atol=1e-6)
            assert not found[time, ..., : KEYS - width].any()


def test_with_flash_attention_it_is_that_of_the_same_weights_without(make, tokens, recorded):
    flash, plain = make(use_flash_attn=True), make()
    plain.load_state_dict(flash.state_dict())
    _, seen = by_hand(plain, tokens)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the package chooses kernels in a way that torch has replaced
        record = recorded(flash, tokens)
    assert np.allclose(record["transformer.layers.1.attention/attention"][-1], seen[1][-1], atol=1e-5)


def test_the_loop_of_the_package_forgets_the_keys_of_the_last_segment(package, make, tokens, recorded):
    model = make()
    wrapper = package.RecurrentMemoryTransformerWrapper(model.transformer).eval()
    expected, memories = [], None
    with torch.no_grad():
        for segment in tokens.split(SEGMENT, 1):
            _, memories, _ = model.transformer(segment, memories)
            expected.append(memories)
    record = recorded(wrapper, tokens)
    assert np.allclose(record["transformer/memory"], torch.stack(expected), atol=1e-6)
    assert record["transformer.layers.0.attention/attention"].shape[-1] == KEYS - SEGMENT


def test_going_on_from_memories_is_recorded_with_them(make, tokens, recorded):
    model = make()
    states, _ = by_hand(model, tokens[:, : 2 * SEGMENT])
    record = recorded(model, tokens[:, 2 * SEGMENT :], states[-1])
    assert np.allclose(record["transformer/initial/memory"], states[-1], atol=1e-6)
