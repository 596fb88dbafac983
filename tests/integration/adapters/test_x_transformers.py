"""x-transformers: attention with memory keys and values, and memory tokens, against what the package returns itself."""

from __future__ import annotations

import importlib
import warnings

import numpy as np
import pytest
import torch

pytestmark = pytest.mark.thirdparty

BATCH, TIMES, WIDTH, HEADS, TOKENS, MEMORY_KEYS, DEPTH = 2, 5, 8, 2, 4, 3, 2


@pytest.fixture(scope="module")
def package():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return importlib.import_module("x_transformers")


@pytest.fixture
def make(package):
    def made(kind="Decoder", **options):
        torch.manual_seed(0)
        options = {"attn_num_mem_kv": MEMORY_KEYS, "attn_dim_head": 4, **options}
        layers = getattr(package, kind)(dim=WIDTH, depth=DEPTH, heads=HEADS, **options)
        return package.TransformerWrapper(
            num_tokens=11, max_seq_len=16, num_memory_tokens=TOKENS, attn_layers=layers
        ).eval()

    return made


@pytest.fixture
def tokens():
    return torch.randint(0, 11, (BATCH, TIMES), generator=torch.Generator().manual_seed(0))


def attentions(record):
    names = sorted(name for name in record.stored if name.endswith("/attention"))
    return [record[name][0] for name in names]


OPTIONS = {
    "decoder": {},
    "encoder": {"kind": "Encoder"},
    "grouped": {"attn_kv_heads": 1},
    "no memory keys": {"attn_num_mem_kv": 0},
    "normed queries": {"attn_qk_norm": True},
}


@pytest.mark.parametrize("case", OPTIONS)
def test_attention_is_what_the_package_returns_when_asked(case, make, tokens, recorded):
    model = make(**OPTIONS[case])
    with torch.no_grad():
        _, expected = model(tokens, return_attn=True)
    found = attentions(recorded(model, tokens))
    keys = OPTIONS[case].get("attn_num_mem_kv", MEMORY_KEYS)
    assert len(found) == len(expected) == DEPTH
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.shape == (BATCH, HEADS, TOKENS + TIMES, keys + TOKENS + TIMES)
        assert np.allclose(mine, theirs, atol=1e-6)


def test_with_flash_attention_it_is_that_of_the_same_weights_without(make, tokens, recorded):
    flash, plain = make(attn_flash=True), make()
    plain.load_state_dict(flash.state_dict())
    with torch.no_grad():
        _, expected = plain(tokens, return_attn=True)
    record = recorded(flash, tokens)
    for mine, theirs in zip(attentions(record), expected, strict=True):
        assert np.allclose(mine, theirs, atol=1e-6)
    name = next(name for name in record.memories if "attn_layers" in name)
    assert "runs unchanged" in record.memories[name].attributes["how"]


def test_memory_tokens_are_the_first_rows_behind_the_layers(make, tokens, recorded):
    model = make()
    seen = []
    hook = model.attn_layers.register_forward_hook(lambda module, args, output: seen.append(output))
    with torch.no_grad():
        model(tokens)
    hook.remove()
    output = seen[0][0] if isinstance(seen[0], tuple) else seen[0]
    record = recorded(model, tokens)
    assert record["memory/memory"].shape == (1, BATCH, TOKENS, WIDTH)
    assert np.allclose(record["memory/memory"][0], output[:, :TOKENS], atol=1e-6)
    # What is left of the sequence once they are taken off gives the logits.
    rest = model.to_logits(output[:, TOKENS:]) if hasattr(model, "to_logits") else None
    if rest is not None:
        assert torch.allclose(rest, model(tokens), atol=1e-5)


def test_learned_keys_are_counted(make, tokens, recorded):
    record = recorded(make(), tokens)
    name = next(name for name in record.memories if "attn_layers" in name)
    assert record.memories[name].attributes["memory_keys"] == MEMORY_KEYS
