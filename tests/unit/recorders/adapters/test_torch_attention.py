"""Recorded attention against what the modules themselves give out when they are asked for weights."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

import memviz

BATCH, QUERIES, KEYS, WIDTH, HEADS = 3, 5, 4, 8, 2


class Around(nn.Module):
    """A root of its own, so that no hook of a recorder is on the layer itself."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, *args, **kwargs):
        return self.inner(*args, **kwargs)


def padding():
    mask = torch.zeros(BATCH, KEYS, dtype=torch.bool)
    mask[0, 3:] = mask[2, 2:] = True
    return mask


CASES = {
    "plain": ({}, {}),
    "time first": ({"batch_first": False}, {}),
    "no bias": ({"bias": False}, {}),
    "keys of another width": ({"kdim": 6, "vdim": 7}, {}),
    "learned and zero keys": ({"add_bias_kv": True, "add_zero_attn": True}, {}),
    "mask": ({}, {"attn_mask": torch.ones(QUERIES, KEYS, dtype=torch.bool).triu(1)}),
    "numbers to add": ({}, {"attn_mask": torch.linspace(-2, 2, QUERIES * KEYS).view(QUERIES, KEYS)}),
    "a mask per item and head": (
        {},
        {"attn_mask": torch.linspace(-2, 2, BATCH * HEADS * QUERIES * KEYS).view(BATCH * HEADS, QUERIES, KEYS)},
    ),
    "padding": ({}, {"key_padding_mask": padding()}),
    "padding, mask, learned key": (
        {"add_bias_kv": True},
        {"key_padding_mask": padding(), "attn_mask": torch.ones(QUERIES, KEYS, dtype=torch.bool).triu(2)},
    ),
}


def sequences(module, batch_first):
    shapes = [(QUERIES, WIDTH), (KEYS, module.kdim), (KEYS, module.vdim)]
    made = [torch.randn(BATCH, *shape) for shape in shapes]
    return made if batch_first else [one.transpose(0, 1).contiguous() for one in made]


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("case", CASES)
def test_attention_equals_the_weights_that_the_module_gives_when_asked(case, training, recorded):
    torch.manual_seed(0)
    options, masks = CASES[case]
    module = nn.MultiheadAttention(WIDTH, HEADS, **{"batch_first": True, **options})
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.7)
    inputs = sequences(module, module.batch_first)
    _, expected = copy.deepcopy(module).train(training)(*inputs, average_attn_weights=False, **masks)
    record = recorded(Around(module), *inputs, training=training, need_weights=False, **masks)
    assert np.allclose(record["attention"][0], expected.detach(), atol=1e-6)
    extra = module.add_zero_attn + (module.bias_k is not None)
    assert record["attention"].shape == (1, BATCH, HEADS, QUERIES, KEYS + extra)
    assert record.memories["inner"].attributes.get("extra_keys", 0) == extra


def test_self_attention_without_a_batch(recorded):
    torch.manual_seed(0)
    module, x = nn.MultiheadAttention(WIDTH, HEADS), torch.randn(QUERIES, WIDTH)
    _, expected = module(x, x, x, average_attn_weights=False)
    record = recorded(Around(module), x, x, x)
    assert np.allclose(record["attention"][0, 0], expected.detach(), atol=1e-6)


def test_one_item_of_a_batch_is_the_item_that_was_asked_for(recorded):
    torch.manual_seed(0)
    module, x = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True), torch.randn(BATCH, KEYS, WIDTH)
    _, expected = module(x, x, x, average_attn_weights=False, key_padding_mask=padding())
    record = recorded(Around(module), x, x, x, key_padding_mask=padding(), options={"batch": [2]})
    assert record.batch == (2,)
    assert np.allclose(record["attention"][0, 0], expected[2].detach(), atol=1e-6)


def by_hand(layers, x, **masks):
    """The attention of each encoder layer, asked for, and the input of the next: without the fused kernel."""
    found = []
    for layer in layers:
        layer = copy.deepcopy(layer).train()
        given = layer.norm1(x) if layer.norm_first else x
        _, weights = layer.self_attn(given, given, given, average_attn_weights=False, **masks)
        found.append(weights.detach())
        x = layer(x, src_key_padding_mask=masks.get("key_padding_mask"), src_mask=masks.get("attn_mask")).detach()
    return found


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors is in prototype stage")
@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")
@pytest.mark.parametrize("norm_first", [False, True], ids=["norm last", "norm first"])
@pytest.mark.parametrize("masked", ["", "padding", "mask"])
@pytest.mark.parametrize("training", [True, False], ids=["training", "fused"])
def test_the_layers_of_an_encoder_with_their_own_kernels(norm_first, masked, training, recorded):
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 16, dropout=0.0, batch_first=True, norm_first=norm_first)
    encoder = nn.TransformerEncoder(layer, 2)
    for parameter in encoder.parameters():
        nn.init.normal_(parameter, std=0.7)
    x, masks, given = torch.randn(BATCH, KEYS, WIDTH), {}, {}
    if masked == "padding":
        masks["key_padding_mask"] = given["src_key_padding_mask"] = padding()
    elif masked == "mask":
        masks["attn_mask"] = given["mask"] = torch.ones(KEYS, KEYS, dtype=torch.bool).triu(1)
    record = recorded(Around(encoder), x, training=training, **given)
    for number, expected in enumerate(by_hand(encoder.layers, x, **masks)):
        found = record[f"inner.layers.{number}.self_attn/attention"][0]
        alive = torch.ones(BATCH, KEYS, dtype=torch.bool) if masked != "padding" else ~padding()
        rows = alive[:, None, :, None].expand(expected.shape)  # what a padded query looks at reaches nobody
        assert np.allclose(found[rows.numpy()], expected[rows], atol=1e-5)


def test_a_decoder_has_attention_over_itself_and_over_the_encoder(recorded):
    torch.manual_seed(0)
    layer = nn.TransformerDecoderLayer(WIDTH, HEADS, 16, dropout=0.0, batch_first=True)
    target, source = torch.randn(BATCH, QUERIES, WIDTH), torch.randn(BATCH, KEYS, WIDTH)
    _, own = layer.self_attn(target, target, target, average_attn_weights=False)
    seen = []
    hook = layer.multihead_attn.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    layer(target, source)
    hook.remove()
    _, over = layer.multihead_attn(seen[0], source, source, average_attn_weights=False)
    record = recorded(Around(layer), target, source)
    assert np.allclose(record["inner.self_attn/attention"][0], own.detach(), atol=1e-6)
    assert np.allclose(record["inner.multihead_attn/attention"][0], over.detach(), atol=1e-6)


def test_that_hooks_on_the_layer_itself_change_its_kernel_is_said(tmp_path):
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 16, batch_first=True)
    with memviz.attach(layer, tmp_path / "itself", every=1) as recorder:
        layer(torch.randn(2, 3, WIDTH))
        told = " ".join(recorder.explain().split())
    assert "switch its fused kernel off" in told
    with memviz.attach(Around(layer), tmp_path / "around", every=1) as recorder:
        recorder.model(torch.randn(2, 3, WIDTH))
        told = " ".join(recorder.explain().split())
    assert "the kernel runs unchanged" in told
    assert "fused kernel off" not in told
